"""What one run takes: as a study file says it, and as somebody changes it who resumes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import AfterValidator, Field, ValidationError

from search.store.yaml_files import apply_override
from search.study.error_messages import explain
from trainables.errors import InputError
from trainables.records import ResourcesDecision
from trainables.registration.fields import Frozen

if TYPE_CHECKING:
    from search.store.journal import Journal

SECTION = "resources"


def whole_or_shared(gpus: float) -> float:
    """Refuse what Ray cannot give: more than one GPU, and a part of another."""
    if gpus > 1 and gpus != int(gpus):
        raise ValueError(f"gpus: must be a part of one GPU (below 1) or a whole number, but got {gpus:g}")
    return gpus


class Resources(Frozen):
    """What one run takes, and how many run at once (by default as many as fit).

    Args:
        budget_hours: wall time of one start or resumption, after which it stops as if interrupted; `assay plan` holds
            its estimate against it.
    """

    cpus: Annotated[int, Field(ge=1, le=10_000)] = 1
    gpus: Annotated[float, Field(ge=0, le=10_000), AfterValidator(whole_or_shared)] = 0
    concurrency: Annotated[int, Field(ge=1, le=100_000)] | None = None
    checkpoint_seconds: Annotated[float, Field(gt=0)] = 60
    epoch_minutes: Annotated[float, Field(gt=0, description="an epoch that takes longer fails its run")] = 60
    budget_hours: Annotated[float, Field(gt=0)] | None = None


def changed(resources: Resources, sets: Sequence[str]) -> Resources:
    """Return resources with changes.

    Args:
        resources: as they are.
        sets: `resources.NAME=VALUE` each, the value in YAML.

    Raises:
        InputError: one names something else, or has a value that is not allowed.
    """
    document: dict[str, Any] = {SECTION: resources.model_dump(mode="json")}
    for text in sets:
        if not text.strip().startswith(f"{SECTION}."):
            raise InputError(
                f"--set {text}: here it takes `resources.NAME=VALUE` only, with one of "
                f"{', '.join(Resources.model_fields)}; what a study asks for grows with `assay run STUDY --extend`"
            )
        apply_override(document, text)
    try:
        return Resources.model_validate(document[SECTION])
    except ValidationError as error:
        raise InputError(explain(error, Resources, f"--set {SECTION}")) from None


def recalled(journal: Journal, first: Resources) -> Resources:
    """Return what runs take now; `first` is what they took in the beginning."""
    later = journal.decisions(ResourcesDecision)
    return Resources.model_validate(later[-1].decision.dump()) if later else first


def change(journal: Journal, first: Resources, sets: Sequence[str]) -> None:
    """Change what runs take from here on (see `changed`)."""
    decide(journal, first, changed(recalled(journal, first), sets))


def decide(journal: Journal, first: Resources, now: Resources) -> None:
    """Write down what runs take from here on, if that is something else than until now."""
    if now != recalled(journal, first):
        journal.decide(ResourcesDecision.parse(now.model_dump(mode="json")))
