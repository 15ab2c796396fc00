"""The journal: append-only, one writer, and clear about what it cannot read."""

from __future__ import annotations

import sqlite3
import zlib
from pathlib import Path

import numpy as np
import pytest

from search.store.journal import Journal
from tests.runs import run_of
from trainables import records
from trainables.errors import InputError
from trainables.records import JournalReader, Outcome, RungDecision

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


def test_the_first_record_of_an_epoch_an_outcome_and_a_value_stays(path: Path) -> None:
    with Journal.open(path) as journal:
        for value in (1.0, 2.0):
            journal.report("r1", [(1, {"x": value})])
            journal.end("r1", Outcome("completed", int(value), "", {}))
            journal.set_meta("key", value)
        assert journal.reports()[0][3] == {"x": 1.0}
        assert journal.outcomes()[0][2].epoch == 1
        assert journal.meta("key") == 1.0


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
        db.execute("UPDATE meta SET value = '99' WHERE key = 'schema'")
    db.close()
    with pytest.raises(InputError, match="newer Assay"):
        Journal.open(path)
