"""Study extension: more trials, seeds, methods or conditions, without changing anything that has been run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from search.plan.model import Plan
from search.plan.record import study_record
from search.study.schema import PRECISION, Study
from trainables.errors import InputError
from trainables.records import ExtensionDecision, PlanRecord

ADDABLE = ("methods", "compare", "conditions", "exclude", "contrasts")
"""Keys of a study file that an extension may add to."""
INCREASED = {"search": ("trials_per_arm",), "confirm": ("seeds", "most", "looks")}
"""Keys of its sections that an extension may increase."""
FREE = {
    "resources": "`assay resume FOLDER --set resources.NAME=VALUE` changes resources",
    "tracking": "name another store together with an addition, or in MLFLOW_TRACKING_URI if the study names none",
}
"""Keys that an extension takes over but that are none by themselves, with what to do. All others cannot change."""


@dataclass(frozen=True)
class Extension:
    """What a study file adds to a study.

    Args:
        what: the additions in words, one entry each.
        exploratory: whether claims may be based on a look that was not declared.
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
    written = after.confirm.test if "test" in after.confirm.model_fields_set else None
    if before.test_part == "official" and not (written == "extended" and before.leaves_images):
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
    if changed := _changes(before, after):
        raise InputError(f"--extend can only add to a study, but {', '.join(changed)}; start a new study instead")
    trials = _increase("search.trials_per_arm", before.search.trials_per_arm, after.search.trials_per_arm)
    more_trials = bool(trials) and after.search.sampler != "none"
    seeds = _more_seeds(before, after)
    old, new = before.document(), after.document()
    grown = [key for key in ADDABLE if old[key] != new[key]]
    if before.search.replicates > 1 and (more_trials or {"methods", "compare"} & set(grown)):
        raise InputError(
            "--extend: neither trials nor methods or levels can be added to a study with `search.replicates`: they "
            "would add points to searches whose points are numbered already; start a new study instead"
        )
    what = [*trials, *seeds, *("exclude changed" if key == "exclude" else f"{key} added" for key in grown)]
    if not what:
        free = {key: changed for key in FREE if (changed := _differences(key, old[key], new[key]))}
        alone = "".join(
            f". {', '.join(changed)}, which is not an addition: {FREE[key]}" for key, changed in free.items()
        )
        raise InputError(f"--extend: the study file adds nothing to the study; continue it with `assay resume`{alone}")
    return Extension(tuple(what), exploratory=(bool(seeds) and not before.confirm.is_open) or more_trials)


def _changes(before: Study, after: Study) -> list[str]:
    """Return in words what a study file changes or removes that an extension cannot change."""
    old, new = before.document(), after.document()
    listed = all("data" in each["conditions"] for each in (old, new))  # then `data` is the first level
    fixed, would_be = (_fixed(each, listed) for each in (old, new))
    found = [change for key in fixed for change in _differences(key, fixed[key], would_be[key])]
    found += _changed_looks(before, after)
    for factor, levels in old["conditions"].items():
        found += _lost(f"conditions.{factor}", levels, new["conditions"].get(factor, []))
    for key in ("conditions", "compare"):
        found += _differences(key, list(old[key]), list(new[key]))
    for key in ("methods", "contrasts"):
        found += _lost(key, old[key], new[key])
    return found


def _changed_looks(before: Study, after: Study) -> list[str]:
    """Return in words whether looks of the study would change; more seeds may replace the last one if it is closed."""
    old, new = before.confirm, after.confirm
    if old.is_open != new.is_open or new.most_seeds < old.most_seeds:
        return []  # refused for that reason
    last = old.most_seeds if old.is_open else old.most_seeds - 1
    was, would_be = ([look for look in looks if look <= last] for looks in (before.looks, after.looks))
    if was == would_be:
        return []
    return [f"confirm.looks would begin with {would_be!s:.80} instead of {was!s:.80} (leave it out to keep them)"]


def _fixed(document: Mapping[str, Any], listed: bool) -> dict[str, Any]:
    """Return the part of a study file that cannot change; `data` can if its levels are listed in `conditions`."""
    kept = {
        key: value for key, value in document.items() if key not in (*ADDABLE, *FREE) and not (listed and key == "data")
    }
    for part, numbers in INCREASED.items():
        kept[part] = {key: value for key, value in kept[part].items() if key not in numbers}
    return kept


def _differences(key: str, old: Any, new: Any) -> list[str]:
    """Return in words the keys of a document that differ, with what they were and would be.

    >>> _differences("search", {"audit": 2, "match": "epochs"}, {"audit": 3, "match": "epochs"})
    ['search.audit would change from 2 to 3']
    """
    if isinstance(old, dict) and isinstance(new, dict):
        names = dict.fromkeys((*old, *new))
        return [each for name in names for each in _differences(f"{key}.{name}", old.get(name), new.get(name))]
    if old == new:
        return []
    was, would_be = ("unset" if value is None else f"{value!r:.80}" for value in (old, new))
    return [f"{key} would change from {was} to {would_be}"]


def _lost(key: str, old: list[Any], new: list[Any]) -> list[str]:
    """Return in words the entries of a list that another list lacks, or has with other settings."""
    before, after = ({_name(entry): entry for entry in each} for each in (old, new))
    removed = [f"{key}: {name} would be removed" for name in before if name not in after]
    kept = [name for name in before if name in after]
    return removed + [each for name in kept for each in _differences(f"{key}.{name}", before[name], after[name])]


def _name(entry: Any) -> str:
    return str(entry["as"] if isinstance(entry, dict) else entry)


def _more_seeds(before: Study, after: Study) -> list[str]:
    """Return in words how many seeds are added."""
    old, new = before.confirm, after.confirm
    if old.is_open != new.is_open:
        raise InputError(
            f"--extend: confirm.seeds is {old.seeds} in the study and cannot become {new.seeds}: the stopping rule "
            "must be declared before the first run; start a new study instead"
        )
    return _increase("confirm.most" if old.is_open else "confirm.seeds", old.most_seeds, new.most_seeds)


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
