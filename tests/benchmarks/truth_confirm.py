"""Simulated studies from search to verdict, judged by the product's own functions, and what may be asked of each.

Every measure takes a world and a source of luck, plays one study, and says by name what was found: 1 or 0 where it is
a share that is asked for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from reports.statistics.estimators import (
    Estimate,
    at_points,
    matched_differences,
    over_seeds,
    over_seeds_and,
    own_best,
    tuned_differences,
    unpaired,
)
from reports.statistics.group_sequential import decide
from search.orchestration.pooling import Nuisance, Trial, best, pool
from tests.benchmarks.truth_stopping import OURS, TRIALS, search
from tests.benchmarks.truth_world import (
    NUISANCE,
    Landscape,
    World,
    confirm_runs,
    draw_landscape,
    draw_trials,
    unit,
)
from trainables.records import EQUIVALENT, HELPS, HURTS

POINTS = 2
SEEDS = (6, 10, 20)
LOOKS = (6, 12, 24)
LOOK_ALPHAS = (0.01, 0.02, 0.02)
ALPHA = 0.05
MARGIN = 0.5
SEARCHES = 3
STUDIES_OF_A_LANDSCAPE = 40
PEEKS = range(6, 25, 2)
OPEN = range(4, 61)

Found = dict[str, float]


@dataclass(frozen=True)
class Confirmed:
    """The crossed confirmation of one study; arm 0 is the reference.

    Args:
        quality: float (A, K), true accuracies at the pooled points.
        selection: float (A, K, S), validation accuracies.
        test: float (A, K, S), test accuracies.
        alone: float (A, S), test accuracies of each arm's own winner: what crossing is held against.
    """

    quality: np.ndarray
    selection: np.ndarray
    test: np.ndarray
    alone: np.ndarray

    def tuned(self, method: int, seeds: int) -> tuple[Estimate, float]:
        """Return the tuned effect as the product estimates it, and the true one at the points that were chosen."""
        [differences], chosen = tuned_differences(*self._pair(method, seeds))
        (mine,), (other,) = chosen
        return over_seeds(differences), float(self.quality[method, mine] - self.quality[0, other])

    def matched(self, method: int, seeds: int) -> tuple[Estimate, float]:
        """Return the matched effect as the product estimates it, and the true one at the pooled points."""
        _, test = self._pair(method, seeds)
        return over_seeds(matched_differences(test)), float((self.quality[method] - self.quality[0]).mean())

    def _pair(self, method: int, seeds: int) -> tuple[np.ndarray, np.ndarray]:
        arms = [method, 0]
        return self.selection[arms, :, :seeds], self.test[arms, :, :seeds]


def pooled_quality(land: Landscape, rng: np.random.Generator) -> np.ndarray:
    """Search all arms and pool their points; return true accuracies there, (A, K + 1): last each arm's own winner."""
    trials = draw_trials(land, TRIALS, rng)
    selection = search(trials, OURS, rng).selection
    ended = {
        str(arm): [Trial(k, trials.values[k], float(value)) for k, value in enumerate(row) if np.isfinite(value)]
        for arm, row in enumerate(selection)
    }
    points = unit(NUISANCE, [point.values for point in pool(ended, Nuisance(NUISANCE), POINTS)])
    winners = [best(found).trial_index for found in ended.values()]
    return np.stack(
        [
            land.quality(arm, np.vstack([points, trials.settings[k]]), np.full(len(points) + 1, trials.own[arm, k]))
            for arm, k in enumerate(winners)
        ]
    )


def confirmed(world: World, rng: np.random.Generator) -> Confirmed:
    """Play one study with as many seeds as anything here asks for."""
    quality = pooled_quality(draw_landscape(world, rng), rng)
    validation, test = confirm_runs(world, quality, max(*SEEDS, *LOOKS), rng)
    return Confirmed(quality[:, :-1], validation[:, :-1], test[:, :-1], test[:, -1])


