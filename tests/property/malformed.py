"""Malformed input: valid study files, recipes, tables and arrays, and random mutations of them."""

from __future__ import annotations

import copy
import csv
import functools
import io
import random
import warnings
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from search.plan.builder import make_plan
from search.store.yaml_files import dump
from search.study.loading import validate
from tests.support.studies import study_document
from trainables.config import RunConfig

HOSTILE: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, 2, 3, 0.5, -0.5, 1e308, -1e308, 5e-324, 10**30, -(10**30), 2**31, 2**63, 2**64,
    float("nan"), float("inf"), "", " ", "a", "a" * 5000, "\t\n", "é", "e\u0301", "日本", "../../x", "~", "~nobody/x",
    "/", "/dev/null", "%s %d", "{0}", "${HOME}", "<b>&amp;", "'\"`;", "os:system", "math:sqrt", ":", "a:b:c", "auto",
    "none", "baseline", "mixup", "maxup+mixup", "crop_flip+cutout", "resnet8", "sgd", "1e3", "0x10", "nan", "=1+1",
    "2026-01-01", "file:///x", "http://u:p@h:1/", "sqlite:///x.db", [], {}, [[]], [{}], {"": ""}, [None], [1, 1],
    [0.1, 0.2], ["a", "b"], {"low": 1, "high": 2}, {"low": 2, "high": 1}, {"low": 0, "high": 1, "log": True},
    {"low": 1, "high": float("inf")}, {"as": "x"}, {"as": "x", "epochs": 9}, {"name": "maxup"}, {"name": None},
    {"name": ["mixup"]}, {"source": "npz"}, {"source": {}}, {1: 2}, {None: None}, {True: False}, list(range(2000)),
    {f"k{n}": n for n in range(300)},
)  # fmt: skip
"""Values that replace others."""


# Mutations


