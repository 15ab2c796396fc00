"""Progress and status: counts, the best configuration of each arm, and why a run ended."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from rich.console import Console

import search
from reports.inference.wording import Row
from search.cli.console import print_verdicts
from search.cli.study import _show_status
from search.lifecycle import count
from search.monitor.counts import ArmCount, RunProgress, StudyProgress, count_runs
from search.monitor.messages import copyable, resume_hint
from search.monitor.progress import Display, best_table, count_table
from search.monitor.status import JournalProgress, run_facts, study_progress
from search.orchestration.controller import StudyController
from search.plan.builder import make_plan
from search.plan.record import study_record
from search.session import Options
from search.store.journal import Journal
from tests.support.driver import carry_out
from tests.support.runs import run_of
from tests.support.studies import make_study
from trainables import records
from trainables.errors import InputError
from trainables.records import EndDecision, JournalReader, Outcome, RungDecision
from trainables.worker.requests import RunResult

RECIPE = {"model": "resnet8", "augmentation": "crop", "epochs": 12}
CONFIRM = {"points": 1, "seeds": 3}
PLAN = study_record(make_plan(make_study(conditions={}, methods=["baseline", "mixup"])))


def seen(k: int, value: float, phase: str = records.SEARCH, seed: int = 0, epoch: int = 12) -> RunProgress:
    run = run_of(
        f"{phase}{k}-{seed}", phase, "all", "all: mixup", "mixup", k, seed, False, {}, {}, {"learning_rate": k / 10}
    )
    return RunProgress(run, epoch, Outcome(records.COMPLETED, epoch, "", {records.SELECTION: value}))


def mixup(count: StudyProgress) -> tuple[float, int, object]:
    (arm,) = (arm for arm in count.arms if arm.method == "mixup")
    return arm.best, arm.best_runs, arm.parameters.get("learning_rate")


def text(shown: object) -> str:
    console = Console(width=200)
    with console.capture() as caught:
        console.print(shown)
    return caught.get()


def test_the_best_configuration_has_the_best_confirmed_mean_of_equally_many_seeds() -> None:
    trials = [seen(1, 0.8), seen(2, 0.9)]
    assert mixup(count_runs(PLAN, trials)) == (0.9, 1, 0.2)
    lucky = seen(2, 0.99, records.CONFIRM)
    confirmed = [seen(1, value, records.CONFIRM, seed) for seed, value in enumerate((0.7, 0.8))]
    assert mixup(count_runs(PLAN, [*trials, lucky, *confirmed])) == (pytest.approx(0.75), 2, 0.1)
    shown = text(best_table(count_runs(PLAN, trials)))
    assert "90.0 %" in shown
    assert "learning_rate 0.2" in shown
    assert best_table(count_runs(PLAN, [])) is None


def test_the_lowest_loss_is_the_best() -> None:
    plan = PLAN.model_copy(update={"metric": records.VALIDATION_LOSS})
    assert mixup(count_runs(plan, [seen(1, 0.8), seen(2, 0.9)])) == (0.8, 1, 0.1)


def test_notes_name_the_claims_they_belong_to(capsys: pytest.CaptureFixture[str]) -> None:
    row = Row("a", "mixup", "baseline", "helps", "+1", "0 to 2", "+1", "all", "6/6", "At the edge of the space.")
    other = replace(row, method="maxup", against="maxup_mean")
    print_verdicts([row, replace(other, notes="")], "points")
    assert "note on mixup, a: At the edge of the space." in capsys.readouterr().out
    print_verdicts([row, other], "points")
    assert "note: At the edge of the space." in capsys.readouterr().out
    print_verdicts([row, other, replace(row, notes="")], "points")
    assert "note on mixup, a; maxup against maxup_mean, a: At" in capsys.readouterr().out


def test_interrupted_runs_are_not_counted_as_running() -> None:
    half = RunProgress(seen(1, 0.0).run, 3, None)
    counted = count_runs(PLAN, [half])
    assert "running" in text(count_table(counted))
    assert "running" not in text(count_table(counted, alive=False))
    assert "interrupted" in text(count_table(counted, alive=False))


def test_the_time_left_is_estimated_once_a_run_has_ended() -> None:
    done, arm = [0.0], ArmCount("all", "mixup", dict.fromkeys(records.PHASES, 0))
    display = Display(lambda: StudyProgress([arm], done[0], 100.0), "study")
    assert "0 % after 0 s, starting" in text(display.render())
    done[0] = 50.0
    assert "50 % after 0 s, first runs" in text(display.render())
    arm.ended[records.SEARCH] = 1
    assert "50 % after 0 s, about 1 s left" in text(display.render())
    done[0] = 100.0
    assert "99 % after 0 s, finishing" in text(display.render()), "its end is not recorded yet"


def test_status_has_the_counts_of_the_driver_and_the_reason_why_a_run_ended(tmp_path: Path) -> None:
    plan = make_plan(make_study(conditions={}, methods=["baseline", "mixup"]))
    with Journal.create(tmp_path / records.JOURNAL_FILE) as journal:
        journal.set_meta_once(records.META_PLAN, study_record(plan).dump())
        controller = StudyController(plan, journal)
        with JournalReader.open(tmp_path / records.JOURNAL_FILE) as reader:
            progress = JournalProgress(reader)
            for outcome in (records.COMPLETED, records.FAILED, None):
                run = controller.next_run()
                assert run
                rows = [(epoch, {records.VALIDATION_ACCURACY: 0.1 * epoch}) for epoch in (1, 2, 3)]
                controller.reported(run.name, rows)
                if outcome:
                    controller.ended(run.name, RunResult(outcome, "it broke" if outcome == records.FAILED else "", 3))
                assert progress() == count(controller, study_record(plan))
        names = list(controller.states)
        assert [run_facts(tmp_path, name).why for name in names] == [
            "completed",
            "it broke",
            "still running",
        ]
        journal.decide(RungDecision(rung=6, value=0.5, cutoff=0.75, action=records.STOP), names[2])
        controller.ended(names[2], RunResult())
    facts = run_facts(tmp_path, names[2])
    assert facts.why == "stopped early after epoch 6: validation_accuracy 0.5 was below the cutoff of its arm, 0.75"
    assert facts.log_tail() == []
    assert list(asdict(facts)) == [
        "run", "phase", "condition", "method", "outcome", "why", "reason", "epochs", "length", "last", "figures",
        "rungs", "parameters", "log",
    ], "keys of `assay status --run NAME --json`"  # fmt: skip
    with pytest.raises(InputError, match="this study has no run"):
        run_facts(tmp_path, "nothing")


def test_an_arm_whose_trials_all_failed_is_not_expected_to_be_confirmed(
    tmp_path: Path, write_curves: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    plan = make_plan(
        make_study(conditions={}, methods=["baseline", "mixup"], recipe={**RECIPE, "epochs": 7}, confirm=CONFIRM)
    )
    carry_out(plan, tmp_path / records.JOURNAL_FILE, write_curves(epochs=7, mixup="raise"))
    progress = study_progress(tmp_path)
    expected = {arm.method: arm.expected[records.CONFIRM] for arm in progress.arms}
    assert expected == {"baseline": 3, "mixup": 0}
    assert all(arm.ended == arm.expected for arm in progress.arms)
    _show_status(tmp_path, progress, alive=False)
    assert "not running, 99 % done; continue with" in capsys.readouterr().out
    with Journal.open(tmp_path) as journal:
        journal.decide(EndDecision(runs=len(journal.runs())))
    _show_status(tmp_path, study_progress(tmp_path), alive=False)
    assert "finished, 100 % done\n" in capsys.readouterr().out


def test_a_study_is_finished_by_its_counts_and_its_recorded_end_whatever_the_work_sums_to(
    capsys: pytest.CaptureFixture[str],
) -> None:
    almost = StudyProgress([], 666.6666666666666, 666.6666666666667)
    _show_status(Path("s1"), replace(almost, finished=True), alive=False)
    assert "finished, 100 % done\n" in capsys.readouterr().out
    _show_status(Path("s1"), replace(almost, done=almost.total), alive=False)
    assert "not running, 99 % done; continue with `" in capsys.readouterr().out


def test_commands_can_be_copied(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("UV_RUN_RECURSION_DEPTH", raising=False)
    assert resume_hint(Path("my study")) == "assay resume 'my study'"
    monkeypatch.setenv("UV_RUN_RECURSION_DEPTH", "1")
    assert resume_hint(Path("s1")) == "uv run assay resume s1"
    assert copyable("go on with `assay resume s1`; assay is not") == "go on with `uv run assay resume s1`; assay is not"


def test_ray_client_addresses_are_refused() -> None:
    with pytest.raises(InputError, match="ray job submit"):
        Options("ray://head:10001")
    assert Options("auto").address == "auto"


def test_the_python_interface_imports_nothing_heavy_and_refuses_invalid_input(tmp_path: Path) -> None:
    code = """
import sys
from search import Result, Study, load_study, report, resume, run
import search.lifecycle
from search import run as again
assert again is run and callable(run)
print({"ray", "tensorflow", "keras", "mlflow"} & set(sys.modules))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
    assert set(search.__all__) <= set(dir(search))
    with pytest.raises(InputError, match="unknown study"):
        search.run("quickstrat", tmp_path / "s")
    with pytest.raises(InputError, match="is not a study folder"):
        search.resume(tmp_path)
    with pytest.raises(AttributeError, match="no attribute `runs`"):
        search.__getattr__("runs")
    assert not list(tmp_path.iterdir())