def coverage(world: World, rng: np.random.Generator) -> Found:
    """Say whether the 95 % intervals hold the truth, for the first method."""
    study, found = confirmed(world, rng), Found()
    top = study.quality.max(axis=1)
    for seeds in SEEDS:
        tuned, truth = study.tuned(1, seeds)
        matched, truth_matched = study.matched(1, seeds)
        found[f"tuned {seeds}"] = _holds(tuned, truth)
        found[f"best {seeds}"] = _holds(tuned, float(top[1] - top[0]))
        found[f"matched {seeds}"] = _holds(matched, truth_matched)
    return found


def lopsided(points: int, world: World, rng: np.random.Generator) -> Found:
    """Say whether the interval holds the truth in the worst case for choosing on the same seeds.

    The method is equally good at all pooled points, so that its best one looks better than it is; the reference is
    good at one point only, and gains nothing from choosing.
    """
    quality = np.zeros((2, points))
    quality[0, 1:] = -10 * world.seed_sd
    study = Confirmed(quality, *confirm_runs(world, quality, max(SEEDS), rng), np.empty((2, 0)))
    return {f"tuned {seeds}": _holds(*study.tuned(1, seeds)) for seeds in SEEDS}


def false_claims(world: World, rng: np.random.Generator) -> Found:
    """Say whether any method is said to help or to hurt, in the product's way and in the naive ones."""
    study = confirmed(world, rng)
    methods = range(1, world.methods + 1)

    def tuned(seeds: int) -> list[Estimate]:
        return [study.tuned(method, seeds)[0] for method in methods]

    found = {"looks": _claimed([tuned(seeds) for seeds in LOOKS], LOOK_ALPHAS)}
    found["peeks"] = max(_claimed([tuned(seeds)]) for seeds in PEEKS)
    for seeds in SEEDS:
        alone = study.alone[:, :seeds]
        found[f"tuned {seeds}"] = _claimed([tuned(seeds)])
        found[f"matched {seeds}"] = _claimed([[study.matched(method, seeds)[0] for method in methods]])
        found[f"alone {seeds}"] = _claimed([[over_seeds(alone[method] - alone[0]) for method in methods]])
        found[f"unpaired {seeds}"] = max(_claimed([[unpaired(alone[method], alone[0])]]) for method in methods)
    found["one seed"] = float((np.abs(study.alone[1:, 0] - study.alone[0, 0]) >= MARGIN).any())
    return found


def open_seeds(world: World, rng: np.random.Generator) -> Found:
    """Say whether any method is said to help or to hurt at any number of seeds, judged after each from 4 to 60.

    With several pooled points, the choice of points is made again after each seed, as the product does.
    """
    quality = pooled_quality(draw_landscape(world, rng), rng)[:, :-1]
    validation, test = confirm_runs(world, quality, OPEN[-1], rng)

    def looks(points: int, anytime: bool) -> list[list[Estimate]]:
        arms = [([method, 0], slice(points)) for method in range(1, world.methods + 1)]
        return [
            [over_seeds(_tuned(*_first(validation, test, arm, seeds), shrunken=True), anytime) for arm in arms]
            for seeds in OPEN
        ]

    found = {f"open {points}": _claimed(looks(points, True), (ALPHA,) * len(OPEN)) for points in (1, POINTS)}
    return found | {
        f"uncorrected {points}": _claimed(looks(points, False), (ALPHA,) * len(OPEN)) for points in (1, POINTS)
    }


def lopsided_open(points: int, world: World, rng: np.random.Generator) -> Found:
    """Say whether the confidence sequence holds the truth at all numbers of seeds, in the worst case of `lopsided`."""
    quality = np.zeros((2, points))
    quality[0, 1:] = -10 * world.seed_sd
    validation, test = confirm_runs(world, quality, OPEN[-1], rng)
    holds = [
        _holds(over_seeds(_tuned(*_first(validation, test, ([1, 0], slice(points)), n)), True), 0.0)
        for n in OPEN
        if n > 4  # with fewer there is no interval
    ]
    return {"open": min(holds)}


