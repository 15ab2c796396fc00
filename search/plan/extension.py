"""Study extension: more trials, seeds, methods or conditions, without changing anything that has been run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from search.plan.model import Plan
from search.plan.record import study_record
from search.study.schema import PRECISION, Study
from trainables.errors import InputError
from trainables.records import ExtensionDecision, PlanRecord

FIXED = ("name", "data", "recipe", "nuisance", "reference", "smallest_effect", "alpha", "metric", "seed")
"""Keys of a study file that cannot change."""
FIXED_IN = {
    "search": ("sampler", "fidelity", "early_stopping", "reduction_factor", "audit", "match", "replicates"),
    "confirm": ("points",),
}
"""Keys of its sections that cannot change."""


@dataclass(frozen=True)
class Extension:
    """What a study file adds to a study.

    Args:
        what: the additions in words, one entry each.
        exploratory: whether claims may rest on a look that was not declared.
    """

    what: tuple[str, ...]
    exploratory: bool

    def decision(self, before: PlanRecord) -> ExtensionDecision:
        """Return the decision for the journal; `before` is the plan before the extension."""
        return ExtensionDecision(what=self.what, exploratory=self.exploratory, plan=before)


def with_defaults_of(before: Plan, after: Study) -> Study:
    """Return a study file with what it leaves open as in the study that it extends: test part, precision and looks."""
    if after.measures_precision or not after.names_precision:
        after = after.with_precision(before.study.recipe.get(PRECISION))
    if before.test_part == "official":
        after = after.on_official_test()
    old, new = before.study.confirm.most_seeds, after.confirm.most_seeds
    if after.confirm.looks is not None or new < old or after.confirm.is_open != before.study.confirm.is_open:
        return after
    looks = (
        (*before.study.looks, *range(old + 1, new + 1)) if after.confirm.is_open else (*before.study.looks[:-1], new)
    )
    confirm = after.confirm.model_copy(update={"looks": looks if len(looks) > 1 else ()})
    return after.model_copy(update={"confirm": confirm})


def find_extension(before: Study, after: Study) -> Extension:
    """Return what a study file adds to a study.

    Raises:
        InputError: it changes or removes something that has been run, or adds nothing.

    >>> from search.study.loading import load_study
    >>> find_extension(load_study("quickstart"), load_study("quickstart", ("search.trials_per_arm=6",))).what
    ('search.trials_per_arm from 4 to 6',)
    """
    old, new = before.document(), after.document()
    listed = all("data" in each["conditions"] for each in (old, new))  # then `data` is the first level
    changed = [key for key in FIXED if old[key] != new[key] and not (key == "data" and listed)]
    changed += [f"{part}.{key}" for part, keys in FIXED_IN.items() for key in keys if old[part][key] != new[part][key]]
    changed += [
        f"conditions.{key}" for key in old["conditions"] if not _keeps_levels(new["conditions"].get(key), old, key)
    ]
    changed += ["conditions"] if list(old["conditions"]) != list(new["conditions"]) else []
    changed += ["compare"] if list(old["compare"]) != list(new["compare"]) else []
    changed += [f"methods: {entry['as']}" for entry in old["methods"] if entry not in new["methods"]]
    changed += ["contrasts"] if any(pair not in new["contrasts"] for pair in old["contrasts"]) else []
    if changed:
        raise InputError(
            f"--extend can only add to a study, but {', '.join(dict.fromkeys(changed))} would change; start a new "
            "study instead"
        )
    what = _increase("search.trials_per_arm", before.search.trials_per_arm, after.search.trials_per_arm)
    more_trials = bool(what) and after.search.sampler != "none"
    if more_trials and before.search.replicates > 1:
        raise InputError(
            "search.trials_per_arm cannot be increased in a study with replicates; start a new study instead"
        )
    seeds = _more_seeds(before, after)
    what += seeds
    for key in ("methods", "compare", "conditions", "contrasts", "exclude"):
        if old[key] != new[key]:
            what.append(f"{key} added" if key != "exclude" else "exclude changed")
    if not what:
        raise InputError("--extend: the study file adds nothing to the study; continue it with `assay resume`")
    return Extension(tuple(what), exploratory=(bool(seeds) and not before.confirm.is_open) or more_trials)


def _more_seeds(before: Study, after: Study) -> list[str]:
    """Return in words how many seeds are added; in a study with open seeds the looks before stay as they are."""
    old, new = before.confirm, after.confirm
    if old.is_open != new.is_open:
        raise InputError(
            f"--extend: confirm.seeds is {old.seeds} in the study and cannot become {new.seeds}: which test holds must "
            "be declared before the first run; start a new study instead"
        )
    kept = after.looks[: len(before.looks)]
    if old.is_open and kept != before.looks and new.most_seeds >= old.most_seeds:
        raise InputError(
            f"--extend: confirm.looks begin with {list(kept)}, but have been {list(before.looks)}; add to them, or "
            "leave them out"
        )
    return _increase("confirm.most" if old.is_open else "confirm.seeds", old.most_seeds, new.most_seeds)


def _keeps_levels(levels: Any, old: dict[str, Any], factor: str) -> bool:
    return isinstance(levels, list) and all(level in levels for level in old["conditions"][factor])


def _increase(name: str, old: int, new: int) -> list[str]:
    if new < old:
        raise InputError(f"--extend: {name} is {old} in the study and cannot be reduced to {new}")
    return [f"{name} from {old} to {new}"] if new > old else []


def check_kept(before: Plan, after: Plan) -> None:
    """Refuse an extended plan in which an arm is missing or has a different length, cost or rungs.

    Raises:
        InputError: there is such an arm or condition.
    """
    old, new = study_record(before), study_record(after)
    if old.test != new.test:
        raise InputError(f"--extend: confirm.test is {old.test} in the study and cannot be changed")
    arms = {arm.name: arm for arm in new.arms}
    conditions = {condition.name: condition for condition in new.conditions}
    for arm in old.arms:
        if arms.get(arm.name) != arm:
            raise InputError(f"--extend: the arm {arm.name} has been started, and would be removed or changed")
    for condition in old.conditions:
        if conditions.get(condition.name) != condition:
            raise InputError(
                f"--extend: the addition moves the rungs of {condition.name}, so old and new runs could not be "
                "compared; start a new study instead"
            )