def places(value: Any) -> list[tuple[Any, Any]]:
    """Return (container, key) of every value in a document."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [place for key, part in [*items] for place in [(value, key), *places(part)]]


def mutate(document: Any, rng: random.Random) -> Any:
    """Return a document with one to three values or keys replaced, removed, renamed, moved or nested."""
    made = copy.deepcopy(document)
    for _ in range(rng.choice([1, 1, 1, 2, 3])):
        found = places(made)
        if not found:
            break
        container, key = rng.choice(found)
        kind = rng.randrange(8)
        if kind <= 3:
            container[key] = copy.deepcopy(rng.choice(HOSTILE))
        elif kind == 4:
            del container[key]
        elif kind == 5 and isinstance(container, dict):
            name = rng.choice(
                [f"{key}s", str(key)[:-1], str(key).upper(), "", "a.b", f"sgd.{key}", 1, None, "__class__"]
            )
            container[name] = container.pop(key)
        elif kind == 6:
            container[key] = rng.choice([[container[key]], {"as": container[key]}, [container[key]] * 2])
        else:
            other, there = rng.choice(found)
            with suppress(KeyError, IndexError):
                container[key] = copy.deepcopy(other[there])
    return made


TOKENS = [
    b"\0", b"\xff", b"\xef\xbb\xbf", b"\x1b[2J", b"&a ", b"*a", b"!!python/name:os.system ", b"{", b"]", b"- ", b": ",
    b"\t", b"#", b"'", b"|", b"<<: ", b"\xe2\x80\xae", b"---\n", b"%YAML 9\n", b"1:30", b"9" * 400,
]  # fmt: skip


def damage(data: bytes, rng: random.Random) -> bytes:
    """Return bytes with one to four spans flipped, removed, repeated or replaced."""
    made = bytearray(data)
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(len(made) + 1)
        span = slice(at, at + rng.choice([1, 1, 2, 8, 40]))
        token = rng.choice(TOKENS)
        kind = rng.randrange(4)
        made[span] = (
            bytes(byte ^ (1 << rng.randrange(8)) for byte in made[span])
            if kind == 0
            else b""
            if kind == 1
            else bytes(made[span]) * 3
            if kind == 2
            else token
        )
    return bytes(made)


def write_yaml(path: str, document: dict[str, Any], rng: random.Random) -> None:
    """Write a damaged YAML file: three of four as a changed document, the others as changed bytes."""
    if rng.random() < 0.25:
        Path(path).write_bytes(damage(yaml.safe_dump(document, allow_unicode=True).encode(), rng))
    else:
        Path(path).write_text(yaml.safe_dump(mutate(document, rng), allow_unicode=True, sort_keys=False), "utf-8")


# Inputs


def arrays() -> dict[str, Any]:
    """Return the arrays of a small archive."""
    images, labels = np.arange(40 * 8 * 8, dtype="uint8").reshape(40, 8, 8), np.arange(40) % 4
    return {"x_train": images, "y_train": labels, "x_test": images[:20] // 2, "y_test": labels[:20]}


def study() -> dict[str, Any]:
    """Return a study file that uses most sections."""
    return study_document(
        recipe={"model": "resnet8", "batch_size": 16, "epochs": 12},
        compare={
            "optimizer": ["sgd", "adamw"],
            "augmentation": ["crop", {"as": "cut", "augmentation": ["crop", {"name": "cutout", "size": 0.3}]}],
        },
        conditions={"train_fraction": [0.1, 0.3], "label_noise": [0.0, {"as": "noisy", "label_noise": 0.2}]},
        exclude=[{"train_fraction": 0.1, "label_noise": "noisy"}],
        methods=[
            "baseline",
            {"name": "mixup", "alpha": {"low": 0.1, "high": 1.0, "log": True}},
            {"name": "maxup", "as": "most", "m": [2, 4]},
        ],
        reference={"method": "baseline"},
        nuisance={"weight_decay": "auto", "warm_up": {"low": 0.0, "high": 0.1}},
        search={"sampler": "sobol", "trials_per_arm": 4, "audit": 2, "match": "epochs", "replicates": 1},
        confirm={"points": 2, "looks": [2, 4]},
        smallest_effect=0.5,
        alpha=0.05,
        metric="validation_accuracy",
        seed=1,
        resources={"cpus": 1, "gpus": 0, "budget_hours": 2},
        tracking={"uri": "sqlite:///mlflow.db"},
    )


def recipe() -> dict[str, Any]:
    """Return a recipe without a checksum, on the archive `good.npz`."""
    config = RunConfig.from_plain(
        {
            "data": {"source": "npz", "path": "good.npz"},
            "model": "resnet8",
            "augmentation": "crop",
            "epochs": 8,
            "method": "mixup",
            "batch_size": 8,
        }
    )
    origin = {
        "study": "small",
        "study_id": "1",
        "condition": "all",
        "method": "mixup",
        "runs": ["a"],
        "seeds": [[1, 2]],
        "epochs": [8],
    }
    promise = {"test_accuracy": 0.8, "low": 0.7, "high": 0.9, "spread": 0.1, "seeds": 4}
    return {
        "assay_recipe": 1,
        "train": config.model_dump(mode="json"),
        "class_names": ["0", "1", "2", "3"],
        "image_shape": [8, 8, 1],
        "milestone_epochs": [4.0, 6.0],
        "promise": promise,
        "origin": origin,
    }


@functools.cache
def curves() -> list[list[str]]:
    """Return a table of learning curves for all arms of the study."""
    names = dict.fromkeys(arm.method for arm in make_plan(validate(study(), "study.yaml", Path.cwd())).arms)
    return [["phase", "condition", "method", "k", "seed", "epoch", "validation_accuracy", "test_accuracy"]] + [
        [phase, "", name, "", "", str(epoch), f"{0.5 + epoch / 40}", "0.7"]
        for phase in ("search", "confirm")
        for name in names
        for epoch in range(1, 13)
    ]


CELLS = [
    "", " ", "nan", "None", "-1", "0", "1.5", "1e309", "9" * 400, "text", "true", '"', "\0", "é", "=1+1", "search",
    "epoch", "_x",
]  # fmt: skip


def table(rng: random.Random) -> bytes:
    """Return a damaged table of learning curves."""
    rows = [list(row) for row in curves()]
    for _ in range(rng.randint(1, 4)):
        kind, row = rng.randrange(6), rng.choice([0, 1, rng.randrange(len(rows))]) % max(len(rows), 1)
        if not rows or not rows[row]:
            break
        column = rng.randrange(len(rows[row]))
        if kind <= 1:
            rows[row][column] = rng.choice(CELLS)
        elif kind == 2:
            rows[row].append(rng.choice(CELLS))
        elif kind == 3:
            del rows[row]
        elif kind == 4:
            rows.insert(row, list(rows[row]))
        else:
            for each in rows:
                del each[column : column + 1]
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return damage(text.getvalue().encode(), rng) if rng.random() < 0.3 else text.getvalue().encode()


DTYPES = [
    "int8", "uint16", "int64", "uint64", "float16", "float64", "bool", "complex64", "U8", "S3", "M8[s]",
]  # fmt: skip


def archive(rng: random.Random) -> dict[str, Any]:
    """Return arrays of which one or two are unusable, or unusual."""
    made = arrays()
    for _ in range(rng.randint(1, 2)):
        key = rng.choice([*made])
        value = np.asarray(made[key])
        changes: list[Callable[[], Any]] = [
            lambda value=value: value.astype(rng.choice(DTYPES)),
            lambda value=value: value[: rng.randrange(len(value) + 1)] if value.ndim else value,
            lambda value=value: value.reshape(-1),
            lambda value=value: value[..., None, None],
            lambda value=value: np.array(rng.choice([0, -1, 1.5, "x", np.nan])),
            lambda value=value: np.full_like(value, rng.choice([0, 1, 255 if value.dtype == "uint8" else 99])),
            lambda value=value: value.astype("int64") - rng.choice([1, 5, 2**40]),
            lambda value=value: np.where(value > 2, np.nan, value.astype(float)),
            lambda value=value: np.zeros((0, *value.shape[1:]), value.dtype),
            lambda value=value: np.zeros((*value.shape[:1], 0), value.dtype),
            lambda value=value: value.astype(float) / 255,
            lambda value=value: np.repeat(value[..., None], rng.choice([1, 2, 3, 4, 5]), -1),
        ]
        kind = rng.randrange(len(changes) + 3)
        if kind < len(changes):
            with suppress(ValueError, TypeError, OverflowError), warnings.catch_warnings():
                warnings.simplefilter("ignore")  # a cast of NaN to an integer, or of a complex number to a real one
                made[key] = changes[kind]()
        elif kind == len(changes):
            del made[key]
        else:
            extra = rng.choice(["x_val", "y_val", "class_names", "group_train", "group_val", "other", "../x"])
            made[extra] = rng.choice([np.arange(40), np.array(["a", "b", "c", "d"]), np.zeros((40, 8, 8)), np.array(7)])
    return made


def good_files() -> None:
    """Write a valid study, recipe, archive and table."""
    np.savez("good.npz", **arrays())
    Path("study.yaml").write_text(dump(study()))
    Path("recipe.yaml").write_text(dump(recipe()))
    with Path("curves.csv").open("w", newline="") as file:
        csv.writer(file).writerows(curves())
