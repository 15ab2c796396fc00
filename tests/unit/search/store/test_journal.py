"""The journal: append-only, one writer, and clear about what it cannot read."""

from __future__ import annotations

import fcntl
import random
import shutil
import sqlite3
import threading
import zlib
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from search.cli import app
from search.store.journal import Journal
from tests.support.runs import plan_of, run_of
from trainables import records
from trainables.errors import InputError
from trainables.records import EndDecision, ExtensionDecision, JournalReader, Outcome, RungDecision
from trainables.records.journal_damage import UNREADABLE
from trainables.records.journal_schema import TABLES, write_entry

OLD = Path(__file__).parents[3] / "data" / "study_before_typed_records"

RUN = run_of("r1", "confirm", "all", "all: mixup", "mixup", 0, 1, False, {"epochs": 3}, {"mixup.alpha": 0.2}, {"a": 1})

RUNG = RungDecision(rung=2, value=0.5, cutoff=None, action=records.PASS)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    with Journal.create(tmp_path / "study.db") as journal:
        journal.add_runs([RUN])
    return tmp_path / "study.db"


def test_what_is_written_is_read_back(path: Path) -> None:
    correct, loss = np.array([True, False, True]), np.array([0.1, 2.0, 1e9], np.float32)
    with Journal.open(path) as journal:
        journal.report("r1", [(1, {"x": 0.5}), (2, {"x": 0.6})])
        journal.decide(RUNG, "r1")
        journal.end("r1", Outcome("completed", 2, "", {"test_accuracy": 2 / 3}), correct, loss)
    with JournalReader.open(path) as journal:
        assert [row.run for row in journal.runs()] == [RUN]
        assert [row[1:4] for row in journal.reports()] == [("r1", 1, {"x": 0.5}), ("r1", 2, {"x": 0.6})]
        assert [row[1:3] for row in journal.decisions(RungDecision)] == [("r1", RUNG)]
        assert journal.outcomes()[0][2] == Outcome("completed", 2, "", {"test_accuracy": 2 / 3})
    bits, losses, n = sqlite3.connect(path).execute("SELECT correct, loss, n FROM examples").fetchone()
    assert np.unpackbits(np.frombuffer(zlib.decompress(bits), np.uint8))[:n].tolist() == [1, 0, 1]
    assert np.frombuffer(zlib.decompress(losses), np.float16)[1] == 2.0


def test_the_types_of_rows_have_the_columns_of_their_tables(path: Path) -> None:
    with closing(sqlite3.connect(path)) as db:
        for kind in TABLES:
            columns = [name for _, name, *_ in db.execute(f"PRAGMA table_info({kind.table})")]
            assert sorted(kind._fields) == sorted(columns)


def test_the_first_record_of_an_epoch_an_outcome_and_a_value_stays(path: Path) -> None:
    with Journal.open(path) as journal:
        for value in (1.0, 2.0):
            journal.report("r1", [(1, {"x": value})])
            journal.end("r1", Outcome("completed", int(value), "", {}))
            journal.set_meta_once("key", value)
        assert journal.reports()[0][3] == {"x": 1.0}
        assert journal.outcomes()[0][2].epoch == 1
        assert journal.meta("key") == 1.0


def test_an_extension_replaces_the_plan_or_is_the_first_to_name_it(path: Path) -> None:
    before, after = plan_of("before"), plan_of("after", seeds=9)
    for _ in range(2):
        with Journal.open(path) as journal:
            journal.extend({"name": "after"}, after, ExtensionDecision(what=("x",), exploratory=False, plan=before))
            assert journal.plan() == after
    with JournalReader.open(path) as reader:
        assert (reader.plan(), reader.meta(records.META_STUDY)) == (after, {"name": "after"})
        assert len(reader.decisions(ExtensionDecision)) == 2


def test_two_writers_are_refused_and_readers_are_not(path: Path) -> None:
    with Journal.open(path) as writer:
        with pytest.raises(InputError, match="another process is running"):
            Journal.open(path)
        with JournalReader.open(path) as reader:
            writer.report("r1", [(1, {"x": 1.0})])
            assert len(reader.reports()) == 1
    Journal.open(path).close()


def test_an_existing_study_is_never_overwritten(path: Path) -> None:
    before = path.read_bytes()
    with pytest.raises(InputError, match="assay resume"):
        Journal.create(path)
    assert path.read_bytes() == before


