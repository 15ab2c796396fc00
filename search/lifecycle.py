"""Lifecycle of a study: check, plan, run, report and export. Starting, resuming and extending are the same operation.

A study file becomes a plan (`search.plan`). The controller decides which run starts next (`search.orchestration`); Ray
Tune executes it (`search.session`, `search.ray_tune`); a separate process delivers it to MLflow (`search.tracking`).
When all runs have ended, the report and the recipe of the best configuration are written (`reports`, `search.export`).
"""

from __future__ import annotations

import shlex
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from search.monitor.counts import RunProgress, StudyProgress, count_runs
from search.monitor.messages import note, warn
from search.orchestration.controller import StudyController
from search.plan.builder import make_plan
from search.plan.data_validation import check_data, refuse_changed
from search.plan.extension import check_kept, find_extension, with_defaults_of
from search.plan.model import Plan
from search.plan.network_timing import MOST_NETWORKS, network_works, time_shared
from search.plan.precision import decide, is_timed, unmeasured
from search.plan.record import study_record
from search.plan.replay_curves import checked_curves
from search.plan.unused_settings import unused_settings
from search.session import Options, call_on_worker, execute_runs, kept_workers, refuse_unusable_gpus
from search.store.journal import Journal
from search.store.provenance import facts_of
from search.store.study_folder import clear_unfinished, new_folder, refuse_used
from search.store.tracking_uri import without_secrets
from search.store.yaml_files import dump, parse_value, read_mapping
from search.study.data_place import (
    find_sources,
    load_hint,
    moved_sources,
    note_place,
    relative_places_of,
    with_first_places,
)
from search.study.error_messages import prefixed_errors
from search.study.loading import validate
from search.study.resources import current_resources, override_resources, record_resources
from search.study.schema import Study
from trainables import records
from trainables.errors import InputError, TrialError
from trainables.records import EndDecision, ExtensionDecision, PlanRecord, PrecisionRecord
from trainables.records.atomic import write_atomically
from trainables.registration.plugins import allowed_code

if TYPE_CHECKING:
    from reports.data.frames import StudyData
    from reports.page.writer import ReportPaths
    from search.store.optuna_storage import OptunaFile
    from trainables.data import Dataset, Source


@dataclass(frozen=True)
class StudyResult:
    """Result of a study.

    Args:
        folder: the study folder.
        study: its data when the report was written.
        report: paths of the report.
        recipe: path of the exported recipe, or None if nothing could be exported.
        undelivered: what MLflow has not received, in words, or empty.
        failed: whether no run was successful.
    """

    folder: Path
    study: StudyData
    report: ReportPaths
    recipe: Path | None
    undelivered: str
    failed: bool


def run_study(study: Study, folder: Path, options: Options) -> StudyResult:
    """Run a new study in a new folder.

    Raises:
        InputError: the study, its data or the folder is invalid, or it asks for GPUs that workers cannot use; nothing
            was started.
    """
    refuse_used(folder)
    plan = make_plan(study if options.curves is None else study.on_official_test())
    options = replace(options, curves=checked_curves(options.curves, plan))
    refuse_unusable_gpus(study.resources, options)
    for sentence in unused_settings(plan):
        warn(sentence)
    data = {} if options.curves else check_data(plan)
    if options.curves:
        why = unmeasured("a replay trains nothing") if study.measures_precision else None
        return _start_study(plan, folder, options, data, why)
    if not is_timed(study, plan, data):
        return _start_study(plan, folder, options, data)
    with kept_workers(study.resources, options):
        precision = _decided_precision(plan, data, options)
        plan = make_plan(plan.study.with_precision(precision.chosen))
        return _start_study(plan, folder, options, data, precision)


def _start_study(
    plan: Plan,
    folder: Path,
    options: Options,
    data: Mapping[str, Dataset],
    precision: PrecisionRecord | None = None,
) -> StudyResult:
    """Write down a new study in its folder and run it.

    Args:
        plan: the plan.
        folder: a new folder.
        options: how runs are executed.
        data: the data sets by label; empty in a replay.
        precision: how its precision was decided, if the study file leaves that open.
    """
    with new_folder(folder) as journal:
        write_atomically(folder / records.STUDY_FILE, dump(plan.study.document()), private=True)
        journal.set_meta_once(records.META_ID, uuid.uuid4().hex)
        journal.set_meta_once(records.META_STUDY, plan.study.document())
        journal.set_meta_once(records.META_FACTS, facts_of(data, options.curves).dump())
        journal.set_meta_once(records.META_CURVES, str(options.curves or ""))
        for key, places in relative_places_of(plan.sources, folder).items():
            journal.set_meta_once(key, places)
        journal.set_meta_once(records.META_PLAN, study_record(plan, precision=precision).dump())
        return _continue_study(plan, journal, folder, options, data)


