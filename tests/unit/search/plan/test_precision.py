"""Precision of a study with `precision: auto`: the decision, what is refused, and what is recorded."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest

from reports.page.writer import write_report
from search import lifecycle
from search.lifecycle import journal_plan, run_study
from search.monitor.status import study_progress
from search.plan import precision
from search.plan.builder import make_plan
from search.plan.cost_estimate import TrainingSpeed
from search.plan.extension import find_extension, with_defaults_of
from search.plan.network_timing import NetworkWork, TimedNetwork, network_works
from search.plan.precision import MARGIN, decide, is_timed
from search.plan.record import study_record
from search.plan.summary import precision_rows
from search.session import Options
from search.store.journal import Journal
from search.store.yaml_files import read_mapping
from search.study.resources import Resources
from search.study.schema import Study
from tests.support.studies import make_study
from trainables import records
from trainables.data.digits import Digits
from trainables.errors import InputError, TrialError
from trainables.records import ExtensionDecision, PlanRecord

AUTO = {"model": "resnet8", "augmentation": "crop", "epochs": 12, "precision": "auto"}


def work(name: str, steps: float = 100.0, images: float = 0.0) -> NetworkWork:
    return NetworkWork(name, name, "", 10, {}, steps, images)


def timed(float32: float, mixed: float | None, fault: str = "") -> TimedNetwork:
    """Return a network with seconds of a step in both precisions; an image is evaluated in a hundredth of that."""
    one, other = (None if step is None else TrainingSpeed(step, step / 100, 0.0, 0) for step in (float32, mixed))
    assert one
    return TimedNetwork(one, other, fault)


# The decision


@pytest.mark.parametrize(("gain", "chosen"), [(MARGIN + 0.001, "mixed"), (MARGIN - 0.001, "float32"), (0.7, "float32")])
def test_mixed_precision_must_be_faster_by_the_margin(gain: float, chosen: str) -> None:
    found = decide([work("a", images=500)], {"a": timed(gain, 1.0)})
    assert (found.chosen, found.margin) == (chosen, MARGIN)
    assert found.gain == pytest.approx(gain)
    assert f"{gain:.2f} times" in found.text


@pytest.mark.parametrize(("steps", "chosen"), [((100, 100), "mixed"), ((100, 700), "float32")])
def test_networks_count_as_much_as_they_are_trained(steps: tuple[float, float], chosen: str) -> None:
    works = [work("large", steps[0]), work("small", steps[1])]
    found = decide(works, {"large": timed(2.0, 1.0), "small": timed(0.5, 0.6)})
    before, after = 2 * steps[0] + 0.5 * steps[1], steps[0] + 0.6 * steps[1]
    assert (found.chosen, found.gain) == (chosen, pytest.approx(before / after))
    shares = {one.network: one.share for one in found.networks}
    assert shares == {"large": pytest.approx(2 * steps[0] / before), "small": pytest.approx(0.5 * steps[1] / before)}
    assert [one.share for one in found.networks] == sorted(shares.values(), reverse=True)
    assert "large: 2.00" in found.text


def test_evaluated_images_count() -> None:
    slow = TimedNetwork(TrainingSpeed(1.0, 1.0, 0.0, 0), TrainingSpeed(0.5, 2.0, 0.0, 0))
    assert decide([work("a", 100, 0)], {"a": slow}).gain == pytest.approx(2)
    assert decide([work("a", 100, 100)], {"a": slow}).gain == pytest.approx(200 / 250)


def test_a_network_that_cannot_be_trained_in_mixed_precision_decides_for_all() -> None:
    fault = "its loss was not finite in the first steps"
    found = decide([work("good"), work("bad", 1)], {"good": timed(9.0, 1.0), "bad": timed(1.0, None, fault)})
    assert (found.chosen, found.gain) == ("float32", None)
    assert found.text == f"float32, since mixed precision cannot be used for bad: {fault}"


# A study that says nothing


SILENT = {key: value for key, value in AUTO.items() if key != "precision"}


@pytest.fixture
def able(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(precision, "multiplies_bfloat16", lambda: True)


def timed_if(study: Study) -> bool:
    return is_timed(study, make_plan(study), {"": Digits().load()})


def trained_pixels(study: Study) -> float:
    works = network_works(make_plan(study), {"": Digits().load()})
    return sum(one.steps * one.config["batch_size"] * 8 * 8 for one in works)


@pytest.mark.usefixtures("able")
def test_a_study_that_says_nothing_is_timed_if_it_is_long_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    study = make_study(recipe=SILENT)
    pixels = trained_pixels(study)
    monkeypatch.setattr(precision, "LEAST_PIXELS", pixels)
    assert timed_if(study)
    monkeypatch.setattr(precision, "LEAST_PIXELS", pixels + 1)
    assert not timed_if(study)
    assert timed_if(make_study(recipe=AUTO))


def test_a_study_that_says_nothing_needs_hardware_for_bfloat16(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(precision, "LEAST_PIXELS", 0)
    monkeypatch.setattr(precision, "multiplies_bfloat16", lambda: False)
    assert not timed_if(make_study(recipe=SILENT))
    assert timed_if(make_study(recipe=SILENT, resources={"gpus": 0.5}))


@pytest.mark.usefixtures("able")
@pytest.mark.parametrize(
    "changes",
    [
        {"recipe": {**SILENT, "precision": "float32"}},
        {"recipe": {**SILENT, "resnet8.precision": "mixed"}},
        {"recipe": SILENT, "compare": {"precision": ["float32", "mixed"]}},
        {
            "recipe": SILENT,
            "conditions": {"speed": [{"as": "quick", "precision": "mixed"}, {"as": "slow", "precision": "float32"}]},
        },
        {"recipe": SILENT, "nuisance": {"precision": ["float32", "mixed"]}},
    ],
)
def test_a_study_that_names_a_precision_anywhere_is_not_timed(
    changes: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(precision, "LEAST_PIXELS", 0)
    assert not timed_if(make_study(**changes))


def test_the_plan_says_what_a_silent_study_will_do(monkeypatch: pytest.MonkeyPatch) -> None:
    study = make_study(recipe=SILENT)
    monkeypatch.setattr(precision, "multiplies_bfloat16", lambda: False)
    assert precision_rows(study, None) == []
    monkeypatch.setattr(precision, "multiplies_bfloat16", lambda: True)
    assert "in a long study mixed" in precision_rows(study, None)[0][1]
    assert precision_rows(make_study(recipe={**SILENT, "precision": "mixed"}), None) == []


# Refusals


def test_the_choice_is_written_in_lower_case() -> None:
    with pytest.raises(InputError, match=r"recipe.precision must be one of auto, float32, mixed, but got 'AUTO'"):
        make_study(recipe={"precision": "AUTO"})


@pytest.mark.parametrize(
    ("changes", "place"),
    [
        ({"conditions": {"precision": ["float32", "auto"]}}, "conditions.precision"),
        ({"compare": {"precision": ["auto", "mixed"]}}, "compare.precision"),
        ({"conditions": {"speed": [{"as": "quick", "precision": "auto"}]}}, "conditions.speed.precision"),
        ({"nuisance": {"precision": "auto"}}, "nuisance.precision"),
        ({"nuisance": {"precision": ["auto", "mixed"]}}, "nuisance.precision"),
        ({"nuisance": {"resnet8.precision": "auto"}}, "nuisance.resnet8.precision"),
        ({"recipe": {"model": "resnet8", "resnet8.precision": "auto"}}, "recipe.resnet8.precision"),
    ],
)
def test_auto_is_refused_for_a_part_of_the_runs(changes: dict[str, Any], place: str) -> None:
    with pytest.raises(InputError, match=rf"{place}: `auto` applies to the whole study.*recipe: {{precision: auto}}"):
        make_study(**changes)


def test_a_precision_of_its_own_beside_auto_is_refused() -> None:
    with pytest.raises(InputError, match=r"recipe.resnet8.precision: `recipe.precision` is `auto`.*remove one"):
        make_study(recipe={**AUTO, "resnet8.precision": "mixed"})


# What is recorded


@pytest.fixture
def start(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., Path]:
    """Return a function that starts a study with faked timings, and stops before its first run."""

    def begin(speed: TimedNetwork | Exception, **changes: Any) -> Path:
        def call(function: object, arguments: Any, resources: Resources, options: Options) -> Any:
            if isinstance(speed, Exception):
                raise speed
            return {one.key: speed for one in arguments[0]}

        monkeypatch.setattr(lifecycle, "kept_workers", lambda *_: nullcontext())
        monkeypatch.setattr(lifecycle, "call_on_worker", call)
        monkeypatch.setattr(lifecycle, "_continue_study", lambda *_: None)
        run_study(make_study(**{"recipe": AUTO, **changes}), tmp_path / "study", Options())
        return tmp_path / "study"

    return begin


def test_the_faster_precision_is_written_down_as_if_it_had_been_in_the_file(start: Callable[..., Path]) -> None:
    folder = start(timed(1.5, 1.0))
    assert read_mapping(folder / records.STUDY_FILE)["recipe"]["precision"] == "mixed"
    with Journal.open(folder) as journal:
        plan, record = journal_plan(journal, folder), journal.required_plan()
    assert not plan.study.measures_precision
    assert {plan.run_config(arm, {}, 0, 0).precision for arm in plan.arms} == {"mixed"}
    assert record.precision
    assert (record.precision.chosen, record.precision.gain) == ("mixed", pytest.approx(1.5))
    assert study_progress(folder).precision == record.precision.text
    report = write_report(folder)
    assert record.precision.text in report.html.read_text("utf-8")
    concrete = study_record(make_plan(make_study(recipe={**AUTO, "precision": "mixed"})))
    assert record.model_copy(update={"precision": None}) == concrete


def test_a_worker_that_cannot_time_leaves_float32(
    start: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    folder = start(TrialError("the worker has died"))
    with Journal.open(folder) as journal:
        record = journal.required_plan().precision
    assert record
    assert record.text == "float32, since the precisions could not be timed: the worker has died"
    assert f"warning: precision: {record.text}" in capsys.readouterr().err


def test_a_network_that_does_not_fit_is_refused_before_anything_is_written(
    start: Callable[..., Path], tmp_path: Path
) -> None:
    with pytest.raises(InputError, match="does not fit"):
        start(InputError("the network does not fit the images"))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("able")
def test_a_long_study_that_says_nothing_gets_the_faster_precision(
    start: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(precision, "LEAST_PIXELS", 0)
    folder = start(timed(1.5, 1.0), recipe=SILENT)
    assert read_mapping(folder / records.STUDY_FILE)["recipe"]["precision"] == "mixed"
    with Journal.open(folder) as journal:
        before = journal_plan(journal, folder)
    after = with_defaults_of(before, make_study(recipe=SILENT, confirm={"points": 2, "seeds": 5}))
    assert find_extension(before.study, after).what == ("confirm.seeds from 3 to 5",)


@pytest.mark.usefixtures("able")
def test_a_replay_of_a_study_that_says_nothing_leaves_its_file_as_it_is(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, write_curves: Callable[..., Path]
) -> None:
    monkeypatch.setattr(precision, "LEAST_PIXELS", 0)
    monkeypatch.setattr(lifecycle, "_continue_study", lambda *_: None)
    run_study(make_study(recipe=SILENT), tmp_path / "study", Options(curves=write_curves()))
    assert "precision" not in read_mapping(tmp_path / "study" / records.STUDY_FILE)["recipe"]
    assert study_progress(tmp_path / "study").precision == ""


def test_without_auto_nothing_is_timed(start: Callable[..., Path]) -> None:
    folder = start(AssertionError("timed"), recipe={**AUTO, "precision": "mixed"})
    with Journal.open(folder) as journal:
        assert journal.required_plan().precision is None
    assert study_progress(folder).precision == ""


def test_an_older_plan_has_no_measured_precision() -> None:
    dumped = study_record(make_plan(make_study())).dump()
    del dumped["precision"]
    assert PlanRecord.parse(dumped) == study_record(make_plan(make_study()))


@pytest.mark.parametrize("recipe", [AUTO, SILENT], ids=["auto", "silent"])
@pytest.mark.parametrize("chosen", ["mixed", "float32", None])
def test_an_extension_keeps_the_precision(chosen: str | None, recipe: dict[str, Any]) -> None:
    before = make_plan(make_study(recipe=SILENT if chosen is None else {**SILENT, "precision": chosen}))
    after = with_defaults_of(before, make_study(recipe=recipe, confirm={"points": 2, "seeds": 5}))
    assert after.recipe.get("precision") == chosen
    extension = find_extension(before.study, after)
    assert extension.what == ("confirm.seeds from 3 to 5",)
    measured = decide([work("a")], {"a": timed(2.0, 1.0)})
    step = ExtensionDecision(what=extension.what, exploratory=True, plan=study_record(before, precision=measured))
    assert study_record(make_plan(after), [step]).precision == measured
