"""Rows of the journal: what `JournalReader` returns and `search.store.journal.Journal` writes.

Times are POSIX seconds; JSON columns contain one object each.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar

from trainables.records.decisions import KINDS, Decision
from trainables.records.journal_schema import CONFIRM, SEARCH, StoredRun

if TYPE_CHECKING:
    import numpy as np

D = TypeVar("D", bound=Decision)


@dataclass(frozen=True)
class Run:
    """One training run; `name` is the same in every repetition of the study.

    Args:
        name: unique name.
        phase: one of `PHASES`.
        condition: name of the condition.
        arm: unique name of the arm.
        method: display name of the method.
        trial_index: number of the trial in its arm, from 0; None outside the search.
        point_index: number of the pooled point, from 0; None outside the confirmation.
        seed_index: number of the seed, from 0; 0 in the search. The seed itself is `config["seed"]`.
        audit: whether it runs to the end regardless of the rungs.
        config: a whole `RunConfig` as JSON.
        parameters: settings by plain name (`learning_rate`, `mixup.alpha`).
        searched: values of the searched dimensions by plain name.
    """

    name: str
    phase: str
    condition: str
    arm: str
    method: str
    trial_index: int | None
    point_index: int | None
    seed_index: int
    audit: bool
    config: dict[str, Any]
    parameters: dict[str, Any]
    searched: dict[str, Any] = field(default_factory=dict)

    @property
    def index(self) -> int:
        """The trial or the point, whichever the phase has; 0 in a final training."""
        return next((index for index in (self.trial_index, self.point_index) if index is not None), 0)


def run_of(row: StoredRun, config: Any, parameters: Any, searched: Any) -> Run:
    """Return the run of a row of `runs`, whose JSON columns are parsed already."""
    return Run(
        name=row.run,
        phase=row.phase,
        condition=row.condition,
        arm=row.arm,
        method=row.method,
        trial_index=row.k if row.phase == SEARCH else None,
        point_index=row.k if row.phase == CONFIRM else None,
        seed_index=row.seed,
        audit=bool(row.audit),
        config=config,
        parameters=parameters,
        searched=searched,
    )


@dataclass(frozen=True)
class Outcome:
    """How a run ended.

    Args:
        outcome: one of `OUTCOMES`.
        epoch: epochs finished.
        reason: why it failed, what is wrong with a completed run, or empty.
        metrics: final metrics by name.
    """

    outcome: str
    epoch: int
    reason: str
    metrics: dict[str, float]


class RunRow(NamedTuple):
    """A run, with its place in the journal and when it was announced."""

    id: int
    run: Run
    at: float


class ReportRow(NamedTuple):
    """What a run measured after an epoch."""

    id: int
    run: str
    epoch: int
    metrics: dict[str, float]
    at: float


class ArrivalRow(NamedTuple):
    """A report without its content."""

    id: int
    run: str
    epoch: int


class OutcomeRow(NamedTuple):
    """How a run ended, and when."""

    id: int
    run: str
    outcome: Outcome
    at: float


class DecisionRow(NamedTuple, Generic[D]):
    """A decision; `run` is None where it is not about a single run."""

    id: int
    run: str | None
    decision: D
    at: float

    def document(self) -> tuple[str, str | None, dict[str, Any], float]:
        """Return the decision as JSON, for copies of a study outside its journal (see `decision_rows`)."""
        return self.decision.kind, self.run, self.decision.dump(), self.at


def decision_rows(documents: Iterable[Sequence[Any]]) -> tuple[DecisionRow[Decision], ...]:
    """Return decisions from their `document`; kinds of a newer version are left out."""
    return tuple(
        DecisionRow(number, run, KINDS[kind].parse(detail), at)
        for number, (kind, run, detail, at) in enumerate(documents)
        if kind in KINDS
    )


class ExampleRow(NamedTuple):
    """Which test examples a confirmation run classified correctly: zlib of `numpy.packbits` of bool (n,)."""

    run: str
    correct: bytes
    n: int

    def unpacked(self) -> np.ndarray:
        """Return bool (n,), in the order of the data."""
        import numpy as np

        bits = np.frombuffer(zlib.decompress(self.correct), dtype=np.uint8)
        return np.unpackbits(bits, count=self.n).astype(bool)