def _decided_precision(plan: Plan, data: Mapping[str, Dataset], options: Options) -> PrecisionRecord:
    """Time both precisions on a worker, and return the one for all runs; where that is impossible, float32.

    Raises:
        InputError: no run fits, or a network does not fit the images.
    """
    from trainables.data.sharing import shared_data_sets

    note("timing float32 and mixed precision on a worker (`precision: auto`)")
    works, resources = network_works(plan, data)[:MOST_NETWORKS], plan.study.resources
    shared = shared_data_sets(data, plan.sources)
    try:
        timed = call_on_worker(time_shared, (works, shared, resources, allowed_code()), resources, options)
    except TrialError as error:
        decided = unmeasured(f"the precisions could not be timed: {error}")
        warn(f"precision: {decided.text}")
        return decided
    decided = decide(works, timed)
    note(f"precision: {decided.text}")
    return decided


def resume_study(folder: Path, options: Options, sets: Sequence[str] = (), moved: Sequence[str] = ()) -> StudyResult:
    """Resume an interrupted study; if it is finished, only its report is written again.

    Args:
        folder: the study folder.
        options: how runs are executed.
        sets: changes to the resources of a run from here on, as `resources.NAME=VALUE`.
        moved: where images are now, if they were moved: a path, or a source as YAML; in a study on several data sets
            after the name of one, `NAME=PATH`.

    Raises:
        InputError: there is no study, it is damaged or running, its data has changed, or `sets` are invalid.
    """
    with Journal.open(folder / records.JOURNAL_FILE) as journal:
        clear_unfinished(folder)
        plan = journal_plan(journal, folder)
        warn(_edited(journal, folder))
        sources = find_sources(journal, plan.sources, folder, moved)
        override_resources(journal, plan.study.resources, sets)
        options, data = _load_unchanged(plan, journal, folder, options, sources)
        return _continue_study(plan, journal, folder, options, data)


def _edited(journal: Journal, folder: Path) -> str:
    """Return a warning if the study file in the folder differs from the study that is resumed, otherwise nothing."""
    path = folder / records.STUDY_FILE
    try:
        same = not path.exists() or parse_value(dump(journal.meta(records.META_STUDY))) == read_mapping(path)
    except InputError:
        same = False
    if same:
        return ""
    return (
        f"{path} differs from the study that was started, and the changes are ignored; to add trials, seeds, "
        f"methods or conditions use `assay run STUDY --extend --output {shlex.quote(str(folder))}`"
    )


def repair_study(folder: Path) -> str:
    """Repair the damaged journal of a study or a final training, so that it can be resumed (see `Journal.repair`).

    Returns:
        What was done, in words; empty if nothing is damaged.

    Raises:
        InputError: there is no study, it is running, or too little of it can be read.
    """
    return Journal.repair(folder)


def extend_study(study: Study, folder: Path, options: Options) -> StudyResult:
    """Extend a study with more trials, seeds, methods or conditions; only missing runs are executed.

    Raises:
        InputError: there is no such study, it is running, its data has changed, or the extension would change it.
    """
    with Journal.open(folder / records.JOURNAL_FILE) as journal:
        clear_unfinished(folder)
        before = journal_plan(journal, folder)
        if journal.meta(records.META_CURVES):
            study = study.on_official_test()  # as the replay has been since `run_study`
        study, moved = with_first_places(before.study, study)
        study = with_defaults_of(before, study)
        plan = make_plan(study)
        with prefixed_errors(study.source):
            extension = find_extension(before.study, study)
            check_kept(before, plan)
        sources = moved_sources(find_sources(journal, plan.sources, folder), moved)
        options, data = _load_unchanged(plan, journal, folder, options, sources, extended=True)
        decision = extension.decision(journal.required_plan())
        history = [*(row.decision for row in journal.decisions(ExtensionDecision)), decision]
        added = _entries_of_added_data(journal, before, plan, data, folder)
        journal.extend(study.document(), study_record(plan, history), decision, added)
        record_resources(journal, before.study.resources, study.resources)
        write_atomically(folder / records.STUDY_FILE, dump(study.document()), private=True)
        return _continue_study(plan, journal, folder, options, data)


def _entries_of_added_data(
    journal: Journal, before: Plan, plan: Plan, data: Mapping[str, Dataset], folder: Path
) -> dict[str, Any]:
    """Return the entries of the journal about its data sets, if an extension adds some; otherwise nothing."""
    added = {label: source for label, source in plan.sources.items() if label not in before.sources}
    if not added:
        return {}
    facts = journal.facts()
    new = facts_of({label: found for label, found in data.items() if label in added}).data_sets
    places = relative_places_of(added, folder)[records.META_DATA_SETS]
    return {
        records.META_FACTS: facts.model_copy(update={"data_sets": {**facts.data_sets, **new}}).dump(),
        records.META_DATA_SETS: {**(journal.meta(records.META_DATA_SETS) or {}), **places},
    }


