"""A study that the plan accepts runs: random study files from the catalogue, carried out on replayed curves."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from reports.data.frames import read_study
from reports.inference.verdicts import decided_arms
from search.plan.builder import make_plan
from search.study.factors import recipe_factors
from search.study.loading import validate
from search.study.schema import NOT_COMPARABLE, NOT_TUNABLE
from tests.property import FUZZ_SEED
from tests.support.driver import carry_out
from trainables.augmentation import AUGMENTATIONS
from trainables.config import RunConfig
from trainables.errors import InputError
from trainables.methods import METHODS
from trainables.models import MODELS
from trainables.optimizers import OPTIMIZERS
from trainables.registration.fields import Choice, Range, declared, holds_integers

EPOCHS = 300
"""Length of the replayed curves."""
VALUES: dict[str, list[Any]] = {
    "epochs": [4, 5, 8],
    "steps": [40, 80],
    "train_fraction": [0.1, 0.3, 1.0],
    "classes": [2, 5, 10],
    "label_noise": [0.0, 0.2],
    "validation_fraction": [0.1, 0.4],
    "schedule": ["milestones", "cosine", "constant"],
    "milestones": [[0.5], [0.3, 0.6]],
    "batch_size": [8, 16, 64],
    "precision": ["float32", "mixed"],
    "compile": ["auto", "off"],
    "fine_tune": [0.0, 0.25],
    "fine_tune_off": ["method", "all"],
    "deterministic": [True, False],
    "warm_up": [0.0, 0.05],
}
"""Values of factors; others have values from their declared ranges, or their defaults."""


def value_of(field: str, kind: type[BaseModel], rng: random.Random) -> Any:
    """Return a value of a field: from its declared range, or its default."""
    mark = declared(kind).get(field)
    if isinstance(mark, Choice):
        return rng.choice(mark.options)
    if mark is None:
        return kind.model_fields[field].get_default()
    value = rng.uniform(mark.low, mark.high)
    return round(value) if holds_integers(kind.model_fields[field]) else round(value, 6)


def searched(field: str, kind: type[BaseModel], rng: random.Random) -> Any:
    """Return a way to search a field: `auto`, a range within the declared one, or a list."""
    mark = declared(kind).get(field)
    values = sorted({value_of(field, kind, rng) for _ in range(3)}, key=repr)
    if not isinstance(mark, Range) or rng.random() < 0.3:
        return rng.choice(["auto", values])
    low, high = sorted((value_of(field, kind, rng), value_of(field, kind, rng)))
    return {"low": low, "high": high, "log": mark.log and low > 0} if low < high else [low]


def method(rng: random.Random) -> Any:
    """Return an entry of `methods`."""
    name = rng.choice(list(METHODS))
    kind = METHODS.get(name)
    fields = [field for field in kind.fields() if field in kind.model_fields and rng.random() < 0.4]
    settings = {field: rng.choice([value_of, searched])(field, kind, rng) for field in fields}
    settings = {field: value for field, value in settings.items() if value != "auto"}
    return {"name": name, **settings} if settings else name


def factor(rng: random.Random) -> tuple[str, list[Any], type[BaseModel] | None]:
    """Return a recipe factor, some of its values, and the settings that declare it."""
    kinds: dict[str, list[Any]] = {
        "model": [*MODELS],
        "optimizer": [*OPTIMIZERS],
        "augmentation": [*AUGMENTATIONS, "crop_flip+cutout", "none"],
    }
    name = rng.choice([*kinds, *VALUES, *recipe_factors()])
    every = kinds.get(name) or VALUES.get(name)
    if every:
        return name, rng.sample(every, min(len(every), 2)), RunConfig
    owners = [RunConfig, *map(OPTIMIZERS.get, OPTIMIZERS), *map(MODELS.get, MODELS)]
    owner = next((kind for kind in owners if name in kind.model_fields), None)
    if owner is None:
        return name, [0.1, 0.2], None
    values = [value_of(name, owner, rng) for _ in range(2)]
    return name, [value for index, value in enumerate(values) if value not in values[:index]], owner


def document(rng: random.Random) -> dict[str, Any]:
    """Return a random study file, which may be refused."""
    sections: dict[str, dict[str, Any]] = {"recipe": {}, "conditions": {}, "compare": {}, "nuisance": {}}
    for _ in range(rng.randint(1, 5)):
        name, values, kind = factor(rng)
        tunable = name not in NOT_TUNABLE and kind is not None
        allowed = ["recipe", "recipe", "conditions"] + ["nuisance", "nuisance"] * tunable
        place = rng.choice(allowed + ["compare"] * (name not in NOT_COMPARABLE))
        if any(name in section for section in sections.values()):
            continue
        if place == "recipe":
            sections[place][name] = values[0]
        elif place == "nuisance":
            sections[place][name] = searched(name, kind, rng) if kind and declared(kind).get(name) else values
        elif not isinstance(values[0], list):
            sections[place][name] = values
    if not any("epochs" in section for section in sections.values()):
        sections["recipe"]["epochs"] = rng.choice(VALUES["epochs"])
    trials = rng.randint(2, 4)
    made = {
        "data": {"source": "digits", "mirror_keeps_class": rng.random() < 0.5},
        "methods": ["baseline", *(method(rng) for _ in range(rng.randint(1, 2)))],
        "search": {
            "sampler": rng.choice(["none", "sobol", "random", "tpe"]),
            "trials_per_arm": trials,
            "audit": 2,
            "early_stopping": rng.random() < 0.7,
            "match": rng.choice(["epochs", "epochs", "compute", "steps"]),
            "replicates": rng.choice([1, 1, 2]),
            "reduction_factor": rng.choice([1.5, 2, 3]),
        },
        "confirm": {
            "points": rng.randint(1, 2),
            **rng.choice([{"seeds": 2}, {"looks": [2, 3]}, {"seeds": 3, "test": "official"}]),
        },
        "seed": rng.choice([0, 1, 2**63 - 1]),
        **{place: section for place, section in sections.items() if section},
    }
    if rng.random() < 0.5 and "nuisance" not in made:
        made["nuisance"] = {}
    return made


def run_accepted(accepted: int, seed: str, folder: Path) -> None:
    """Carry out as many random studies as given of those that the plan accepts."""
    curves = folder / "curves.csv"
    rows = [f"{k},{epoch},{0.9 - 0.4 / (epoch + k):.6f}" for k in range(3) for epoch in range(1, EPOCHS + 1)]
    curves.write_text("\n".join(["method,k,epoch,validation_accuracy", *(f",{row}" for row in rows)]) + "\n")
    curves.write_text(
        curves.read_text() + "".join(f",,{epoch},{0.8 - 0.3 / epoch:.6f}\n" for epoch in range(1, EPOCHS + 1))
    )
    done = drawn = 0
    while done < accepted:
        drawn += 1
        assert drawn < 60 * (accepted + 1), f"only {done} of {drawn} are accepted"
        written = document(random.Random(f"{FUZZ_SEED}{seed} {drawn}"))
        try:
            study = validate(written, "study.yaml", folder)
            plan = make_plan(study)
        except InputError:
            continue
        except Exception as error:
            raise AssertionError(f"planning draw {drawn} failed: {written}") from error
        if len(plan.arms) > 12:
            continue
        assert validate(study.document(), "study.yaml", folder) == study, written
        path = folder / f"{drawn}.db"
        try:
            controller = carry_out(plan, path, curves)
            decided_arms(read_study(path), study.confirm.seeds)
        except Exception as error:
            raise AssertionError(f"running draw {drawn} failed: {written}") from error
        assert controller.done
        path.unlink()
        done += 1
    print(f"{done} of {drawn} random studies were accepted and carried out")


def test_an_accepted_study_runs(tmp_path: Path) -> None:
    run_accepted(6, "few", tmp_path)


@pytest.mark.fuzz
@pytest.mark.timeout(900)
def test_many_accepted_studies_run(tmp_path: Path) -> None:
    run_accepted(150, "many", tmp_path)
