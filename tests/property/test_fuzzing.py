"""Malformed input of every kind ends with exit code 2 and one message, within seconds, and writes nothing.

Inputs are valid ones with one to three mutations, from a fixed seed: study files, recipes, tables of learning curves,
arrays and command lines. The commands run in this process up to the point at which they would create a study folder.
"""

from __future__ import annotations

import io
import os
import random
import re
import sys
import time
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pytest
import typer

import search.cli
from search.store.yaml_files import dump
from tests.property import FUZZ_SEED
from tests.property.malformed import archive, arrays, damage, good_files, recipe, study, table, write_yaml
from tests.support.studies import study_document

pytestmark = [pytest.mark.fuzz, pytest.mark.timeout(900)]

SECONDS = 10
"""Largest CPU time of one command."""
LONGEST = 6000
"""Largest number of characters of a message."""
INTERNALS = re.compile(
    r"Traceback|error: unexpected |pydantic|input_value|type=\w+_|object at 0x"
    r"|[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e]"
)
"""What no message contains: traces of the implementation, and characters that control a terminal."""

OPTIONS = [
    "--set", "--spread", "--images-per-second", "--budget-hours", "--json", "--output", "-o", "--replay", "--timeout",
    "--epochs", "--seeds", "--full-data", "--data", "--register", "--cpus", "--gpus", "--check", "--sheet", "--study",
    "--port", "--run", "--condition", "--method", "--best", "--format", "--experiment", "--arm", "--metric", "--seed",
    "--alpha", "--smallest", "--last", "--where", "--names", "--require", "--extend", "--repair", "--help", "--",
    "-x",
]  # fmt: skip
WORDS = [
    "", " ", "0", "1", "-1", "1.5", "1e20", "1e308", "nan", "inf", "-inf", "99999", "999999999", "9" * 400, "text",
    "None", "=", "a=", "=b", "a.b=1", "confirm.seeds=3", "confirm.seeds=x", "confirm.seeds={", "resources.cpus=0",
    "resources.gpus=nan", "resources.x=1", "name=a/b", "recipe.epochs=1e9", "methods=[baseline]", "methods.0=mixup",
    "name.x=1", "data", "methods", "study.yaml", "recipe.yaml", "curves.csv", "good.npz", "missing", "missing.yaml",
    "missing.csv", ".", "..", "/", "/dev/null", "a\0b", "\x1b[2J", "\u202e", "é", "\udcff", "quickstart",
    "quickstarts", "digits", "os:system", "{source: npz}", "{source: npz, path: 3}", "mixup helps", "method",
    "validation_accuracy", "a" * 5000, "{", "[", "%", "http://127.0.0.1:1", "postgresql://u:p@h/x", "script",
    "recipe",
]  # fmt: skip
COMMANDS = (
    "plan", "certify", "run", "resume", "status", "report", "export", "train", "judge", "ui", "sync", "list", "lst", "",
)  # fmt: skip
STARTS = [
    ["plan", "study.yaml"], ["certify", "study.yaml"], ["run", "study.yaml", "--replay", "curves.csv"],
    ["train", "recipe.yaml"],
    ["list", "data", "--check", "study.yaml"],
    ["judge", "curves.csv", "--arm", "method", "--metric", "validation_accuracy"], ["status", "missing"],
    ["ui", "missing"], ["export", "missing"], ["report", "missing"], ["sync", "missing"], ["resume", "missing"],
]  # fmt: skip


# Commands


def call(arguments: list[str]) -> tuple[int, str]:
    """Run a command line in this process; return its exit code and stderr."""
    messages = io.StringIO()
    with redirect_stdout(io.StringIO()), redirect_stderr(messages):
        code = search.cli.call(arguments)
    return code, messages.getvalue()


