"""Studies drawn from a bank of real training runs: error rate, coverage and power of the verdicts.

Options: `--studies N` (2 000); `fixed` or `open`, for one of the two tables; and `--grow N`, which first trains runs
until the bank has N seeds.

Each study has two conditions and five contrasts in each: three twins of the baseline, a planted harm and a planted
gain. Its seeds are drawn without replacement; within each of them, the names of the baseline and of its twins are
shuffled, so that their true difference is exactly zero. The points are chosen and the contrasts judged by the product's
own functions.

Open seeds are judged after every seed from 4 to 60, drawn with replacement, since 60 of the bank's seeds would say too
much about the others. There a claim of a twin at any time is false, and the interval must hold at all times.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from reports.statistics.estimators import Estimate, at_points, over_seeds, own_best
from reports.statistics.group_sequential import decide
from reports.statistics.significance import power
from reports.statistics.variance_pooling import pool_variances
from tests.benchmarks import bank
from tests.benchmarks.common import percent, table
from trainables.records import HELPS, HURTS

SEEDS = (6, 10, 20)
ALPHA = 0.05
LOOKS, LOOK_ALPHAS = (5, 10, 20), (0.01, 0.02, 0.02)
METHODS = bank.ARMS[1:]
NULL = len(bank.TWINS) + 1
"""The first arms, which are exchangeable."""

OPEN = tuple(range(4, 61))
"""Numbers of seeds of a study with open seeds."""

GROUPS = [condition for condition in bank.CONDITIONS for _ in METHODS]
Pool = Callable[[Sequence[Estimate | None]], list[Estimate | None]]


@dataclass(frozen=True)
class Rule:
    """How points are chosen (see `own_best`) and standard errors are estimated."""

    shrunken: bool
    pool: Pool


RULES = {
    "own best, own variances": Rule(False, list),
    "own best, pooled": Rule(False, lambda estimates: pool_variances(estimates, GROUPS)),
    "the product": Rule(True, lambda estimates: pool_variances(estimates, GROUPS)),
}
OPEN_RULE = Rule(True, list)
"""What the product does with open seeds: each contrast's own variance."""


@dataclass(frozen=True)
class Design:
    """When a study is judged.

    Args:
        looks: numbers of seeds; the last is the study's.
        alphas: error rate of each look.
        anytime: whether the seeds are open, so that tests and intervals hold at all numbers of seeds together.
    """

    looks: tuple[int, ...]
    alphas: tuple[float, ...] = (ALPHA,)
    anytime: bool = False


DESIGNS = {f"{seeds} seeds": Design((seeds,)) for seeds in SEEDS} | {"looks at 5, 10, 20": Design(LOOKS, LOOK_ALPHAS)}
OPEN_DESIGNS = {
    "open, judged after each of 4 to 60 seeds": Design(OPEN, (ALPHA,) * len(OPEN), anytime=True),
    "the same, t-test": Design(OPEN, (ALPHA,) * len(OPEN)),
}


@dataclass(frozen=True)
class Bank:
    """The figures of a bank, float (conditions, arms, points, seeds) each: selection metric and test accuracies."""

    selection: np.ndarray
    official: np.ndarray
    extended: np.ndarray
    official_mean: np.ndarray

    @classmethod
    def of(cls, frame: pd.DataFrame) -> Bank:
        """Return the figures of a table as `bank.grow` returns it."""
        shape = (len(bank.CONDITIONS), len(bank.ARMS), len(bank.POINTS), -1)
        index = pd.MultiIndex.from_product(
            [list(bank.CONDITIONS), list(bank.ARMS), range(len(bank.POINTS)), sorted(frame["seed"].unique())],
            names=bank.KEYS,
        )
        rows = frame.set_index(bank.KEYS).loc[index]
        last = {name: rows[name].str[-1].to_numpy(dtype=float) for name in ("official", "extended")}
        mean = rows["official"].map(np.mean).to_numpy(dtype=float)
        arrays = (rows["selection"].to_numpy(dtype=float), last["official"], last["extended"], mean)
        return cls(*(array.reshape(shape) for array in arrays))

    @property
    def seeds(self) -> int:
        """Number of seeds."""
        return self.selection.shape[-1]