def _tuned(selection: np.ndarray, test: np.ndarray, shrunken: bool = False) -> np.ndarray:
    """Return the tuned differences of a single search, float (S,)."""
    [differences], _ = tuned_differences(selection, test, shrunken=shrunken)
    return differences


def _first(
    validation: np.ndarray, test: np.ndarray, arm: tuple[list[int], slice], seeds: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return selection and test metrics of a pair of arms with the first seeds, float (2, K, S) each."""
    pair, points = arm
    return validation[pair, points, :seeds], test[pair, points, :seeds]


def power(world: World, rng: np.random.Generator) -> Found:
    """Say what the verdicts on all methods are, as shares of the methods; with and without the margin."""
    study, found = confirmed(world, rng), Found()
    methods = range(1, world.methods + 1)
    for seeds in SEEDS:
        for name, effect in (("tuned", study.tuned), ("matched", study.matched)):
            estimates = [effect(method, seeds)[0] for method in methods]
            verdicts = _verdicts([estimates], (ALPHA,), 0.0)
            found[f"{name} {seeds}"] = verdicts.count(HELPS) / len(verdicts)
            found[f"{name} wrong {seeds}"] = verdicts.count(HURTS) / len(verdicts)
            within = _verdicts([estimates], (ALPHA,), MARGIN)
            found[f"{name} equivalent {seeds}"] = within.count(EQUIVALENT) / len(within)
    return found


def replicates(world: World, rng: np.random.Generator) -> Found:
    """Play many studies of several searches each on one landscape; return how often their intervals hold the truth.

    The truth is the mean effect over searches like these: over all that were played.
    """
    land = draw_landscape(world, rng)
    played = [_of_several_searches(land, rng) for _ in range(STUDIES_OF_A_LANDSCAPE)]
    found = Found()
    for place, seeds in enumerate(SEEDS):
        truth = float(np.mean([study[place][0] for study in played]))
        found[f"searches {seeds}"] = float(np.mean([_holds(study[place][1], truth) for study in played]))
        found[f"seeds {seeds}"] = float(np.mean([_holds(study[place][2], truth) for study in played]))
    return found


def _of_several_searches(land: Landscape, rng: np.random.Generator) -> list[tuple[float, Estimate, Estimate]]:
    """Play one study; return for each number of seeds the true effect at its points, and what is estimated: over
    seeds and searches, and over seeds alone."""
    qualities = [pooled_quality(land, rng)[:, :-1] for _ in range(SEARCHES)]
    searches = np.repeat(np.arange(SEARCHES), [quality.shape[1] for quality in qualities])
    quality = np.concatenate(qualities, axis=1)
    validation, test = confirm_runs(land.world, quality, max(SEEDS), rng)
    found = []
    for seeds in SEEDS:
        chosen = own_best(validation[[1, 0], :, :seeds], searches)
        mine, other = at_points(quality[[1, 0], :, None], chosen)
        method, reference = at_points(test[[1, 0], :, :seeds], chosen)  # (R, S) each
        by_search = method - reference
        found.append((float((mine - other).mean()), over_seeds_and(by_search.T), over_seeds(by_search.mean(axis=0))))
    return found


def _holds(estimate: Estimate, truth: float) -> float:
    interval = estimate.interval
    return float(interval is not None and interval.low <= truth <= interval.high)


def _verdicts(looks: Sequence[Sequence[Estimate]], alphas: Sequence[float], margin: float) -> list[str]:
    return [decision.verdict for decision in decide(looks, alphas, ALPHA, margin)[-1]]


def _claimed(looks: Sequence[Sequence[Estimate]], alphas: Sequence[float] = (ALPHA,)) -> float:
    """Return 1 if any method is said to help or to hurt. No margin: `equivalent` would hide some of these."""
    return float(any(verdict in (HELPS, HURTS) for verdict in _verdicts(looks, alphas, 0.0)))
