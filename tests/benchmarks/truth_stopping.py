"""Early stopping in the simulated world: the product's rungs, run by run, in the order in which workers reach them."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from search.orchestration.successive_halving import Rungs
from search.plan.rungs import rung_epochs
from tests.benchmarks.truth_world import EPOCHS, MILESTONES, Trials, World, draw_landscape, draw_trials
from trainables.records import STOP
from trainables.schedules import selection_epochs

COLUMNS = ("better arm chosen", "method chosen", "real", "regret", "epochs", "at equal regret")
WORKERS = 4
AUDIT = 2
TRIALS = 16
MIXUP = World(methods=1, effect=0.7, effect_sd=0.6)
"""Effects spread so that mixup is the true winner about as often as on the real curves, 85 %."""


@dataclass(frozen=True)
class Rule:
    """A way to stop early.

    Args:
        name: as the tables show it.
        rungs: epochs after which a decision is due; none: everything runs to the end.
        factor: the reduction factor.
        window: a run is judged on the mean of so many epochs up to the rung.
        one_pool: all arms compete in one pool.
        audit: trials of each arm that run to the end in any case.
        real: how often it chose mixup on real CIFAR-10 curves of eight networks, in %, where that is known.
    """

    name: str
    rungs: tuple[int, ...] = ()
    factor: float = 3
    window: int = 1
    one_pool: bool = False
    audit: int = AUDIT
    real: str = ""


def _growing(first: int, factor: int) -> tuple[int, ...]:
    """Return the rungs of Ray's successive halving: `first`, and each `factor` times as late as the one before."""
    rungs = [first]
    while rungs[-1] * factor < EPOCHS:
        rungs.append(rungs[-1] * factor)
    return tuple(rungs)


OURS = Rule("pool per arm: the product's rungs", tuple(rung_epochs(EPOCHS, MILESTONES[0], 3, [])))
RULES = (
    Rule("none", real="85"),
    Rule("one pool: Ray's defaults", _growing(1, 4), 4, one_pool=True, audit=0, real="32"),
    Rule("one pool: from 10, a third goes on", _growing(10, 3), 3, one_pool=True, audit=0, real="37"),
    Rule("one pool: from 50, half goes on", _growing(50, 2), 2, one_pool=True, audit=0, real="65"),
    Rule("one pool: from 100, half goes on", _growing(100, 2), 2, one_pool=True, audit=0, real="81"),
    Rule("pool per arm: Ray's defaults", _growing(1, 4), 4, audit=0, real="78"),
    OURS,
    Rule("pool per arm: at the fall, 100", (100,)),
    Rule("pool per arm: 105, a quarter goes on", (105,), 4),
    Rule("pool per arm: 105 and 155", (105, 155)),
    Rule("pool per arm: 67, 105", (67, 105)),
    Rule("pool per arm: 67, 105, mean of 10 epochs", (67, 105), window=10),
    Rule("pool per arm: 33, 105, mean of 10 epochs", (33, 105), window=10),
    Rule("pool per arm: 20, 60, 105, mean of 10 epochs", (20, 60, 105), window=10),
)


@dataclass(frozen=True)
class Searched:
    """What came of the search of all arms.

    Args:
        epochs: int (A, n), epochs that each trial ran.
        selection: float (A, n), what completed trials are judged on; -inf where a trial was stopped.
    """

    epochs: np.ndarray
    selection: np.ndarray

    @property
    def spent(self) -> float:
        """The epochs spent, as a share of what running everything to the end costs."""
        return float(self.epochs.mean()) / EPOCHS

    @property
    def chosen(self) -> np.ndarray:
        """Each arm's best trial, (A,)."""
        return self.selection.argmax(axis=1)

    @property
    def winner(self) -> int:
        """The arm that has the best trial of all."""
        return int(self.selection.max(axis=1).argmax())


def search(trials: Trials, rule: Rule, rng: np.random.Generator) -> Searched:
    """Run the search of a study under a rule, `WORKERS` runs at a time.

    The arms take turns, as in the product; where all compete in one pool, they come in any order.
    """
    arms, count = trials.quality.shape
    at = {rung: trials.curves[:, :, max(0, rung - rule.window) : rung].mean(axis=2) for rung in rule.rungs}
    pools = [Rungs(rule.factor)] * arms if rule.one_pool else [Rungs(rule.factor) for _ in range(arms)]
    turns = [(arm, k) for k in range(count) for arm in range(arms)]
    waiting = [turns[i] for i in rng.permutation(len(turns))] if rule.one_pool else turns
    stops = (*rule.rungs, EPOCHS)
    epochs = np.full((arms, count), EPOCHS)
    busy = [(stops[0], turn, 0) for turn in range(min(WORKERS, len(waiting)))]  # time, turn, stops behind it
    started = len(busy)
    while busy:
        time, turn, passed = heapq.heappop(busy)
        (arm, k), rung = waiting[turn], stops[passed]
        if rung < EPOCHS:
            if pools[arm].decide(rung, float(at[rung][arm, k]), audit=k < rule.audit).action != STOP:
                heapq.heappush(busy, (time + stops[passed + 1] - rung, turn, passed + 1))
                continue
            epochs[arm, k] = rung
        if started < len(waiting):
            heapq.heappush(busy, (time + stops[0], started, 0))
            started += 1
    judged = trials.curves[:, :, EPOCHS - selection_epochs(EPOCHS) :].mean(axis=2)
    return Searched(epochs, np.where(epochs == EPOCHS, judged, -np.inf))


def compare(world: World, rng: np.random.Generator) -> dict[str, float]:
    """Play one search under every rule; return by rule what was chosen, the regret in points and the epochs spent.

    `first N` is the regret after running only the first N trials of each arm, all to the end.
    """
    land = draw_landscape(world, rng)
    trials = draw_trials(land, TRIALS, rng)
    found: dict[str, float] = {}
    for rule in RULES:
        searched = search(trials, rule, rng)
        arm = searched.winner
        found[f"better {rule.name}"] = float(arm == land.tops.argmax())
        found[f"method {rule.name}"] = float(arm > 0)
        found[f"regret {rule.name}"] = float(land.tops.max() - trials.quality[arm, searched.chosen[arm]])
        found[f"spent {rule.name}"] = searched.spent
        if not rule.rungs:
            found |= {f"first {n}": _regret_of_first(n, searched, trials, land.tops) for n in range(1, TRIALS + 1)}
    return found


def _regret_of_first(n: int, searched: Searched, trials: Trials, tops: np.ndarray) -> float:
    arm, k = np.unravel_index(searched.selection[:, :n].argmax(), (len(tops), n))
    return float(tops.max() - trials.quality[arm, k])


def rows(found: dict[str, np.ndarray], percent: Callable[[np.ndarray], str]) -> list[list[str]]:
    """Return the table's rows, one a rule."""
    by_number = np.minimum.accumulate([found[f"first {n}"].mean() for n in range(1, TRIALS + 1)])
    table = []
    for rule in RULES:
        regret, spent = found[f"regret {rule.name}"], float(found[f"spent {rule.name}"].mean())
        as_good = float(np.interp(-regret.mean(), -by_number, np.arange(1, TRIALS + 1)))
        half = 1.96 * regret.std(ddof=1) / np.sqrt(len(regret))
        table.append(
            [
                rule.name,
                percent(found[f"better {rule.name}"]),
                percent(found[f"method {rule.name}"]),
                rule.real,
                f"{regret.mean():.3f} ± {half:.3f}",
                f"{100 * spent:.0f}",
                f"{100 * spent * TRIALS / as_good:.0f}",
            ]
        )
    return table
