"""Simulated studies with known effects, through the product's own rules: is what a study says true?

Options: `--studies N` (of each kind, 2 000), `--quick` (100), and any of the parts' names: coverage, claims,
open_seeds, power, replicates, stopping. 95 % Monte-Carlo intervals in brackets. Two processes.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from tests.benchmarks import truth_confirm, truth_stopping
from tests.benchmarks.common import percent, table
from tests.benchmarks.truth_confirm import LOOKS, MARGIN, OPEN, SEEDS, STUDIES_OF_A_LANDSCAPE, Found
from tests.benchmarks.truth_world import World

Measure = Callable[[World, np.random.Generator], Found]
SEED = 1
PLAIN = World(methods=1)
ALIKE = World(methods=3, trailing=False)
UNLIKE = replace(PLAIN, effect=0.3, shift=0.2, own=0.2)
WIDE = {"spread": 2.0, "haste": 3.0}


@dataclass(frozen=True)
class Simulation:
    """How much is simulated.

    Args:
        studies: of each kind.
        processes: 1 for none beside this one.
    """

    studies: int
    processes: int = 2

    def play(self, measure: Measure, world: World, part: int = 1) -> dict[str, np.ndarray]:
        """Play the studies (a `part`-th of them) and return what was found by name; the same whatever `processes`."""
        numbers = range(max(2, self.studies // part))
        one = partial(play_one, measure, world)
        if self.processes == 1:
            found = [one(number) for number in numbers]
        else:
            with ProcessPoolExecutor(self.processes) as pool:
                found = list(pool.map(one, numbers, chunksize=max(1, len(numbers) // (8 * self.processes))))
        return {name: np.array([study[name] for study in found]) for name in found[0]}


def play_one(measure: Measure, world: World, number: int) -> Found:
    """Play study `number`."""
    return measure(world, np.random.default_rng([SEED, number]))


def coverage(simulation: Simulation) -> None:
    """Print how often intervals hold the truth."""
    print(
        "How often the 95 % interval holds the true effect, in % of studies (aim: 93 to 97), by seeds.\n"
        "tuned: true effect at the points that the arms chose; best: at each arm's truly best pooled point;\n"
        "matched: mean true effect over the pooled points"
    )
    worlds = {
        "identical methods": PLAIN,
        "one seed sd better": replace(PLAIN, effect=0.3),
        "better at other settings": UNLIKE,
        "... luck mostly common to validation and test": replace(UNLIKE, agreement=0.9),
        "... no luck in common": replace(UNLIKE, agreement=0.0),
        "... seeds shared in vain": replace(UNLIKE, pairing=0.0),
    }
    rows = []
    for name, world in worlds.items():
        found = simulation.play(truth_confirm.coverage, world)
        rows += [
            [f"{name}, {kind}" if kind == "tuned" else f"    {kind}", *_by_seeds(found, kind)]
            for kind in ("tuned", "best", "matched")
        ]
    table(("world, effect", *map(str, SEEDS)), rows)
    print(
        "The worst case: the method is equally good at all pooled points, the baseline at one; by seeds, and by how\n"
        "much of a run's luck shows on validation and test images alike"
    )
    rows = []
    for points in (2, 4, 6):
        for agreement in (0.5, 0.9):
            found = simulation.play(partial(truth_confirm.lopsided, points), replace(PLAIN, agreement=agreement))
            rows.append([f"{points} points, {agreement:g} alike", *_by_seeds(found, "tuned")])
    table(("pooled points", *map(str, SEEDS)), rows)


def claims(simulation: Simulation) -> None:
    """Print how often something is claimed of methods that are the same."""
    print(
        "Studies of three methods identical to the baseline in which any is said to help or hurt, in %\n"
        "(aim: 5 at most), by seeds"
    )
    worlds = {
        "identical": ALIKE,
        "identical at the end, trailing till late": replace(ALIKE, trailing=True),
        "identical, wide space": replace(ALIKE, **WIDE),
    }
    for name, world in worlds.items():
        found = simulation.play(truth_confirm.false_claims, world)
        rows = [
            ["crossed, tuned: decides", *_by_seeds(found, "tuned")],
            ["crossed, matched: stands beside", *_by_seeds(found, "matched")],
            [f"crossed, looks at {LOOKS}", "", "", percent(found["looks"])],
            ["crossed, looked at 6, 8, ... 24 uncorrected", "", "", percent(found["peeks"])],
            ["each arm's own winner alone, paired, Holm", *_by_seeds(found, "alone")],
            ["each arm's own winner alone, unpaired, no Holm", *_by_seeds(found, "unpaired")],
            [f"own winners, one seed, a gap of {MARGIN:g} points", percent(found["one seed"]), "", ""],
        ]
        table((name, *map(str, SEEDS)), rows)


def open_seeds(simulation: Simulation) -> None:
    """Print how often something is claimed of equal methods that are judged after every seed."""
    print(
        "Studies of three methods identical to the baseline in which any is said to help or hurt, judged after every\n"
        f"seed from {OPEN[0]} to {OPEN[-1]}, in % (aim: 5 at most), by pooled points"
    )
    found = simulation.play(truth_confirm.open_seeds, ALIKE)
    rows = [
        [name, *(percent(found[f"{kind} {points}"]) for points in (1, truth_confirm.POINTS))]
        for name, kind in (("anytime-valid t-test, as with open seeds", "open"), ("t-test, uncorrected", "uncorrected"))
    ]
    table(("test", "1 point", f"{truth_confirm.POINTS} points"), rows)
    print(
        "How often the confidence sequence holds the truth at all of them, in % (aim: 95 at least), in the worst case"
    )
    covered = [
        percent(simulation.play(partial(truth_confirm.lopsided_open, points), PLAIN)["open"]) for points in (2, 4)
    ]
    table(("2 points", "4 points"), [covered])


def power(simulation: Simulation) -> None:
    """Print how often true effects are found, and how often `equivalent` is said."""
    print("Methods of which the truth is said, in %, by seeds. Effects in seed sds; family of one or of three, Holm")
    rows = []
    for methods in (1, 3):
        for effect in (0.5, 1, 2):
            world = World(methods=methods, effect=effect * PLAIN.seed_sd)
            found = simulation.play(truth_confirm.power, world)
            rows += [
                [f"{kind}, {effect:g} sd, family of {methods}: helps", *_by_seeds(found, kind)]
                for kind in ("tuned", "matched")
            ]
            rows.append(["    tuned: hurts (wrong)", *_by_seeds(found, "tuned wrong")])
    table(("effect", *map(str, SEEDS)), rows)
    print(f"Methods that are called equivalent, in %, by seeds; smallest effect of interest {MARGIN:g} points")
    rows = []
    for effect in (0.0, MARGIN / 2, MARGIN):
        found = simulation.play(truth_confirm.power, replace(PLAIN, effect=effect))
        wrong = " (wrong: aim 5 at most)" if effect == MARGIN else ""
        rows.append([f"true effect {effect:g} points{wrong}", *_by_seeds(found, "tuned equivalent")])
    table(("effect", *map(str, SEEDS)), rows)


def replicates(simulation: Simulation) -> None:
    """Print how often the interval over searches holds the mean effect over searches."""
    print(
        "How often intervals hold the mean true effect over searches like these, in % (aim: 93 to 97);\n"
        f"{truth_confirm.SEARCHES} searches a study, by seeds"
    )
    worlds = {
        "identical methods": PLAIN,
        "better at other settings": UNLIKE,
        "better at other settings, wide space": replace(UNLIKE, **WIDE),
    }
    rows = []
    for name, world in worlds.items():
        found = simulation.play(truth_confirm.replicates, world, part=STUDIES_OF_A_LANDSCAPE)
        rows.append([f"{name}: over seeds and searches", *_by_seeds(found, "searches")])
        rows.append(["    over seeds alone", *_by_seeds(found, "seeds")])
    table(("world, interval", *map(str, SEEDS)), rows)


def stopping(simulation: Simulation) -> None:
    """Print what each way to stop early finds and costs."""
    print(
        f"Early stopping: a method and a baseline, {truth_confirm.TRIALS} trials each. Regret: points by which the\n"
        "chosen trial is truly worse than the best setting of the best arm. Epochs: of running everything to the end,\n"
        "in %; at equal regret: of running only so many trials to the end as reach the same regret.\n"
        "real: how often the method was chosen on real CIFAR-10 curves with the quality spread of the narrow space"
    )
    worlds = {
        "narrow space (spread 0.5 points)": truth_stopping.MIXUP,
        "wide space (spread 2 points)": replace(truth_stopping.MIXUP, **WIDE),
    }
    for name, world in worlds.items():
        found = simulation.play(truth_stopping.compare, world)
        table((name, *truth_stopping.COLUMNS), truth_stopping.rows(found, percent))


def _by_seeds(found: dict[str, np.ndarray], kind: str) -> list[str]:
    return [percent(found[f"{kind} {seeds}"]) for seeds in SEEDS]


PARTS = {part.__name__: part for part in (coverage, claims, open_seeds, power, replicates, stopping)}


def parse(arguments: Sequence[str]) -> tuple[int, list[str]]:
    """Return how many studies of each kind, and which parts, are asked for."""
    parser = argparse.ArgumentParser(prog="truth", description=__doc__)
    parser.add_argument("parts", nargs="*", help=f"of {', '.join(PARTS)}; by default all")
    parser.add_argument("--studies", type=int, default=2000)
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args(arguments)
    for part in options.parts:
        if part not in PARTS:
            parser.error(f"there is no part `{part}`; choose from {', '.join(PARTS)}")
    return 100 if options.quick else options.studies, options.parts or list(PARTS)


def main(arguments: Sequence[str]) -> None:
    """Print the tables of all parts, or of some."""
    studies, parts = parse(arguments)
    for part in parts:
        PARTS[part](Simulation(studies))