@dataclass(frozen=True)
class Claim:
    """One contrast of a study: at each look its estimate, and its true effect at the points chosen then."""

    method: str
    estimates: tuple[Estimate, ...]
    truths: tuple[float, ...]

    def covered(self, judged: Sequence[Estimate | None]) -> bool:
        """Return whether the intervals of the last looks hold the truth; few seeds have none."""
        intervals = [None if estimate is None else estimate.interval for estimate in judged]
        pairs = zip(intervals, self.truths[-len(judged) :], strict=True)
        return all(interval.low <= truth <= interval.high for interval, truth in pairs if interval is not None)


def draw(
    source: Bank, figures: np.ndarray, design: Design, shrunken: bool, replace: bool, rng: np.random.Generator
) -> list[Claim]:
    """Return the claims of one study.

    Args:
        source: the bank.
        figures: the test accuracies that decide, float (conditions, arms, points, seeds), of the bank.
        design: when it is judged.
        shrunken: how points are chosen.
        replace: whether a seed can be drawn more than once.
        rng: what draws the seeds and shuffles the names.
    """
    chosen = rng.choice(source.seeds, design.looks[-1], replace=replace)
    claims = []
    for condition in range(len(figures)):
        order = np.stack([np.r_[rng.permutation(NULL), NULL : len(bank.ARMS)] for _ in chosen], axis=1)  # (A, S)
        selection, test = (
            values[condition][order[:, None, :], np.arange(len(bank.POINTS))[None, :, None], chosen[None, None, :]]
            for values in (source.selection, figures)
        )
        expected = figures[condition].mean(axis=2)
        expected[:NULL] = expected[:NULL].mean(axis=0)
        for method, name in enumerate(METHODS, start=1):
            pair, estimates, truths = [method, 0], [], []
            for seeds in design.looks:
                points = own_best(selection[pair, :, :seeds], shrunken=shrunken)
                mine, other = at_points(test[pair, :, :seeds], points)[:, 0]
                estimates.append(over_seeds(mine - other, design.anytime))
                truths.append(float(np.subtract(*expected[pair, points[:, 0]])))
            claims.append(Claim(name, tuple(estimates), tuple(truths)))
    return claims


@dataclass(frozen=True)
class Tally:
    """What was found in several studies, as lists over studies or claims of bools."""

    false: list[bool]
    covered: list[bool]
    found: dict[str, list[bool]]
    widths: list[float]


def tally(source: Bank, figures: np.ndarray, design: Design, rule: Rule, studies: int, replace: bool = False) -> Tally:
    """Draw studies and judge them."""
    planted = tuple(bank.PLANTED)
    result = Tally([], [], {name: [] for name in planted}, [])
    for number in range(studies):
        rng = np.random.default_rng([bank.SEED, number])
        claims = draw(source, figures, design, rule.shrunken, replace, rng)
        judged = [rule.pool([claim.estimates[look] for claim in claims]) for look in range(len(design.looks))]
        decisions = decide(judged, design.alphas, ALPHA, 0.0)[-1]
        twins = [decision for claim, decision in zip(claims, decisions, strict=True) if claim.method in bank.TWINS]
        result.false.append(any(decision.decided for decision in twins))
        for claim, decision, estimates in zip(claims, decisions, zip(*judged, strict=True), strict=True):
            result.covered.append(claim.covered(estimates if design.anytime else estimates[-1:]))
            if estimates[-1] is not None and estimates[-1].interval is not None:
                result.widths.append(estimates[-1].interval.width)
            if claim.method in planted:
                result.found[claim.method].append(decision.verdict == (HELPS if claim.truths[-1] > 0 else HURTS))
    return result


