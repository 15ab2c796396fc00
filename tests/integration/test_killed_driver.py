"""A driver that is killed, at every stage of a study and at random moments, leaves the study that nobody disturbed."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from search.store.delivery_state import read_delivery
from tests.support.command_line import FAULTY, command, write_study
from tests.support.deaths import VARIABLE
from tests.support.mlflow_stores import kill_group
from tests.support.snapshots import journal_rows, snapshot, written_rows

pytestmark = [pytest.mark.slow, pytest.mark.timeout(2400)]

STAGES = (
    "after run:search 1",  # before the first outcome: nothing is trained yet
    "before outcome:search 1",
    "after rung 3",  # during the search
    "after report 4",
    "before outcome:search 6",
    "before pool 1",  # between search and confirmation
    "after pool 1",
    "after run:confirm 1",  # during the confirmation
    "before outcome:confirm 5",
    "before look 1",  # at a look
    "after look 1",
)
LATE_STAGES = (
    "before file:index.html 1",  # during the conclusion: the report ...
    "after file:index.html 1",
    "before file:recipe.yaml 1",  # ... the recipe ...
    "before end 1",
    "after end 1",
    "before delivery 1",  # ... and the delivery
    "after delivery 1",
)
RANDOM_KILLS = 6
ATTEMPTS = 3
"""How often a driver is started: a machine may be too busy for Ray, which waits for itself half a minute."""
PATIENCE = 600
"""Seconds that the delivery to MLflow may take at the end of a study; idle machines need few."""
LOOKS = [2, 4]
CHANGES: dict[str, Any] = {
    "methods": ["baseline", "mixup", {"name": "maxup", "m": 4}, {"name": "maxup_mean", "m": 4}],
    "confirm": {"points": 2, "looks": LOOKS},
}


@pytest.fixture
def environment() -> Iterator[dict[str, str]]:
    """The environment of the drivers; what Ray leaves behind when they are killed is removed."""
    with tempfile.TemporaryDirectory(prefix="k", ignore_cleanup_errors=True) as folder:
        yield {**os.environ, "TMPDIR": folder}


def drive(arguments: Iterable[object], environment: Mapping[str, str], moment: str = "") -> None:
    """Run a driver: to its end, or to the moment at which it is killed with all processes of its group."""
    fate = {VARIABLE: moment} if moment else {}
    for _ in range(ATTEMPTS):
        driver = subprocess.Popen(
            command(*arguments, program=FAULTY), env={**environment, **fate}, start_new_session=True, text=True,
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
        )  # fmt: skip
        try:
            _, messages = driver.communicate()
        finally:
            kill_group(driver)
        if "Ray cannot be started" not in messages:
            break
    assert driver.returncode == (-signal.SIGKILL if moment else 0), f"{moment}: {messages}"


def kill_delivery(folder: Path) -> None:
    """Kill the process that delivers a study; it is in no group of the driver."""
    process = read_delivery(folder).pid
    with suppress(OSError):
        if process and str(folder) in Path(f"/proc/{process}/cmdline").read_text():
            os.kill(process, signal.SIGKILL)


def killed_again_and_again(
    start: Iterable[object], folder: Path, moments: Iterable[str], environment: Mapping[str, str]
) -> None:
    """Start a study, kill its driver at each of the moments, and resume it after each; nothing written may change."""
    arguments, before = start, written_rows(folder)
    for number, moment in enumerate(moments):
        drive(arguments, environment, moment)
        print(f"killed {moment}", flush=True)
        if number % 2 == 0:
            kill_delivery(folder)
        after = written_rows(folder)
        assert all(rows == after[table][: len(rows)] for table, rows in before.items()), moment
        arguments, before = ("resume", folder, "--timeout", PATIENCE), after
    drive(arguments, environment)


def check_equal(folder: Path, whole: Path, in_order: bool) -> None:
    found, expected = snapshot(folder, in_order), snapshot(whole, in_order)
    for part, rows in expected.items():
        assert found[part] == rows, part


def test_a_study_killed_at_every_stage_is_the_undisturbed_one(
    tmp_path: Path, write_curves: Callable[..., Path], environment: dict[str, str]
) -> None:
    """One run at a time: even the decisions at the rungs, and what the sampler proposes, are the same in order."""
    study = write_study(
        tmp_path, **CHANGES, conditions={}, search={"trials_per_arm": 5, "sampler": "tpe"},
        resources={"concurrency": 1, "checkpoint_seconds": 0.01},
    )  # fmt: skip
    curves, folder, whole = (
        write_curves(ks=5, seeds=4, wait=0.01, maxup_mean="raise"),
        tmp_path / "study",
        tmp_path / "whole",
    )
    drive(("run", study, "--replay", curves, "-o", whole, "--timeout", PATIENCE), environment)
    late = sum(run["seed_index"] >= LOOKS[0] for run in journal_rows(whole)["runs"])
    moments = [*STAGES, f"after outcome:confirm {late}", *LATE_STAGES]
    killed_again_and_again(("run", study, "--replay", curves, "-o", folder), folder, moments, environment)
    check_equal(folder, whole, in_order=True)


def test_a_study_killed_at_random_moments_is_the_undisturbed_one(
    tmp_path: Path, write_curves: Callable[..., Path], environment: dict[str, str]
) -> None:
    """Several runs at a time, so that their order is left to chance, and early stopping is off."""
    study = write_study(
        tmp_path,
        **CHANGES,
        search={"trials_per_arm": 4, "early_stopping": False},
        resources={"checkpoint_seconds": 0.01},
    )
    curves, folder, whole = (
        write_curves(seeds=4, wait=0.02, maxup_mean="diverge"),
        tmp_path / "study",
        tmp_path / "whole",
    )
    drive(("run", study, "--replay", curves, "-o", whole, "--timeout", PATIENCE), environment)
    written = written_rows(whole)
    fewest = sum(len(written[table]) for table in ("runs", "outcomes", "decisions"))
    chance = random.Random(11)
    moments = [
        f"after write {chance.randint(1, fewest // (RANDOM_KILLS + 1))} {chance.uniform(0, 0.1):.3f}"
        for _ in range(RANDOM_KILLS)
    ]
    killed_again_and_again(("run", study, "--replay", curves, "-o", folder), folder, moments, environment)
    check_equal(folder, whole, in_order=False)
