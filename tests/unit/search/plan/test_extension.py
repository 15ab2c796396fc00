"""Interim looks, replicates, equal compute and extensions of a study."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from reports.data.frames import read_study
from reports.inference.verdicts import judge
from search import lifecycle
from search.plan.builder import make_plan
from search.plan.extension import check_kept, find_extension, with_defaults_of
from search.plan.record import study_record
from search.session import Options
from tests.support.driver import carry_out
from tests.support.extended_studies import curves, extend, runs
from tests.support.studies import make_study
from trainables import records
from trainables.errors import InputError
from trainables.records import JournalReader, LookDecision, PoolDecision, confirmation_runs


def test_a_settled_condition_gets_no_more_seeds(tmp_path: Path) -> None:
    plan = make_plan(
        make_study(
            methods=["baseline", "mixup"],
            search={"trials_per_arm": 2, "early_stopping": False},
            confirm={"points": 1, "looks": [4, 8, 12]},
        )
    )
    assert plan.study.confirm.seeds == 12
    assert study_record(plan).dump()["look_alphas"] == pytest.approx([0.01, 0.02, 0.02])
    table = curves(plan, tmp_path / "c.csv", {"train_fraction=0.1/mixup": 0.1})
    controller = carry_out(plan, tmp_path / "study.db", table)
    confirmed = runs(controller, records.CONFIRM)
    assert confirmed["train_fraction=0.1", "mixup"] == confirmed["train_fraction=0.1", "baseline"] == 4
    assert confirmed["train_fraction=0.3", "mixup"] == 12
    with JournalReader.open(tmp_path / "study.db") as journal:
        looks = [row.decision for row in journal.decisions(LookDecision)]
    assert [look.seeds for look in looks] == [4, 8]
    assert looks[0].settled == ("train_fraction=0.1",)
    expected = confirmation_runs(study_record(plan), controller.decisions)
    assert {arm.name: expected[arm.name] for arm in plan.arms} == {
        arm.name: 4 if arm.condition.name == "train_fraction=0.1" else 12 for arm in plan.arms
    }


def test_an_arm_with_only_decided_claims_gets_no_more_seeds(tmp_path: Path) -> None:
    plan = make_plan(
        make_study(
            conditions={},
            methods=["baseline", "mixup", "cutmix"],
            search={"trials_per_arm": 2, "early_stopping": False},
            confirm={"points": 1, "seeds": 16},
        )
    )
    assert study_record(plan).looks == (4, 8, 16)
    table = curves(plan, tmp_path / "c.csv", {"all/mixup": 0.1})
    controller = carry_out(plan, tmp_path / "study.db", table)
    assert runs(controller, records.CONFIRM) == {("all", "mixup"): 4, ("all", "baseline"): 16, ("all", "cutmix"): 16}
    with JournalReader.open(tmp_path / "study.db") as journal:
        [first, second] = [row.decision for row in journal.decisions(LookDecision)]
    assert (first.settled, first.arms) == ((), (("all", "mixup"),))
    assert (second.settled, set(second.arms)) == ((), {("all", "mixup")})
    verdicts = {verdict.method: verdict for verdict in judge(read_study(tmp_path / "study.db"))}
    assert (verdicts["mixup"].look, verdicts["mixup"].seeds, verdicts["cutmix"].seeds) == (4, 4, 16)
    assert not verdicts["cutmix"].provisional


@pytest.mark.parametrize(
    ("confirm", "looks"),
    [
        ({"seeds": 6}, (6,)),
        ({"seeds": 10}, (5, 10)),
        ({"seeds": 16}, (4, 8, 16)),
        ({"seeds": 16, "looks": []}, (16,)),
        ({"looks": [3, 9]}, (3, 9)),
    ],
)
def test_default_looks(confirm: dict[str, object], looks: tuple[int, ...]) -> None:
    assert make_study(confirm=confirm).looks == looks


def test_a_single_contrast_has_a_single_look_by_default() -> None:
    assert make_study(conditions={}, methods=["baseline", "mixup"], confirm={"seeds": 16}).looks == (16,)


def test_an_extension_keeps_the_looks_that_have_been_taken() -> None:
    before = make_plan(make_study(confirm={"points": 2, "seeds": 10}))
    after = with_defaults_of(before, make_study(confirm={"points": 2, "seeds": 18}))
    assert after.looks == (5, 18)


@pytest.mark.parametrize("fuse", [60, 130, 200, 290])
def test_looks_are_the_same_after_a_kill(tmp_path: Path, fuse: int) -> None:
    plan = make_plan(
        make_study(
            methods=["baseline", "mixup"],
            search={"trials_per_arm": 2, "early_stopping": False},
            confirm={"points": 1, "looks": [3, 6]},
        )
    )
    table = curves(plan, tmp_path / "c.csv", {"train_fraction=0.1/mixup": 0.1})
    with pytest.raises(KeyboardInterrupt):
        carry_out(plan, tmp_path / "killed.db", table, fuse)
    resumed = carry_out(plan, tmp_path / "killed.db", table)
    whole = carry_out(plan, tmp_path / "whole.db", table)
    assert set(resumed.states) == set(whole.states)
    assert resumed.decisions == whole.decisions


def test_every_replicate_has_its_own_points_split_and_pool(tmp_path: Path) -> None:
    plan = make_plan(
        make_study(
            conditions={},
            recipe={"model": "resnet8", "augmentation": "crop", "epochs": 12, "train_fraction": 0.1},
            search={"trials_per_arm": 3, "replicates": 3, "audit": 2},
            confirm={"points": 2, "seeds": 2},
        )
    )
    controller = carry_out(plan, tmp_path / "study.db", curves(plan, tmp_path / "c.csv"))
    search = [state.run for state in controller.states.values() if state.run.phase == records.SEARCH]
    assert {run.index for run in search} == set(range(9))
    assert len({run.config["split_seed"] for run in search}) == 3
    by_k = {run.index: run.searched["learning_rate"] for run in search if run.method == "baseline"}
    assert len(set(by_k.values())) == 9
    for k, rate in by_k.items():
        assert all(run.searched["learning_rate"] == rate for run in search if run.index == k)
    assert {run.index % 3 for run in search if run.audit} == {0, 1}
    confirmed = {state.run.index for state in controller.states.values() if state.run.phase == records.CONFIRM}
    assert {k // plan.points for k in confirmed} == {0, 1, 2}
    assert sorted(study.study_name for study in controller.optuna_studies)[0].endswith("search 1")


def test_the_cheaper_arm_is_confirmed_at_the_compute_of_the_costlier_arm(tmp_path: Path) -> None:
    plan = make_plan(
        make_study(
            conditions={},
            methods=["baseline", "mixup", {"name": "maxup", "m": 4}, {"name": "maxup_mean", "m": 4}],
            contrasts=[["maxup", "maxup_mean"]],
            recipe={"model": "resnet8", "augmentation": "crop", "epochs": 12, "train_fraction": 0.1},
            search={"trials_per_arm": 2, "match": "compute"},
            confirm={"points": 1, "seeds": 2},
        )
    )
    longer = {arm.method: arm for arm in plan.arms if arm.compute_of}
    assert {name: arm.epochs for name, arm in longer.items()} == {
        "baseline at the compute of maxup": 28,  # 12 epochs of (4 + 3) / 3
        "baseline at the compute of maxup_mean": 48,
        "maxup at the compute of maxup_mean": 21,
    }
    assert ("all", "maxup", "baseline at the compute of maxup") in plan.contrasts
    assert ("all", "maxup at the compute of maxup_mean", "maxup_mean") in plan.contrasts
    for arm in longer.values():
        assert arm.epochs * arm.cost == pytest.approx(
            next(a.epochs * a.cost for a in plan.arms if a.method == arm.compute_of), rel=0.05
        )
    controller = carry_out(plan, tmp_path / "study.db", curves(plan, tmp_path / "c.csv"))
    states = controller.states.values()
    assert not any(state.run.method in longer and state.run.phase == records.SEARCH for state in states)
    run = next(state.run for state in states if state.run.method == "baseline at the compute of maxup")
    twin = next(s.run for s in states if s.run.phase == records.CONFIRM and s.run.method == "baseline")
    assert run.config["epochs"] == 28
    assert {**run.config, "epochs": 12} == twin.config
    assert controller.states[run.name].outcome is not None


def test_compute_cannot_be_matched_if_the_cost_depends_on_searched_values() -> None:
    with pytest.raises(InputError, match="fix them to one value"):
        make_plan(make_study(methods=["baseline", "maxup"], search={"trials_per_arm": 4, "match": "compute"}))


def test_matching_steps_needs_a_length_in_steps() -> None:
    with pytest.raises(InputError, match="needs a training length in optimizer steps"):
        make_plan(make_study(search={"trials_per_arm": 4, "match": "steps"}))


def test_an_extension_executes_only_missing_runs(tmp_path: Path) -> None:
    path = tmp_path / "study.db"
    first = make_plan(make_study(methods=["baseline", "mixup"], search={"trials_per_arm": 4, "early_stopping": False}))
    table = curves(make_plan(make_study(search={"trials_per_arm": 8})), tmp_path / "c.csv")
    before = set(carry_out(first, path, table).states)
    more = {"search": {"trials_per_arm": 8, "early_stopping": False}, "confirm": {"points": 2, "seeds": 5}}
    plan = extend(path, first, methods=["baseline", "mixup"], **more)
    extended = carry_out(plan, path, table)
    assert before < set(extended.states)
    assert set(runs(extended, records.SEARCH).values()) == {8}
    with JournalReader.open(path) as journal:
        pools = [row.decision for row in journal.decisions(PoolDecision)]
        document = journal.meta(records.META_PLAN)
    old, new = pools[0], pools[-1]
    assert {pool.trials for pool in pools} == {4, 8}
    assert next(p for p in pools[2:] if p.condition == old.condition).points[: len(old.points)] == old.points
    assert len(new.points) >= len(old.points)
    assert document["extensions"][0]["exploratory"]
    assert {contrast["family"] for contrast in document["contrasts"]} == {0}


def test_an_added_method_has_its_own_family(tmp_path: Path) -> None:
    path = tmp_path / "study.db"
    first = make_plan(make_study(methods=["baseline", "mixup"]))
    table = curves(make_plan(make_study()), tmp_path / "c.csv")
    before = runs(carry_out(first, path, table), records.CONFIRM)
    plan = extend(path, first)
    extended = carry_out(plan, path, table)
    assert runs(extended, records.SEARCH)["train_fraction=0.1", "maxup"] == 4
    cells = {
        method: {
            (s.run.index, s.run.seed_index)
            for s in extended.states.values()
            if s.run.phase == "confirm" and s.run.method == method
        }
        for method in ("baseline", "mixup", "maxup")
    }
    assert cells["maxup"] == cells["baseline"] >= cells["mixup"]
    assert runs(extended, records.CONFIRM)["train_fraction=0.1", "mixup"] == before["train_fraction=0.1", "mixup"]
    with JournalReader.open(path) as journal:
        document = journal.meta(records.META_PLAN)
    assert {(c["method"], c["family"]) for c in document["contrasts"]} == {("mixup", 0), ("maxup", 1)}
    assert not document["extensions"][0]["exploratory"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({}, "the study file adds nothing to the study"),
        ({"seed": 3}, "seed would change from 0 to 3"),
        ({"methods": ["baseline", {"name": "maxup", "m": 4}]}, "methods: mixup would be removed"),
        (
            {"methods": ["baseline", {"name": "mixup", "alpha": 0.3}]},
            "methods.mixup.alpha would change from unset to 0.3",
        ),
        ({"conditions": {"train_fraction": [0.1, 0.5]}}, "conditions.train_fraction"),
        ({"confirm": {"points": 2, "seeds": 2}}, "confirm.seeds is 3 in the study and cannot be reduced to 2"),
        ({"confirm": {"points": 3, "seeds": 3}}, "confirm.points would change from 2 to 3"),
        (
            {"confirm": {"points": 2, "seeds": 3, "test": "official"}},
            "confirm.test would change from 'extended' to 'off",
        ),
        ({"confirm": {"points": 2, "looks": [2, 3]}}, r"confirm.looks would begin with \[2\] instead of \[\]"),
        ({"search": {"trials_per_arm": 4, "audit": 3}}, "search.audit would change from 2 to 3"),
        (
            {"tracking": {"uri": "http://h:1"}},
            "tracking.uri would change from unset to 'http://h:1', which is not an addition",
        ),
        (
            {"resources": {"gpus": 1}},
            "resources.gpus would change from 0.0 to 1.0, which is not an addition: `assay resume",
        ),
        (
            {"recipe": {"model": "resnet8", "augmentation": "crop", "epochs": 20}},
            "recipe.epochs would change from 12 to 20",
        ),
    ],
)
def test_an_extension_that_changes_existing_settings_is_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        find_extension(make_study(), make_study(**changes))


@pytest.mark.parametrize(
    ("confirm", "begin"),
    [
        ({"seeds": 8, "looks": []}, [[], [4]]),
        ({"seeds": 8, "looks": [2, 8]}, [[2], [4]]),
        ({"seeds": 16, "looks": [2, 16]}, [[2], [4]]),
        ({"seeds": 16, "looks": [4, 6, 16]}, [[4, 6], [4]]),
        ({"seeds": 16, "looks": [4, 12, 16]}, []),
        ({"seeds": 16, "looks": [4, 8, 16]}, []),
    ],
)
def test_looks_that_may_have_been_taken_cannot_change(confirm: dict[str, object], begin: list[list[int]]) -> None:
    """Decided verdicts would be judged anew, with another error rate or fewer seeds."""
    before = make_plan(make_study(methods=["baseline", "mixup"], confirm={"points": 1, "seeds": 8}))
    assert before.study.looks == (4, 8)
    after = with_defaults_of(before, make_study(confirm={"points": 1, **confirm}))
    if begin:
        message = re.escape(f"confirm.looks would begin with {begin[0]} instead of {begin[1]}")
        with pytest.raises(InputError, match=message):
            find_extension(before.study, after)
    else:
        assert find_extension(before.study, after).what == ("confirm.seeds from 8 to 16", "methods added")


@pytest.mark.parametrize(
    "changes",
    [
        {"methods": ["baseline", "mixup", "cutmix"]},
        {"compare": {"batch_size": [16, 32, 64]}},
        {"search": {"trials_per_arm": 6, "replicates": 3}},
    ],
)
def test_nothing_that_adds_points_can_be_added_to_replicated_searches(changes: dict[str, object]) -> None:
    before = {
        "methods": ["baseline", "mixup"],
        "compare": {"batch_size": [16, 32]},
        "search": {"trials_per_arm": 4, "replicates": 3},
    }
    with pytest.raises(InputError, match=r"study with `search\.replicates`"):
        find_extension(make_study(**before), make_study(**{**before, **changes}))


def test_conditions_and_seeds_can_be_added_to_replicated_searches() -> None:
    before = {"methods": ["baseline", "mixup"], "search": {"trials_per_arm": 4, "replicates": 3}}
    more = {"conditions": {"train_fraction": [0.1, 0.3, 0.5]}, "confirm": {"points": 2, "seeds": 5}}
    found = find_extension(make_study(**before), make_study(**before, **more))
    assert found.what == ("confirm.seeds from 3 to 5", "conditions added")


def test_a_contrast_cannot_be_removed() -> None:
    before = make_study(contrasts=[["maxup", "mixup"]])
    with pytest.raises(InputError, match=r"but contrasts: \['maxup', 'mixup'\] would be removed; start a new study"):
        find_extension(before, make_study())


def test_the_test_part_is_kept_unless_the_file_names_another() -> None:
    before = make_plan(make_study(confirm={"points": 2, "seeds": 3, "test": "official"}))
    more = {"points": 2, "seeds": 5}
    after = with_defaults_of(before, make_study(confirm=more))
    assert after.confirm.test == "official"
    assert find_extension(before.study, after).what == ("confirm.seeds from 3 to 5",)
    other = with_defaults_of(before, make_study(confirm={**more, "test": "extended"}))
    with pytest.raises(InputError, match=r"but confirm\.test would change from 'official' to 'extended'"):
        find_extension(before.study, other)


def test_a_replayed_study_that_names_the_extended_test_part_can_be_extended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A replay uses the official test images, whatever its file says."""
    monkeypatch.setattr(lifecycle, "_continue_study", lambda plan, journal, *_: plan)
    table = curves(make_plan(make_study()), tmp_path / "c.csv", seeds=5)
    made = make_study(confirm={"points": 2, "seeds": 3, "test": "extended"})
    lifecycle.run_study(made, tmp_path / "s", Options(curves=table))
    more = make_study(confirm={"points": 2, "seeds": 5, "test": "extended"})
    extended: Any = lifecycle.extend_study(more, tmp_path / "s", Options())
    assert (extended.study.confirm.seeds, extended.test_part) == (5, "official")


def test_a_method_that_moves_the_rungs_cannot_be_added() -> None:
    recipe = {"model": "resnet8", "augmentation": "crop", "epochs": 40}
    pairing = {"name": "sample_pairing", "on_epochs": 4, "off_epochs": 1}
    before = make_plan(make_study(recipe=recipe, methods=["baseline", "mixup"]))
    after = make_plan(make_study(recipe=recipe, methods=["baseline", "mixup", pairing]))
    with pytest.raises(InputError, match="moves the rungs"):
        check_kept(before, after)
