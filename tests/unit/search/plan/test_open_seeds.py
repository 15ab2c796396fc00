"""Open seeds: seeds are added while claims are undecided, and the study may stop, go on or be extended at any time."""

from __future__ import annotations

from pathlib import Path

import pytest

from reports.data.frames import read_study
from reports.inference.verdicts import judge
from reports.inference.wording import label, reach_sentence
from search.monitor.status import study_progress
from search.orchestration.controller import StudyController
from search.plan.builder import make_plan
from search.plan.extension import find_extension, with_defaults_of
from search.plan.model import Plan
from search.plan.power import study_size
from search.plan.record import study_record
from search.plan.summary import summary_rows
from search.store.journal import Journal
from search.study.loading import validate
from search.study.schema import Study
from tests.support.driver import Worker, carry_out
from tests.support.extended_studies import curves, extend, runs
from tests.support.studies import make_study
from trainables import records
from trainables.errors import InputError
from trainables.records import JournalReader, LookDecision, PlanRecord

EFFECTS = {"all/mixup": 0.1}
"""Twenty standard deviations of a run; cutmix differs from the baseline by chance only."""


def open_study(most: int = 12, **changes: object) -> Study:
    """Return a study of two methods against the baseline, without a search."""
    confirm = {"points": 1, "seeds": "open", "most": most}
    return make_study(
        **{"conditions": {}, "methods": ["baseline", "mixup", "cutmix"], "search": "none", "confirm": confirm} | changes
    )


def played(plan: Plan, folder: Path, fuse: int = 10**9, name: str = "study.db") -> StudyController:
    table = folder / "c.csv"
    if not table.exists():
        curves(plan, table, EFFECTS)
    return carry_out(plan, folder / name, table, fuse)


def test_an_arm_gets_seeds_until_its_claims_are_decided(tmp_path: Path) -> None:
    plan = make_plan(open_study())
    controller = played(plan, tmp_path)
    confirmed = runs(controller, records.CONFIRM)
    assert confirmed["all", "baseline"] == confirmed["all", "cutmix"] == 12
    assert 5 <= confirmed["all", "mixup"] <= 8
    with JournalReader.open(tmp_path / "study.db") as journal:
        looks = [row.decision for row in journal.decisions(LookDecision)]
    assert [look.seeds for look in looks] == list(range(4, 12))
    found = {verdict.method: verdict for verdict in judge(read_study(tmp_path / "study.db"))}
    mixup = found["mixup"]
    assert (mixup.verdict, mixup.look, mixup.provisional) == (records.HELPS, confirmed["all", "mixup"], False)
    assert reach_sentence(mixup, study_record(plan), 1) == f"Decided after {mixup.look} of at most 12 seeds."
    assert (label(found["cutmix"]), found["cutmix"].seeds) == ("undecided", 12)
    assert not any("exploratory" in note.lower() for note in found["cutmix"].notes)
    assert study_progress(tmp_path).stopping_rule == study_record(plan).stopping_rule != ""


def test_nothing_more_is_judged_once_every_claim_is_decided(tmp_path: Path) -> None:
    plan = make_plan(open_study(methods=["baseline", "mixup"]))
    asked: list[int] = []

    def settle(seeds: int) -> set[tuple[str, str]]:
        asked.append(seeds)
        return {("all", "baseline"), ("all", "mixup")} if seeds >= 6 else set()

    table = curves(plan, tmp_path / "c.csv")
    with Journal.create(tmp_path / "study.db") as journal:
        controller = StudyController(plan, journal, settle)
        Worker(controller, table).work()
    assert asked == [4, 5, 6]
    assert controller.done
    assert set(runs(controller, records.CONFIRM).values()) == {6}


@pytest.mark.parametrize("fuse", [30, 200, 300])
def test_the_runs_are_the_same_after_a_kill(tmp_path: Path, fuse: int) -> None:
    plan = make_plan(open_study())
    with pytest.raises(KeyboardInterrupt):
        played(plan, tmp_path, fuse)
    resumed, whole = played(plan, tmp_path), played(plan, tmp_path, name="whole.db")
    assert set(resumed.states) == set(whole.states)
    assert resumed.decisions == whole.decisions


def test_a_study_that_was_stopped_has_its_verdicts(tmp_path: Path) -> None:
    plan = make_plan(open_study())
    with pytest.raises(KeyboardInterrupt):
        played(plan, tmp_path, 300)
    found = {verdict.method: verdict for verdict in judge(read_study(tmp_path / "study.db"))}
    assert label(found["mixup"]) == "helps on this test set"
    cutmix = found["cutmix"]
    assert 5 <= cutmix.seeds < 12
    assert cutmix.notes[0] == (
        f"Judged with {cutmix.seeds} of at most 12 seeds; the verdict holds if the study stops here, "
        "and it may continue."
    )