def _load_unchanged(
    plan: Plan, journal: Journal, folder: Path, options: Options, sources: Mapping[str, Source], extended: bool = False
) -> tuple[Options, dict[str, Dataset]]:
    """Return the options and the data with which a study continues: the curves that it replays, or the same images.

    Args:
        plan: the plan.
        journal: the journal.
        folder: the study folder.
        options: how runs are executed.
        sources: where the images are now, by label of the data set.
        extended: whether the plan has grown, so that the curves must serve all its arms.

    Raises:
        InputError: the data has changed, or does not fit a run.
    """
    curves = journal.meta(records.META_CURVES)
    options = replace(options, curves=checked_curves(Path(curves), plan if extended else None) if curves else None)
    if curves:
        return options, {}
    try:
        data = check_data(plan, sources)
    except InputError as error:
        raise InputError(f"{error}{load_hint(sources)}") from None
    facts = journal.facts()
    for label, found in data.items():
        with prefixed_errors(label):
            refuse_changed(found, facts.data_of(label), f"the study in {folder} began")
    for label, first in plan.sources.items():
        if moved := note_place(journal, first, sources[label], folder, label):
            note(moved)
    return options, data


def journal_plan(journal: Journal, folder: Path) -> Plan:
    """Return the plan of a study from its journal.

    Raises:
        InputError: the journal has no plan.
    """
    if journal.meta(records.META_PLAN) is None or journal.meta(records.META_STUDY) is None:
        raise InputError(
            f"the study in {folder} was stopped before it was planned, and nothing was run; start it again with "
            "another `--output`"
        )
    document = journal.meta(records.META_STUDY)
    if uri := document.get("tracking", {}).get("uri"):  # older versions kept credentials
        document = {**document, "tracking": {"uri": without_secrets(uri)}}
    study = validate(document, str(folder / records.STUDY_FILE), folder)
    extended = journal.required_plan().test == "extended"
    return make_plan(study if extended else study.on_official_test())


def _continue_study(
    plan: Plan, journal: Journal, folder: Path, options: Options, data: Mapping[str, Dataset]
) -> StudyResult:
    from reports.data.frames import read_study
    from reports.inference.verdicts import decided_arms
    from search.export.selection import export_recipe
    from search.store.delivery_state import read_delivery
    from search.store.optuna_storage import OptunaFile
    from trainables.data.sharing import shared_data_sets

    folder = folder.absolute()
    controller = StudyController(plan, journal, lambda seeds: decided_arms(read_study(folder, curves=False), seeds))
    study, record = plan.study, journal.required_plan()
    optuna_file = OptunaFile(folder / records.OPTUNA_FILE)

    def progress() -> StudyProgress:
        optuna_file.update(controller.optuna_studies)
        return count(controller, record)

    (judged, report, recipe), undelivered = execute_runs(
        controller,
        folder,
        current_resources(journal, study.resources),
        study.tracking.uri,
        options,
        shared_data_sets(data, find_sources(journal, plan.sources, folder)),
        title=study.name,
        count=progress,
        conclude=lambda: _conclude(controller, journal, folder, optuna_file),
    )
    if recipe:  # the one that was delivered could not name them yet
        try:
            recipe = export_recipe(folder, read_delivery(folder).run_ids)
        except OSError as error:
            warn(
                f"{recipe} does not name its runs in MLflow ({error}); "
                f"`assay export {shlex.quote(str(folder))}` writes it again"
            )
    outcomes = {state.outcome.outcome for state in controller.states.values() if state.outcome}
    return StudyResult(
        folder, judged, report, recipe, undelivered, failed=outcomes <= {records.FAILED, records.DIVERGED}
    )


def _conclude(
    controller: StudyController, journal: Journal, folder: Path, optuna_file: OptunaFile
) -> tuple[StudyData, ReportPaths, Path | None]:
    from reports.data.frames import read_study
    from reports.page.writer import write_report
    from search.export.overwrite import set_aside
    from search.export.selection import NothingConfirmedError, export_recipe

    optuna_file.update(controller.optuna_studies)
    optuna_file.close()
    if optuna_file.error:
        warn(f"{records.OPTUNA_FILE} is not complete ({optuna_file.error}); nothing else depends on it")
    study = read_study(folder)
    report = write_report(folder, study=study)
    if kept := set_aside(folder / records.RECIPE_FILE):
        note(f"{records.RECIPE_FILE} was edited; it is kept as {kept.name}, and the study's is written again")
    try:
        recipe = export_recipe(folder)
    except NothingConfirmedError:
        recipe = None
    except InputError as error:
        warn(f"the best configuration was not exported: {error}")
        recipe = None
    if controller.done and journal.runs_at_end() != len(controller.states):
        journal.decide(EndDecision(runs=len(controller.states)))
    return study, report, recipe


def count(controller: StudyController, plan: PlanRecord) -> StudyProgress:
    """Return the progress of a study."""
    runs = (
        RunProgress(state.run, 0 if state.outcome else max(list(state.curve), default=0), state.outcome)
        for state in list(controller.states.values())
    )
    return count_runs(plan, runs, controller.decisions)
