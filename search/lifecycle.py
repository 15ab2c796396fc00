"""A study from beginning to end: check, announce, run, report, export. Starting and resuming are the same thing."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from search.cli.console import warn
from search.monitor.progress import Seen, Tally, tally
from search.orchestration.controller import Conductor
from search.plan.builder import make_plan
from search.plan.extension import check_kept, grown_document, growth
from search.plan.model import Plan
from search.session import Options, carry_out, facts
from search.store.journal import Journal
from search.store.study_folder import new_folder, refuse_used
from search.store.yaml_files import dump, write_whole
from search.study.resources import change, decide, recalled
from search.study.schema import Study, validate
from trainables import records
from trainables.errors import InputError

if TYPE_CHECKING:
    from reports.page.writer import ReportPaths
    from trainables.config import RunConfig
    from trainables.data import Dataset
    from trainables.data.selection import Selection


@dataclass(frozen=True)
class Finished:
    """What a study has left behind.

    Args:
        folder: the study's folder.
        report: paths of the report.
        recipe: the exported recipe, or None where nothing could be exported.
        undelivered: what MLflow has not received, in words, or empty.
        failed: whether not a single run gave a result.
    """

    folder: Path
    report: ReportPaths
    recipe: Path | None
    undelivered: str
    failed: bool


def run_study(study: Study, folder: Path, options: Options) -> Finished:
    """Run a new study in a new folder.

    Raises:
        InputError: the study, its data or the folder is refused; nothing was started.
    """
    refuse_used(folder)
    plan = make_plan(study)
    curves = _checked_curves(options.curves)
    data = None if curves else check_data(plan)
    with new_folder(folder) as journal:
        write_whole(folder / records.STUDY_FILE, dump(study.document()))
        journal.set_meta(records.META_ID, uuid.uuid4().hex)
        journal.set_meta(records.META_STUDY, study.document())
        journal.set_meta(records.META_FACTS, facts(data, curves))
        journal.set_meta(records.META_CURVES, str(curves or ""))
        journal.set_meta(records.META_PLAN, plan.document())
        return _go_on(plan, journal, folder, replace(options, curves=curves), data)


def resume_study(folder: Path, options: Options, sets: Sequence[str] = ()) -> Finished:
    """Go on with a study that was interrupted; one that is finished is reported again.

    Args:
        folder: the study's folder.
        options: how.
        sets: `resources.NAME=VALUE` each, for what one run takes from here on.

    Raises:
        InputError: there is no study, it is damaged or running, its data has changed, or `sets` are not allowed.
    """
    with Journal.open(folder / records.JOURNAL_FILE) as journal:
        plan = journal_plan(journal, folder)
        change(journal, plan.study.resources, sets)
        options, data = _as_before(plan, journal, folder, options)
        return _go_on(plan, journal, folder, options, data)


def extend_study(study: Study, folder: Path, options: Options) -> Finished:
    """Add to a study that was run before: more trials, seeds, methods or conditions; only what is missing is run.

    Raises:
        InputError: there is no such study, it is running, its data has changed, or something in it would change.
    """
    with Journal.open(folder / records.JOURNAL_FILE) as journal:
        before = journal_plan(journal, folder)
        found, plan = growth(before.study, study), make_plan(study)
        check_kept(before, plan)
        options, data = _as_before(plan, journal, folder, options)
        detail = found.detail(journal.meta(records.META_PLAN))
        history = [*(old for _, old in journal.decisions(records.EXTEND)), detail]
        journal.extend(study.document(), grown_document(plan, history), detail)
        decide(journal, before.study.resources, study.resources)
        write_whole(folder / records.STUDY_FILE, dump(study.document()))
        return _go_on(plan, journal, folder, options, data)


def _as_before(plan: Plan, journal: Journal, folder: Path, options: Options) -> tuple[Options, Dataset | None]:
    """Return options and data with which a study goes on: the curves that it replays, or images that are the same.

    Raises:
        InputError: the data has changed, or a run does not fit it.
    """
    curves = journal.meta(records.META_CURVES)
    options = replace(options, curves=_checked_curves(Path(curves)) if curves else None)
    data = None if curves else check_data(plan)
    refuse_changed(data, journal.meta(records.META_FACTS)["data"], f"the study in {folder} began")
    return options, data


def journal_plan(journal: Journal, folder: Path) -> Plan:
    """Return the plan of a study from its journal.

    Raises:
        InputError: the journal holds none.
    """
    if journal.meta(records.META_PLAN) is None or journal.meta(records.META_STUDY) is None:
        raise InputError(
            f"the study in {folder} was stopped before it was announced; remove the folder and start again"
        )
    return make_plan(validate(journal.meta(records.META_STUDY), str(folder / records.STUDY_FILE), folder))


def check_data(plan: Plan) -> Dataset:
    """Load the study's data, refuse what cannot be trained on it, and say what a reader should know of it.

    Raises:
        InputError: the data, or a model or split on it.
    """
    from trainables.data.checks import inspect

    data = plan.study.data.load()
    chosen = selections(plan, data)
    for arm in plan.arms:
        config = plan.run_config(arm, {}, *plan.search_seeds(0))
        config.model.check(data.images.shape[1:], chosen[arm.condition.name].classes)
    for line in inspect(data, chosen).warnings:
        warn(line)
    return data


def selections(plan: Plan, data: Dataset) -> dict[str, Selection]:
    """Return what each condition uses of the data, in the split of the search.

    Raises:
        InputError: a split is not possible.
    """
    from trainables.data.selection import select

    arrays, first = data.arrays(), {arm.condition.name: arm for arm in reversed(plan.arms)}
    configs = {name: plan.run_config(arm, {}, *plan.search_seeds(0)) for name, arm in first.items()}
    return {
        condition.name: select(arrays, configs[condition.name], len(data.class_names)) for condition in plan.conditions
    }


def check_on_data(config: RunConfig, data: Dataset) -> None:
    """Refuse a model or a split that does not fit the images.

    Raises:
        InputError: it does not.
    """
    from trainables.data.selection import select

    chosen = select(data.arrays(), config, len(data.class_names))
    config.model.check(data.images.shape[1:], chosen.classes)


def refuse_changed(data: Dataset | None, before: dict[str, str] | None, since: str) -> None:
    """Refuse data whose fingerprint is another one.

    Raises:
        InputError: it is.
    """
    if data and before and data.fingerprint != before["fingerprint"]:
        raise InputError(
            f"the data has changed since {since} (fingerprint {data.fingerprint[:12]}, then "
            f"{before['fingerprint'][:12]}); bring the old data back, or start anew"
        )


def _checked_curves(path: Path | None) -> Path | None:
    if path is None:
        return None
    from trainables.worker.replay import read_curves

    read_curves(path)
    return path.absolute()


def _go_on(plan: Plan, journal: Journal, folder: Path, options: Options, data: Dataset | None) -> Finished:
    from reports.data.frames import read_study
    from reports.inference.verdicts import settled_conditions
    from search.export.selection import export_recipe
    from search.tracking.lookup import mlflow_runs

    folder = folder.absolute()
    conductor = Conductor(plan, journal, lambda seeds: settled_conditions(read_study(folder), seeds))
    study, document = plan.study, journal.meta(records.META_PLAN)
    (report, recipe), undelivered = carry_out(
        conductor,
        folder,
        recalled(journal, study.resources),
        study.tracking.uri,
        options,
        data,
        title=study.name,
        count=lambda: count(conductor, document),
        conclude=lambda: _conclude(conductor, journal, folder),
    )
    if recipe:  # the one that was delivered could not name them yet
        recipe = export_recipe(folder, mlflow_runs(folder, study.tracking.uri)[0])
    outcomes = {state.outcome.outcome for state in conductor.states.values() if state.outcome}
    return Finished(folder, report, recipe, undelivered, failed=outcomes <= {records.FAILED, records.DIVERGED})


def _conclude(conductor: Conductor, journal: Journal, folder: Path) -> tuple[ReportPaths, Path | None]:
    from reports.page.writer import write_report
    from search.export.selection import export_recipe
    from search.store.optuna_storage import write_optuna_file

    if conductor.done:
        journal.decide(records.END, {"runs": len(conductor.states)})
    write_optuna_file(conductor.optuna_studies, folder / records.OPTUNA_FILE)
    report = write_report(folder)
    try:
        recipe = export_recipe(folder)
    except InputError:
        recipe = None
    return report, recipe


def count(conductor: Conductor, document: dict[str, Any]) -> Tally:
    """Return how far a study is; `document` is its plan, as in `records.PLAN`."""
    seen = (Seen(state.run, max(state.curve, default=0), state.outcome) for state in list(conductor.states.values()))
    return tally(document, seen, conductor.confirmations)
