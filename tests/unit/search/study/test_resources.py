"""Tests of resources per run: overrides and their record in the journal."""

from __future__ import annotations

from pathlib import Path

import pytest

from search.lifecycle import resume_study
from search.plan.builder import make_plan
from search.plan.record import study_record
from search.session import Options
from search.store.journal import Journal
from search.study.resources import Resources, changed, current_resources, record_resources
from tests.support.studies import make_study
from trainables import records
from trainables.errors import InputError
from trainables.records import JournalReader, ResourcesDecision


@pytest.fixture
def announced(tmp_path: Path) -> Path:
    plan = make_plan(make_study())
    with Journal.create(tmp_path / records.JOURNAL_FILE) as journal:
        journal.set_meta_once(records.META_STUDY, plan.study.document())
        journal.set_meta_once(records.META_PLAN, study_record(plan).dump())
    return tmp_path


def test_overrides_change_single_resources() -> None:
    before = Resources(cpus=2, concurrency=3)
    after = changed(before, ["resources.gpus=0.5", "resources.concurrency=null", "resources.epoch_minutes=1e2"])
    assert after == Resources(cpus=2, gpus=0.5, epoch_minutes=100)
    assert changed(before, ["resources.data=streamed"]) == Resources(cpus=2, concurrency=3, data="streamed")
    assert changed(before, []) == before


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("confirm.seeds=20", "must be `resources.NAME=VALUE`, with one of cpus, gpus.* --extend"),
        ("resources", "must be `resources.NAME=VALUE`, with one of cpus"),
        ("resources.cpus", "must have the form a.b=value"),
        ("resources.cpu=2", "Did you mean `cpus`|cpu"),
        ("resources.cpus=0", "greater than or equal to 1|at least 1"),
        ("resources.gpus=1.5", "a fraction of one GPU"),
        ("resources.cpus=[", "not valid YAML"),
        ("resources.data=disk", "resident.*streamed.*auto"),
    ],
)
def test_invalid_overrides_are_refused(text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        changed(Resources(), [text])


def test_the_last_record_counts_and_earlier_ones_stay(tmp_path: Path) -> None:
    first = Resources(cpus=2)
    with Journal.create(tmp_path / records.JOURNAL_FILE) as journal:
        assert current_resources(journal, first) == first
        record_resources(journal, first, first)
        assert journal.decisions(ResourcesDecision) == []
        for gpus in (1, 0.5, 0.5):
            record_resources(journal, first, changed(current_resources(journal, first), [f"resources.gpus={gpus}"]))
    with JournalReader.open(tmp_path / records.JOURNAL_FILE) as journal:
        assert current_resources(journal, first) == Resources(cpus=2, gpus=0.5)
        assert [row.decision.gpus for row in journal.decisions(ResourcesDecision)] == [1, 0.5]


def test_a_refused_override_changes_nothing(announced: Path) -> None:
    with pytest.raises(InputError, match=r"resources\.NAME=VALUE"):
        resume_study(announced, Options(), ["search.trials_per_arm=99"])
    with JournalReader.open(announced / records.JOURNAL_FILE) as journal:
        assert journal.decisions(ResourcesDecision) == []
