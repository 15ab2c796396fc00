"""The anytime-valid t-test: its formula, its error rate under continuous monitoring, and its confidence sequence."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import integrate, stats

from reports.statistics.anytime import PRIOR_SD, anytime_p, anytime_quantile, equivalent_level, log_e_value
from reports.statistics.estimators import LEVEL, Estimate, over_seeds, t_quantile
from reports.statistics.group_sequential import decide
from reports.statistics.significance import difference_p, equivalence_p, power, seeds_needed
from trainables.records import EQUIVALENT, HURTS, UNDECIDED

ALPHA = 1 - LEVEL
FIRST, MOST = 4, 60
STUDIES = 4_000
LOOKS = range(FIRST, MOST + 1)


def monitored(differences: np.ndarray, mean: float = 0.0) -> np.ndarray:
    """Return the t statistics of the differences to `mean` at every look, float (..., looks)."""
    counts = np.arange(1, MOST + 1)
    sums, squares = differences.cumsum(axis=-1), (differences**2).cumsum(axis=-1)
    variances = (squares - sums**2 / counts)[..., FIRST - 1 :] / (counts - 1)[FIRST - 1 :]
    return (sums / counts - mean)[..., FIRST - 1 :] / np.sqrt(variances / counts[FIRST - 1 :])


def arms(family: int, draw: str, rng: np.random.Generator) -> np.ndarray:
    """Return the paired differences of studies of equal methods that share a reference, (studies, family, seeds)."""
    size = (STUDIES, family + 1, MOST)
    noise = rng.standard_normal(size) if draw == "normal" else rng.laplace(size=size)
    return noise[:, 1:] - noise[:, :1]


@pytest.mark.parametrize("seeds", [3, 6, 11])
@pytest.mark.parametrize("shift", [0.0, 0.8])
def test_the_e_value_is_the_ratio_of_the_marginal_likelihoods(seeds: int, shift: float) -> None:
    """Integrate the likelihood of the data over effect and log spread: the right Haar prior is d spread / spread."""
    values = np.random.default_rng(seeds).normal(shift, 1, seeds)

    def likelihood(effect: float, log_spread: float) -> float:
        spread = np.exp(log_spread)
        return float(np.prod(stats.norm.pdf(values, effect * spread, spread)))

    def weighted(effect: float, log_spread: float) -> float:
        return likelihood(effect, log_spread) * float(stats.norm.pdf(effect, 0, PRIOR_SD))

    grid_effect, grid_spread = np.linspace(-7, 7, 141), np.linspace(-2.5, 4, 131)
    table = np.array([[weighted(effect, spread) for spread in grid_spread] for effect in grid_effect])
    above = integrate.trapezoid(integrate.trapezoid(table, grid_spread, axis=1), grid_effect)
    below = integrate.trapezoid([likelihood(0.0, spread) for spread in grid_spread], grid_spread)
    estimate = over_seeds(values)
    assert np.exp(log_e_value(estimate.mean / estimate.error, seeds - 1)) == pytest.approx(above / below, rel=1e-4)


@pytest.mark.parametrize("freedom", [5, 9.5, 59])
@pytest.mark.parametrize("alpha", [0.05, 0.05 / 6])
def test_the_quantile_is_where_the_p_value_is_alpha(freedom: float, alpha: float) -> None:
    assert anytime_p(anytime_quantile(freedom, alpha), freedom) == pytest.approx(alpha)


def test_few_seeds_cannot_decide_whatever_the_difference() -> None:
    assert np.isinf(anytime_quantile(3, 0.05))
    assert anytime_p(1e9, 3) > 0.05
    assert np.isfinite(anytime_quantile(4, 0.05))
    assert np.isinf(anytime_quantile(4, 0.05 / 6))


@pytest.mark.parametrize("draw", ["normal", "laplace"])
@pytest.mark.parametrize("family", [1, 6])
def test_continuous_monitoring_keeps_the_error_rate_and_that_of_the_t_test_does_not(family: int, draw: str) -> None:
    """Without any effect, Holm's method claims something at a look if and only if a p-value is at most alpha/family."""
    statistics = np.abs(monitored(arms(family, draw, np.random.default_rng(family))))
    anytime = [anytime_quantile(seeds - 1, ALPHA / family) for seeds in LOOKS]
    fixed = [stats.t.isf(ALPHA / family / 2, seeds - 1) for seeds in LOOKS]
    claimed = (statistics >= anytime).any(axis=(1, 2)).mean()
    assert 0 < claimed <= ALPHA
    assert (statistics >= fixed).any(axis=(1, 2)).mean() > 2 * ALPHA