def ratios(source: Bank, figures: np.ndarray, pooled: bool) -> dict[str, list[float]]:
    """Return effect over standard deviation of each planted difference, by arm, in each condition at its best point.

    The standard deviation is that of a difference in a study, where a twin may stand for the baseline.

    Args:
        source: the bank.
        figures: the test accuracies that decide, float (conditions, arms, points, seeds).
        pooled: whether the standard deviation is that of all contrasts of a condition together.
    """
    found: dict[str, list[float]] = {}
    for condition in range(len(figures)):
        expected = source.selection[condition].mean(axis=2)
        expected[:NULL] = expected[:NULL].mean(axis=0)
        values = figures[condition, range(len(bank.ARMS)), expected.argmax(axis=1)]
        variances = [
            np.mean([(values[arm] - values[other]).var(ddof=1) for other in range(NULL) if other != arm])
            for arm in range(1, len(bank.ARMS))
        ]
        for arm, (name, variance) in enumerate(zip(METHODS, variances, strict=True), start=1):
            if name in bank.PLANTED:
                effect = abs(float(values[arm].mean() - values[:NULL].mean()))
                deviation = float(np.mean(variances) if pooled else variance) ** 0.5
                found.setdefault(name, []).append(effect / deviation)
    return found


def rounded(values: Sequence[bool]) -> str:
    """Return a share as a whole percentage."""
    return f"{100 * np.mean(values):.0f}"


def main(arguments: list[str]) -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(prog="certificate")
    parser.add_argument("table", nargs="?", choices=("fixed", "open"), help="by default both")
    parser.add_argument("--studies", type=int, default=2_000)
    parser.add_argument("--grow", type=int, default=0)
    options = parser.parse_args(arguments)
    source = Bank.of(bank.grow(options.grow) if options.grow else pd.read_parquet(bank.FILE))
    print(f"{source.selection.size:,} runs, {source.seeds} seeds; {options.studies:,} studies of 10 contrasts each")
    print(
        "false: studies in which a twin is said to help or hurt, % (at most 5); coverage of the 95 % interval, % (93\n"
        "to 97); width of the interval, points; harm, gain: found, %, and in brackets what `assay plan` predicts"
    )
    header = ("false", "coverage", "width", *bank.PLANTED)
    if options.table != "open":
        table(("test part; design; rule", *header), fixed_seeds(source, options.studies))
    if options.table != "fixed":
        table(("open seeds: test part; design", *header), open_seeds(source, options.studies))


def fixed_seeds(source: Bank, studies: int) -> list[list[str]]:
    """Return a row per part of the test images, design and rule."""
    parts = {"official": source.official, "extended": source.extended, "official, last epochs": source.official_mean}
    rows = []
    for part, figures in parts.items():
        for design_name, design in DESIGNS.items():
            for rule_name, rule in RULES.items():
                row = summary(tally(source, figures, design, rule, studies))
                planted = ratios(source, figures, rule.pool is not list)
                for place, arm in enumerate(bank.PLANTED, start=3):
                    row[place] += f" ({100 * predicted(planted[arm], design, rule):.0f})"
                rows.append([f"{part}; {design_name}; {rule_name}", *row])
    return rows


def open_seeds(source: Bank, studies: int) -> list[list[str]]:
    """Return a row per part of the test images and test."""
    return [
        [f"{part}; {name}", *summary(tally(source, figures, design, OPEN_RULE, studies, replace=True))]
        for part, figures in (("official", source.official), ("extended", source.extended))
        for name, design in OPEN_DESIGNS.items()
    ]


def summary(found: Tally) -> list[str]:
    """Return the cells of a row: false claims, coverage, width, and how often the planted effects were found."""
    shares = [rounded(found.found[arm]) for arm in bank.PLANTED]
    width = f"{100 * np.mean(found.widths):.2f}"
    return [percent(np.array(found.false, dtype=float)), rounded(found.covered), width, *shares]


def predicted(ratios: Sequence[float], design: Design, rule: Rule) -> float:
    """Return the power that `assay plan` predicts for effects of so many standard deviations, on average."""
    contrasts = 1 if rule.pool is list else len(METHODS)
    level = design.alphas[-1] / (len(METHODS) * len(bank.CONDITIONS))
    return float(np.mean([power(ratio, design.looks[-1], level, contrasts) for ratio in ratios]))
