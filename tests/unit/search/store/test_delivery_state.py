"""`delivery.json`: its keys, and what is read from older and damaged ones."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from search.store.delivery_state import DeliveryRecord, DeliveryState, read_delivery, write_delivery
from trainables import records


def test_the_keys_of_the_file_are_stable(tmp_path: Path) -> None:
    record = DeliveryRecord(epochs=3, runs=2, error="no answer", pid=7, experiment="1", run_ids={"a": "b"})
    expected = {
        "complete": False, "runs": 2, "points": 3, "error": "no answer", "pid": 7, "experiment": "1",
        "run_ids": {"a": "b"},
    }  # fmt: skip
    for uri in (None, "http://host"):
        written = record.model_copy(update={"uri": uri})
        write_delivery(tmp_path, written)
        assert json.loads((tmp_path / records.DELIVERY_FILE).read_text()) == expected | ({"uri": uri} if uri else {})
        assert read_delivery(tmp_path) == written
    assert record.state == DeliveryState(complete=False, runs=2, epochs=3, error="no answer")


@pytest.mark.parametrize("text", [None, "cut sho", "[]", '{"run_ids": 3}'])
def test_a_file_that_is_missing_or_damaged_says_nothing(tmp_path: Path, text: str | None) -> None:
    if text is not None:
        (tmp_path / records.DELIVERY_FILE).write_text(text)
    assert read_delivery(tmp_path) == DeliveryRecord()


def test_files_of_older_versions_do_not_name_the_experiment(tmp_path: Path) -> None:
    document = {"complete": True, "runs": 0, "points": 0, "error": "", "pid": 1, "run_ids": {"a": "b"}}
    (tmp_path / records.DELIVERY_FILE).write_text(json.dumps(document))
    assert read_delivery(tmp_path) == DeliveryRecord(complete=True, pid=1, run_ids={"a": "b"})