def fault(arguments: list[str]) -> str:
    """Run a command line in the working directory; return what is wrong with how it ends, or an empty text."""
    before = sorted(Path().rglob("*"))
    started = time.process_time()
    try:
        code, message = call(arguments)
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt):
            raise
        return f"raised {error!r}"
    seconds = time.process_time() - started
    lines = [line for line in message.splitlines() if line.lower().startswith("error: ")]
    if seconds > SECONDS:
        return f"took {seconds:.1f} s"
    if sorted(Path().rglob("*")) != before:
        return f"wrote {set(Path().rglob('*')) - set(before)}"
    if code not in (0, 2) or (code == 2 and len(lines) != 1):
        return f"exit {code}: {message!r:.600}"
    if INTERNALS.search(message) or len(message) > LONGEST:
        return f"message of {len(message)} characters: {message!r:.600}"
    return ""


@pytest.fixture(autouse=True)
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Work in an empty folder, and end commands where they would create a folder, wait, or become another program."""

    def stop(*_: object, **__: object) -> NoReturn:
        raise typer.Exit

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    for place in (
        "search.lifecycle.new_folder",
        "search.lifecycle.kept_workers",
        "search.final_training.training.new_folder",
        "search.plan.network_timing.measure_costs",
        "search.plan.precision.measure_both",
    ):
        monkeypatch.setattr(place, stop)
    monkeypatch.setattr(os, "execve", stop)
    monkeypatch.setattr(sys, "argv", ["assay"])


def check(count: int, commands: Callable[[random.Random, int], list[str]]) -> None:
    """Run commands that a function makes from random numbers and write its files to; no one may have a fault."""
    faults = []
    for number in range(count):
        arguments = commands(random.Random(f"{FUZZ_SEED}{commands.__name__} {number}"), number)
        if found := fault(arguments):
            faults.append(f"{number}: {arguments!r:.300}: {found}")
    assert not faults, f"{len(faults)} of {count}\n" + "\n".join(faults[:40])


# Tests


def test_valid_files_are_accepted() -> None:
    good_files()
    valid = [["plan", "study.yaml"], ["run", "study.yaml", "--replay", "curves.csv"], ["train", "recipe.yaml"]]
    for command in valid:
        assert call(command)[0] == 0, call(command)


def test_study_files() -> None:
    def studies(rng: random.Random, _: int) -> list[str]:
        write_yaml("bad.yaml", study(), rng)
        return ["plan", "bad.yaml"]

    check(900, studies)


def test_recipes() -> None:
    def recipes(rng: random.Random, _: int) -> list[str]:
        write_yaml("bad.yaml", recipe(), rng)
        return ["train", "bad.yaml", "-o", "out"]

    good_files()
    check(400, recipes)


def test_tables_of_curves() -> None:
    def tables(rng: random.Random, number: int) -> list[str]:
        Path("bad.csv").write_bytes(table(rng))
        judged = ["judge", "bad.csv", "--arm", "method", "--metric", "validation_accuracy", "--epoch", "epoch"]
        return judged if number % 4 == 0 else ["run", "study.yaml", "--replay", "bad.csv", "-o", "out"]

    good_files()
    check(300, tables)


def test_arrays() -> None:
    def archives(rng: random.Random, _: int) -> list[str]:
        np.savez("bad.npz", **archive(rng))
        if rng.random() < 0.2:
            Path("bad.npz").write_bytes(damage(Path("bad.npz").read_bytes(), rng))
        return ["list", "data", "--check", "images.yaml"]

    np.savez("bad.npz", **arrays())
    changes: dict[str, Any] = {
        "data": {"source": "npz", "path": "bad.npz"},
        "conditions": {"train_fraction": [0.5, 1.0]},
    }
    Path("images.yaml").write_text(dump(study_document(**changes)))
    check(300, archives)


def test_command_lines() -> None:
    def lines(rng: random.Random, _: int) -> list[str]:
        arguments = list(rng.choice([*STARTS, [rng.choice(COMMANDS)]]))
        for _ in range(rng.randint(1, 3)):
            arguments.insert(rng.randint(1, len(arguments)), rng.choice(WORDS))
            if rng.random() < 0.7:
                arguments.insert(rng.randint(1, len(arguments) - 1), rng.choice(OPTIONS))
        return arguments

    good_files()
    check(500, lines)