def test_more_seeds_do_not_make_the_claims_exploratory(tmp_path: Path) -> None:
    before = make_plan(open_study())
    old = set(played(before, tmp_path).states)
    plan = extend(tmp_path / "study.db", before, **_changes(16))
    more = carry_out(plan, tmp_path / "study.db", tmp_path / "c.csv")
    whole = played(plan, tmp_path, name="whole.db")
    assert old < set(more.states) == set(whole.states)
    assert runs(more, records.CONFIRM)["all", "cutmix"] == 16
    study = read_study(tmp_path / "study.db")
    assert [extension.exploratory for extension in study.plan.extensions] == [False]
    assert study.plan.looks == tuple(range(4, 17))
    assert not any("exploratory" in note.lower() for verdict in judge(study) for note in verdict.notes)
    first, second = (judge(read_study(tmp_path / name)) for name in ("study.db", "whole.db"))
    assert [(one.verdict, one.tuned, one.look) for one in first] == [
        (one.verdict, one.tuned, one.look) for one in second
    ]


def _changes(most: int) -> dict[str, object]:
    return {
        "conditions": {},
        "methods": ["baseline", "mixup", "cutmix"],
        "search": "none",
        "confirm": {"points": 1, "seeds": "open", "most": most},
    }


def test_an_extension_keeps_declared_numbers_of_seeds() -> None:
    confirm = {"points": 1, "seeds": "open", "looks": [6, 12]}
    before = make_plan(open_study(confirm=confirm).on_official_test())
    assert (before.study.looks, before.study.confirm.most_seeds) == ((6, 12), 12)
    after = with_defaults_of(before, open_study(most=14))
    assert after.looks == (6, 12, 13, 14)
    extension = find_extension(before.study, after)
    assert (extension.what, extension.exploratory) == (("confirm.most from 12 to 14",), False)
    with pytest.raises(InputError, match=r"confirm.looks would begin with \[8\] instead of \[6, 12\]"):
        find_extension(before.study, open_study(confirm={**confirm, "looks": [8, 14]}).on_official_test())


def test_which_test_holds_cannot_be_changed_later() -> None:
    fixed = open_study(confirm={"points": 1, "seeds": 12})
    with pytest.raises(InputError, match=r"confirm\.seeds is 12 in the study and cannot become open"):
        find_extension(fixed, open_study(most=20))
    with pytest.raises(InputError, match=r"confirm\.most is 12 in the study and cannot be reduced to 8"):
        find_extension(open_study(), open_study(most=8))


def test_the_plan_names_the_rule_the_most_runs_and_the_detectable_effect() -> None:
    record = study_record(make_plan(open_study(most=60)))
    assert PlanRecord.parse(record.dump()) == record
    assert (record.version, record.variances, set(record.look_alphas)) == (2, "own", {0.05})
    rows = dict(summary_rows(record, study_size(record, 1.0)))
    assert rows["confirmation"] == "at most 180 runs, 1 point x at most 60 seeds per arm"
    assert rows["seeds"].startswith("open: claims are judged after every seed from 4 on")
    fixed = study_record(make_plan(open_study(confirm={"points": 1, "seeds": 60, "looks": []})))
    assert (fixed.version, fixed.stopping_rule) == (1, "")
    assert study_size(fixed, 1.0).detectable < study_size(record, 1.0).detectable < 0.7


@pytest.mark.parametrize(
    ("confirm", "message"),
    [
        ({"most": 30}, "`most: 30` is the largest number of open seeds, but `seeds` is 10"),
        ({"seeds": "opn"}, "expected a number, or `open`, but got 'opn'"),
        ({"seeds": 1}, "must be from 2 to 1,000, or `open`, but got 1"),
        ({"seeds": "open", "most": 4}, "greater than or equal to 5, but got 4"),
        ({"seeds": "open", "most": 30, "looks": [5, 20]}, "the last of `looks`, 20, must equal `most`, 30"),
    ],
)
def test_contradictions_are_refused(confirm: dict[str, object], message: str) -> None:
    with pytest.raises(InputError) as refused:
        open_study(confirm=confirm)
    assert message in str(refused.value)


def test_the_document_gives_the_same_study_again() -> None:
    study = open_study(confirm={"seeds": "open"})
    assert study.confirm.most == 60
    assert validate(study.document(), "study.yaml", Path.cwd()) == study