def test_a_missing_damaged_foreign_or_newer_journal_is_refused_and_left_alone(path: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no folder"):
        Journal.open(tmp_path / "nowhere" / "study.db")
    (tmp_path / "other").mkdir()
    with pytest.raises(InputError, match=r"is not a study folder: it has no study\.db"):
        Journal.open(tmp_path / "other" / "study.db")
    (tmp_path / "text.db").write_text("not a database, but long enough to look like one" * 100)
    (tmp_path / "empty.db").touch()
    (tmp_path / "short.db").write_bytes(path.read_bytes()[:5000])
    for name in ("text.db", "empty.db", "short.db"):
        before = (tmp_path / name).read_bytes()
        with pytest.raises(InputError, match="is damaged or not a journal of Assay"):
            Journal.open(tmp_path / name)
        assert (tmp_path / name).read_bytes() == before
    with sqlite3.connect(path) as db:
        write_entry(db, "schema", "99")
    db.close()
    with pytest.raises(InputError, match="newer Assay"):
        Journal.open(path)


# Damage


def write_full(folder: Path, names: tuple[str, ...] = ("r1", "r2", "r3")) -> Path:
    """Write a journal of three ended runs of three epochs with test examples, and a decision about each."""
    correct, loss = np.array([True, False, True]), np.array([0.1, 2.0, 1.0], np.float32)
    with Journal.create(folder / "study.db") as journal:
        journal.set_meta_once(records.META_PLAN, plan_of("damage").dump())
        for number, name in enumerate(names):
            journal.add_runs([replace(RUN, name=name, seed_index=number)])
            journal.report(name, [(epoch, {"validation_accuracy": epoch / 7}) for epoch in (1, 2, 3)])
            journal.decide(RUNG, name)
            journal.end(name, Outcome("completed", 3, "", {"test_accuracy": 2 / 3}), correct, loss)
        journal.decide(EndDecision(runs=len(names)))
    return folder / "study.db"


def read_all(path: Path) -> list[object]:
    """Return all that a journal tells."""
    with JournalReader.open(path) as journal:
        return [
            journal.plan(), journal.span(), journal.runs(), journal.reports(), journal.outcomes(),
            journal.all_decisions(), journal.examples(), journal.runs_at_end(), journal.arrivals(),
            journal.reports(run="r2"), journal.examples(["r2"]),
        ]  # fmt: skip


@pytest.mark.parametrize(
    ("damage", "named"),
    [
        ("UPDATE outcomes SET metrics = replace(metrics, '0.6', '0.8') WHERE id = 2", "row 2 of `outcomes` (run r2)"),
        ("UPDATE outcomes SET outcome = 'failed' WHERE id = 2", "row 2 of `outcomes` (run r2)"),
        ("DELETE FROM outcomes WHERE id = 2", "row 2 of `outcomes` does not"),
        ("DELETE FROM outcomes WHERE id = 3", "row 3 of `outcomes` does not"),
        ("UPDATE reports SET metrics = '{\"x' WHERE id = 5", "row 5 of `reports` (run r2)"),
        ("UPDATE reports SET at = at + 1 WHERE id = 5", "row 5 of `reports` (run r2)"),
        ("UPDATE reports SET id = 40 WHERE id = 9", "row 9 of `reports`"),
        (
            "DELETE FROM reports WHERE id > 3",
            "row 4 of `reports` does not match its checksum or is missing; so do 5 others",
        ),
        ("UPDATE decisions SET kind = 'rong' WHERE id = 1", "row 1 of `decisions` (run r1)"),
        ("UPDATE runs SET seed = 7 WHERE id = 2", "row 2 of `runs` (run r2)"),
        ("UPDATE examples SET n = 2 WHERE id = 2", "row 2 of `examples` (run r2)"),
        ("UPDATE examples SET correct = x'00' WHERE id = 2", "row 2 of `examples` (run r2)"),
        ("UPDATE meta SET value = replace(value, 'damage', 'demage') WHERE key = 'plan'", "an entry of `meta`"),
        ("DELETE FROM meta WHERE key = 'plan'", "an entry of `meta`"),
    ],
)
def test_a_changed_or_missing_row_is_named_and_nothing_is_written(tmp_path: Path, damage: str, named: str) -> None:
    path = write_full(tmp_path)
    with closing(sqlite3.connect(path)) as db, db:
        db.execute(damage)
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    with pytest.raises(InputError) as caught:
        read_all(path)
    assert named in str(caught.value)
    assert ("--repair" in str(caught.value)) == ("`meta`" not in named)
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == before


@pytest.mark.parametrize(
    ("damage", "kept"),
    [
        ("UPDATE outcomes SET metrics = '{}' WHERE id = 2", {"r1", "r3"}),
        ("DELETE FROM outcomes WHERE id = 3", {"r1", "r2"}),
        ("UPDATE reports SET epoch = 7 WHERE id = 4", {"r1", "r3"}),
        ("DELETE FROM reports WHERE id IN (1, 9)", {"r2"}),
        ("UPDATE decisions SET detail = '{}' WHERE id = 2", {"r1", "r3"}),
        ("DELETE FROM decisions WHERE id = 4", {"r1", "r2", "r3"}),
        ("UPDATE runs SET config = '{}' WHERE id = 1", {"r2", "r3"}),
        ("DELETE FROM examples WHERE id = 3", {"r1", "r2"}),
        ("UPDATE meta SET value = '{}' WHERE key = 'rows'", {"r1", "r2", "r3"}),
    ],
)
def test_a_repair_keeps_intact_runs_and_removes_the_others(tmp_path: Path, damage: str, kept: set[str]) -> None:
    path = write_full(tmp_path)
    with closing(sqlite3.connect(path)) as db, db:
        db.execute(damage)
    damaged = path.read_bytes()
    (tmp_path / records.OPTUNA_FILE).touch()
    assert "is repaired" in Journal.repair(path)
    assert not (tmp_path / records.OPTUNA_FILE).exists()
    assert (tmp_path / "study.db.damaged-1").read_bytes() == damaged
    read_all(path)
    with Journal.open(path) as journal:
        assert {row.run for row in journal.outcomes()} == kept
        assert journal.runs_at_end() is None
        for name in {"r1", "r2", "r3"} - kept:
            assert journal.reports(run=name) in ([], journal.reports(run=name)[:3])
        known = {row.run.name for row in journal.runs()}
        journal.add_runs([replace(RUN, name=name) for name in ("r1", "r2", "r3") if name not in known])
        for name in {"r1", "r2", "r3"} - kept:
            journal.report(name, [(epoch, {"validation_accuracy": 0.5}) for epoch in (1, 2, 3)])
            journal.end(name, Outcome("completed", 3, "", {}))
    with JournalReader.open(path) as journal:
        assert {row.run for row in journal.outcomes()} == {"r1", "r2", "r3"}
        assert len(journal.reports()) == 9
    assert Journal.repair(path) == ""


def test_every_flipped_bit_of_a_page_of_rows_is_noticed_or_changes_nothing(tmp_path: Path) -> None:
    path = write_full(tmp_path / "study")
    whole, expected = path.read_bytes(), read_all(path)
    flips = random.Random(7).sample(range(8 * len(whole)), 300)
    noticed = 0
    for flip in flips:
        damaged = bytearray(whole)
        damaged[flip // 8] ^= 1 << flip % 8
        path.write_bytes(damaged)
        try:
            assert read_all(path) == expected, flip
        except InputError:
            noticed += 1
    assert noticed > 30


def test_a_lost_log_costs_what_was_written_since_the_last_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("search.store.journal.CHECKPOINT_SECONDS", 0)
    with Journal.create(tmp_path / "study.db") as journal:
        journal.set_meta_once(records.META_PLAN, plan_of("lost").dump())
        journal.add_runs([RUN])
        (tmp_path / "copy").mkdir()
        shutil.copy(journal.path, tmp_path / "copy")
    with JournalReader.open(tmp_path / "copy") as copied:
        assert copied.required_plan().name == "lost"
        assert [row.run for row in copied.runs()] == [RUN]


def test_a_killed_study_in_a_read_only_folder_is_read_whole_and_left_alone(tmp_path: Path) -> None:
    place = tmp_path / "killed"
    place.mkdir()
    with Journal.create(tmp_path / "study.db") as journal:
        journal.add_runs([RUN])
        for name in ("study.db", "study.db-wal"):
            shutil.copy(tmp_path / name, place)
    with JournalReader.open(place) as killed:
        assert [row.run for row in killed.runs()] == [RUN]
    assert sorted(file.name for file in place.iterdir()) == ["study.db", "study.db-wal"]


def test_a_journal_of_the_first_version_gets_checksums_when_it_is_written(tmp_path: Path) -> None:
    path = Path(shutil.copy(OLD / "study.db", tmp_path))
    before = path.read_bytes()
    old = read_old(path)
    assert path.read_bytes() == before
    with Journal.open(path):
        pass
    assert read_old(path) == old
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("UPDATE reports SET at = at + 1 WHERE id = 3")
    with pytest.raises(InputError, match="row 3 of `reports`"):
        read_old(path)


def read_old(path: Path) -> list[object]:
    with JournalReader.open(path) as journal:
        tables = journal.runs(), journal.reports(), journal.outcomes(), journal.all_decisions(), journal.examples()
        return [journal.plan(), *tables]


def test_an_old_journal_that_is_damaged_is_repaired_as_far_as_it_can_be_read(tmp_path: Path) -> None:
    path = Path(shutil.copy(OLD / "study.db", tmp_path))
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("UPDATE outcomes SET metrics = '{\"x' WHERE id = 3")
    with pytest.raises(
        InputError, match=r"row 3 of `outcomes` .*28 of the ended runs are intact.*repeats .* \(1 run\)"
    ):
        read_old(path)
    assert "runs to repeat: 1." in Journal.repair(path)
    assert len(JournalReader.open(path).outcomes()) == 28


def test_a_damaged_index_is_derived_anew_when_the_study_continues(tmp_path: Path) -> None:
    path = write_full(tmp_path, tuple(f"run-{number}" for number in range(40)))
    whole, chance = path.read_bytes(), random.Random(3)
    mended = 0
    for _ in range(2000):
        flip = chance.randrange(8 * len(whole))
        damaged = bytearray(whole)
        damaged[flip // 8] ^= 1 << flip % 8
        path.write_bytes(damaged)
        checks = []
        try:
            with closing(sqlite3.connect(path)) as db:
                checks = [db.execute(f"PRAGMA {check}_check").fetchone()[0] for check in ("quick", "integrity")]
        except UNREADABLE:
            continue
        if checks[0] != "ok" or checks[1] == "ok":
            continue
        with suppress(InputError):  # a row is damaged, not only the index
            with Journal.open(path) as journal:
                journal.report("run-1", [(1, {"validation_accuracy": 0.5})])
                assert len(journal.reports()) == 120
            with closing(sqlite3.connect(path)) as db:
                assert db.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
            mended += 1
        if mended == 3:
            return
    raise AssertionError("too few of the flipped bits were in an index")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return the folder of an interrupted study whose rows have checksums."""
    folder = Path(shutil.copytree(OLD, tmp_path / "study"))
    Journal.open(folder).close()
    return folder


def test_reading_commands_leave_a_study_as_it_is(folder: Path, tmp_path: Path) -> None:
    run = JournalReader.open(folder).runs()[0].run.name
    before = {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in folder.rglob("*")}
    for command, *options in (
        ("status",),
        ("status", "--run", run),
        ("export", "-o", str(tmp_path / "r.yaml")),
        ("report", "-o", str(tmp_path / "report")),
    ):
        done = CliRunner().invoke(app, [command, str(folder), *options])
        assert done.exit_code == 0, done.output
    assert {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in folder.rglob("*")} == before


def test_every_command_refuses_a_damaged_study_alike(folder: Path) -> None:
    with closing(sqlite3.connect(folder / records.JOURNAL_FILE)) as db, db:
        db.execute("UPDATE reports SET metrics = replace(metrics, '0.', '1.') WHERE id = 5")
    messages = set()
    for command in ("status", "report", "export", "resume"):
        done = CliRunner().invoke(app, [command, str(folder)])
        assert done.exit_code == 2, done.output
        messages.add(done.stderr)
    (message,) = messages
    assert "row 5 of `reports` (run search_" in message
    assert f"assay resume {folder} --repair` sets the damaged file aside" in message


def test_a_study_may_start_while_somebody_asks_whether_it_runs(path: Path) -> None:
    with path.with_suffix(".lock").open("w") as asking:
        fcntl.flock(asking, fcntl.LOCK_SH)
        threading.Timer(0.1, asking.close).start()
        Journal.open(path).close()
