"""Growing a study that has begun: more trials, seeds, methods or conditions, and nothing that is done changed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from search.plan.model import Plan
from search.plan.record import study_record
from search.study.schema import Study
from trainables.errors import InputError
from trainables.records import ExtensionDecision, PlanRecord

SAME = ("name", "data", "recipe", "nuisance", "reference", "smallest_effect", "alpha", "metric", "seed")
SAME_IN = {
    "search": ("sampler", "early_stopping", "reduction_factor", "audit", "match", "replicates"),
    "confirm": ("points",),
}


@dataclass(frozen=True)
class Growth:
    """What is added to a study.

    Args:
        what: in words, one entry each.
        exploratory: whether claims may rest on a look that was not declared.
    """

    what: tuple[str, ...]
    exploratory: bool

    def decision(self, before: PlanRecord) -> ExtensionDecision:
        """Return the decision that the journal keeps; `before` is the plan until now."""
        return ExtensionDecision(what=self.what, exploratory=self.exploratory, plan=before)


def growth(before: Study, after: Study) -> Growth:
    """Return what a study file adds to a study.

    Raises:
        InputError: it changes or takes away what has been run, or adds nothing.
    """
    old, new = before.document(), after.document()
    changed = [key for key in SAME if old[key] != new[key]]
    changed += [f"{part}.{key}" for part, keys in SAME_IN.items() for key in keys if old[part][key] != new[part][key]]
    changed += [f"conditions.{key}" for key in old["conditions"] if not _holds(new["conditions"].get(key), old, key)]
    changed += ["conditions"] if list(old["conditions"]) != list(new["conditions"]) else []
    changed += ["compare"] if list(old["compare"]) != list(new["compare"]) else []
    changed += [f"methods: {entry['as']}" for entry in old["methods"] if entry not in new["methods"]]
    changed += ["contrasts"] if any(pair not in new["contrasts"] for pair in old["contrasts"]) else []
    if changed:
        raise InputError(
            f"--extend adds to a study and changes nothing in it, but {', '.join(dict.fromkeys(changed))} would "
            "change; start a new study for that"
        )
    what = _raised("search.trials_per_arm", before.search.trials_per_arm, after.search.trials_per_arm)
    more_trials = bool(what) and after.search.sampler != "none"
    if more_trials and before.search.replicates > 1:
        raise InputError("search.trials_per_arm cannot grow in a study with replicates; raise search.replicates anew")
    seeds = _raised("confirm.seeds", before.confirm.seeds, after.confirm.seeds)
    what += seeds
    for key in ("methods", "compare", "conditions", "contrasts", "exclude"):
        if old[key] != new[key]:
            what.append(f"{key} added" if key != "exclude" else "exclude changed")
    if not what:
        raise InputError("--extend: the study file asks for nothing more than the study has; go on with `assay resume`")
    return Growth(tuple(what), exploratory=bool(seeds) or more_trials)


def _holds(levels: Any, old: dict[str, Any], factor: str) -> bool:
    return isinstance(levels, list) and all(level in levels for level in old["conditions"][factor])


def _raised(name: str, old: int, new: int) -> list[str]:
    if new < old:
        raise InputError(f"--extend: {name} is {old} in the study and cannot fall to {new}")
    return [f"{name} from {old} to {new}"] if new > old else []


def check_kept(before: Plan, after: Plan) -> None:
    """Refuse a plan that leaves out an arm, or gives one another length, cost or rungs.

    Raises:
        InputError: it does.
    """
    old, new = study_record(before), study_record(after)
    arms = {arm.name: arm for arm in new.arms}
    conditions = {condition.name: condition for condition in new.conditions}
    for arm in old.arms:
        if arms.get(arm.name) != arm:
            raise InputError(f"--extend: the arm {arm.name} has begun and would be lost or changed")
    for condition in old.conditions:
        if conditions.get(condition.name) != condition:
            raise InputError(
                f"--extend: what is added moves the rungs of {condition.name}, so old and new runs could not be "
                "compared; start a new study for it"
            )
