"""Resources per run: from the study file, and as changed by `assay resume --set`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import AfterValidator, Field, ValidationError

from search.store.yaml_files import apply_override
from search.study.error_messages import explain
from trainables.errors import InputError
from trainables.records import DataPlace, ResourcesDecision
from trainables.registration.fields import Frozen

if TYPE_CHECKING:
    from search.store.journal import Journal

SECTION = "resources"


def whole_or_shared(gpus: float) -> float:
    """Check that a number of GPUs is below 1 or whole, since Ray cannot allocate anything else."""
    if gpus > 1 and gpus != int(gpus):
        raise ValueError(f"must be a fraction of one GPU (below 1) or a whole number, but got {gpus:g}")
    return gpus


class Resources(Frozen):
    """Resources per run, and the number of concurrent runs (by default as many as fit).

    Args:
        cpus: CPUs per run.
        gpus: GPUs per run: a fraction of one, or a whole number; several share each batch, which needs JAX.
        data: where the images are while a run trains: `resident` on its device, `streamed` from the host in chunks, or
            `auto`: streamed if images and network would not fit the device, or half of the host's memory without one.
            The results are the same.
        concurrency: maximum number of concurrent runs.
        checkpoint_seconds: minimum time between two checkpoints of a run.
        epoch_minutes: time limit of an epoch, after which its run fails.
        budget_hours: wall time of one start or resumption, after which it stops as if interrupted; `assay plan`
            compares its estimate with it.
    """

    cpus: Annotated[int, Field(ge=1, le=10_000)] = 1
    gpus: Annotated[float, Field(ge=0, le=10_000), AfterValidator(whole_or_shared)] = 0
    data: Annotated[
        DataPlace,
        Field(description="images on the device, sent from the host in chunks, or auto: sent if they do not fit"),
    ] = "auto"
    concurrency: Annotated[int, Field(ge=1, le=100_000)] | None = None
    checkpoint_seconds: Annotated[float, Field(gt=0, le=1e6)] = 60
    epoch_minutes: Annotated[float, Field(gt=0, le=1e6, description="an epoch that takes longer fails its run")] = 60
    budget_hours: Annotated[float, Field(gt=0, le=1e6)] | None = None

    def fitting(self, cpus: float, gpus: float) -> int:
        """Return how many concurrent runs fit on a machine.

        >>> Resources(cpus=2).fitting(16, 0), Resources(cpus=2, gpus=0.5).fitting(16, 1)
        (8, 2)
        """
        fit = int(cpus // self.cpus)
        return min(fit, int(gpus / self.gpus + 1e-9)) if self.gpus else fit


def changed(resources: Resources, sets: Sequence[str]) -> Resources:
    """Return resources with overrides applied.

    Args:
        resources: the current resources.
        sets: overrides of the form `resources.NAME=VALUE`, with the value in YAML.

    Raises:
        InputError: an override has another key or an invalid value.

    Examples:
        >>> changed(Resources(), ["resources.gpus=0.5"]).gpus
        0.5
    """
    document: dict[str, Any] = {SECTION: resources.model_dump(mode="json")}
    for text in sets:
        if not text.strip().startswith(f"{SECTION}."):
            raise InputError(
                f"--set {text}: must be `resources.NAME=VALUE`, with one of "
                f"{', '.join(Resources.model_fields)}; to extend the study itself, use `assay run STUDY --extend`; "
                "for moved images, use `--data PATH`"
            )
        apply_override(document, text)
    try:
        return Resources.model_validate(document[SECTION])
    except ValidationError as error:
        raise InputError(explain(error, Resources, f"--set {SECTION}")) from None


def current_resources(journal: Journal, first: Resources) -> Resources:
    """Return the resources last recorded in the journal, or `first`, those of the study file."""
    later = journal.decisions(ResourcesDecision)
    return Resources.model_validate(later[-1].decision.dump()) if later else first


def override_resources(journal: Journal, first: Resources, sets: Sequence[str]) -> None:
    """Apply overrides to the resources of all later runs (see `changed`)."""
    record_resources(journal, first, changed(current_resources(journal, first), sets))


def record_resources(journal: Journal, first: Resources, now: Resources) -> None:
    """Record the resources of all later runs, if they have changed."""
    if now != current_resources(journal, first):
        journal.decide(ResourcesDecision.parse(now.model_dump(mode="json")))