def test_the_decision_rule_claims_what_the_quantiles_say() -> None:
    family = 6
    studies = arms(family, "normal", np.random.default_rng(5))[:40]
    studies[::2, 2] -= 1.0  # an effect, so that some claims are made
    reached = np.abs(monitored(studies)) >= [anytime_quantile(seeds - 1, ALPHA / family) for seeds in LOOKS]
    for study, crossed in zip(studies, reached, strict=True):
        looks = [[over_seeds(one[:seeds], anytime=True) for one in study] for seeds in LOOKS]
        found = decide(looks, [ALPHA] * len(looks), ALPHA, margin=0)[-1]
        assert any(decision.decided for decision in found) == crossed.any()
        first = min((decision.look for decision in found if decision.decided), default=None)
        assert first == (int(crossed.any(axis=0).argmax()) if crossed.any() else None)


def test_a_claim_of_equivalence_is_rarely_wrong() -> None:
    margin, rng = 0.5, np.random.default_rng(3)
    values = rng.normal(margin, 1, (STUDIES, MOST))
    means = np.abs(values.cumsum(axis=1) / np.arange(1, MOST + 1))[:, FIRST - 1 :]
    nearer = np.abs(monitored(values, margin))
    wrong = (means < margin) & (nearer >= [anytime_quantile(seeds - 1, ALPHA) for seeds in LOOKS])
    assert 0 < wrong.any(axis=1).mean() <= ALPHA


def test_the_confidence_sequence_holds_the_mean_at_all_looks_together() -> None:
    truth, rng = 0.7, np.random.default_rng(4)
    values = rng.normal(truth, 2.0, (STUDIES, MOST))
    statistics = np.abs(monitored(values, truth))
    always = (statistics < [anytime_quantile(seeds - 1, ALPHA) for seeds in LOOKS]).all(axis=1).mean()
    assert always >= LEVEL
    assert (statistics < [t_quantile(seeds - 1) for seeds in LOOKS]).all(axis=1).mean() < 0.85
    estimate = over_seeds(values[0], anytime=True)
    assert estimate.interval
    for bound in (estimate.interval.low, estimate.interval.high):
        assert difference_p(replace(estimate, mean=estimate.mean - bound)) == pytest.approx(ALPHA)


def test_equivalence_is_claimed_if_the_confidence_sequence_is_inside_the_margin() -> None:
    estimate = Estimate(0.1, 0.2, 19, anytime=True)
    assert estimate.interval
    assert equivalence_p(estimate, estimate.interval.high) == pytest.approx(ALPHA)
    assert equivalence_p(estimate, 0.05) == 1.0
    assert equivalence_p(Estimate(0.0, 0.0, 2, anytime=True), 0.1) == 0.0


def test_a_decided_claim_leaves_its_share_to_the_others_and_keeps_its_verdict() -> None:
    first = [Estimate(-1.0, 0.02, 9, anytime=True), Estimate(0.0, 0.3, 9, anytime=True)]
    second = [Estimate(0.0, 0.3, 19, anytime=True), Estimate(0.0, 0.03, 19, anytime=True)]
    looks = decide([first, second], [ALPHA, ALPHA], ALPHA, margin=0.5)
    assert [decision.verdict for decision in looks[0]] == [HURTS, UNDECIDED]
    assert [decision.verdict for decision in looks[1]] == [HURTS, EQUIVALENT]
    assert [decision.look for decision in looks[1]] == [0, 1]


def test_the_power_is_that_of_the_t_test_at_the_equivalent_level() -> None:
    rng = np.random.default_rng(6)
    found = np.abs(monitored(rng.normal(0.6, 1, (STUDIES, MOST)))) >= [
        anytime_quantile(seeds - 1, ALPHA) for seeds in LOOKS
    ]
    at_30, by_30 = found[:, 30 - FIRST].mean(), found[:, : 31 - FIRST].any(axis=1).mean()
    assert power(0.6, 30, ALPHA, anytime=True) == pytest.approx(at_30, abs=0.02)
    assert at_30 + 0.05 < by_30 < at_30 + 0.15
    assert equivalent_level(30, ALPHA) < ALPHA / 10
    fixed, needed = (seeds_needed(1.0, 20, 0.5, ALPHA, anytime=anytime) for anytime in (False, True))
    assert fixed is not None
    assert needed is not None
    assert fixed.likely is not None
    assert needed.likely is not None
    assert fixed.likely < needed.likely
