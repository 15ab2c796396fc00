"""The atlas checked: cells trained again, bit for bit, and cells replicated with fresh seeds.

Options: `--cells N` trains the runs of N random cells again and compares them with the archive; `--replicate N` trains
N random cells with eight fresh seeds each, keeps the results in `reports/atlas/replication.csv`, and continues there.
`--fashion FILE` and `--cifar FOLDER` name the data; without one, its studies are left out. `--draw N` draws other ones.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from reports.atlas.__main__ import ATLAS
from reports.atlas.archive import read_archive
from reports.atlas.cells import Cell, against_reference, cells_of
from reports.atlas.replication import FILE, Replication, read_replications, replicated, write_replications
from reports.data.frames import StudyData
from tests.benchmarks.common import table
from trainables.records import COMPLETED, CONFIRM

FRESH_SEEDS = 8


@dataclass(frozen=True)
class Data:
    """Where data sets lie, by the name of their source."""

    paths: Mapping[str, Path]

    def has(self, study: StudyData) -> bool:
        """Return whether the data of a study are at hand."""
        source = study.runs["parameters"].iloc[0]["data"]
        return source == "digits" or source in self.paths

    def settings(self, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """Return the settings of a run with the path of the data on this machine."""
        source = parameters["data"]
        return {**parameters, **({"data.path": str(self.paths[source])} if source in self.paths else {})}


def train(settings: Mapping[str, Any], part: str) -> float:
    """Train a run and return its test accuracy on the `official` or the `extended` part."""
    from tests.benchmarks.training import trained_run
    from trainables import records

    run, _ = trained_run(settings)
    metric = records.EXTENDED_TEST_ACCURACY if part == "extended" else records.TEST_ACCURACY
    return float(run.test("extended" if part == "extended" else "official").metrics[metric])


def runs_of(study: StudyData, cell: Cell) -> Iterator[pd.Series]:
    """Yield the completed runs of both arms of a cell."""
    for method in (cell.verdict.reference, cell.method):
        runs = study.runs_of(CONFIRM, cell.verdict.condition, method)
        yield from (run for _, run in runs[runs["outcome"] == COMPLETED].iterrows())


def regenerate(study: StudyData, cell: Cell, data: Data) -> tuple[int, int]:
    """Train the runs of a cell again; return how many have the recorded test accuracy, and how many there are."""
    from tqdm import tqdm

    runs = list(runs_of(study, cell))
    metric = study.plan.unit.metric
    again = [train(data.settings(run["parameters"]), study.plan.test) for run in tqdm(runs, unit="run", leave=False)]
    return sum(new == run[metric] for new, run in zip(again, runs, strict=True)), len(runs)


def replicate(study: StudyData, cell: Cell, data: Data) -> Replication:
    """Train both arms of a cell with fresh seeds, the same for both."""
    from tqdm import tqdm

    from trainables.randomness import derive_seed

    metric, paired = study.plan.unit.metric, {}
    fresh = []
    for method in (cell.verdict.reference, cell.method):
        runs = study.runs_of(CONFIRM, cell.verdict.condition, method)
        runs = runs[runs["outcome"] == COMPLETED]
        paired[method] = runs.set_index("seed_index")[metric]
        settings = data.settings(runs["parameters"].iloc[0])
        fresh.append(
            [
                train(
                    {
                        **settings,
                        "seed": derive_seed(0, "replication", number),
                        "split_seed": derive_seed(0, "replication split", number),
                    },
                    study.plan.test,
                )
                for number in tqdm(range(FRESH_SEEDS), unit="run", leave=False)
            ]
        )
    old = (paired[cell.method] - paired[cell.verdict.reference]).dropna().to_numpy()
    return replicated(cell, old, np.subtract(fresh[1], fresh[0]))


def main(arguments: Sequence[str]) -> None:
    """Check cells of the atlas."""
    parser = argparse.ArgumentParser(prog="atlas", description=__doc__)
    parser.add_argument("--cells", type=int, default=0)
    parser.add_argument("--replicate", type=int, default=0)
    parser.add_argument("--fashion", type=Path)
    parser.add_argument("--cifar", type=Path)
    parser.add_argument("--draw", type=int, default=0)
    options = parser.parse_args(arguments)
    paths = {"npz": options.fashion, "directory": options.cifar}
    data = Data({source: path.absolute() for source, path in paths.items() if path})
    studies = {name: study for name, study in read_archive(ATLAS).items() if data.has(study)}
    cells = against_reference(cell for study in studies.values() for cell in cells_of(study))
    order = np.random.default_rng(options.draw).permutation(len(cells))

    from trainables.backends.selection import backend

    backend.configure(threads=1, deterministic=True)
    rows = []
    for cell in [cells[place] for place in order[: options.cells]]:
        same, count = regenerate(studies[cell.study], cell, data)
        rows.append([f"{cell.place}: {cell.method}", count, same])
    if rows:
        table(["cell", "runs", "equal"], rows)
    found = read_replications()
    known = {(done.study, done.condition, done.method) for done in found}
    for cell in [cells[place] for place in order[: options.replicate]]:
        if (cell.study, cell.verdict.condition, cell.method) not in known:
            found.append(replicate(studies[cell.study], cell, data))
            write_replications(found)
    if found:
        table(
            ["cell", "verdict", "effect", "again", "within", "upheld"],
            [
                [
                    f"{one.study}, {one.condition}: {one.method}",
                    one.verdict,
                    one.effect,
                    one.again,
                    one.within,
                    one.upheld,
                ]
                for one in found
            ],
        )
        print(f"kept in {FILE}")
