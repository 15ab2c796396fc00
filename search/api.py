"""Python interface: `assay run`, `assay resume` and `assay report` as functions that return data frames.

    from search import run

    result = run("study.yaml", "runs/s1")     # or a `Study`, a mapping, or the name of a preset
    result                                    # verdicts, as a table in a notebook
    result.verdicts                           # DataFrame with one row per contrast
    result.runs                               # DataFrame with one row per run
    result.figures                            # the figures of the report

Progress is shown in the notebook cell, on the terminal, or as lines on stderr. After an interruption
`resume("runs/s1")` continues without loss.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reports.page.results import Results
from search.study.loading import load_study, validate
from search.study.schema import Study
from trainables import records
from trainables.registration.plugins import code_allowed

if TYPE_CHECKING:
    from reports.data.frames import StudyData
    from reports.page.view import View
    from search.lifecycle import StudyResult


@dataclass(frozen=True, repr=False, kw_only=True)
class Result(Results):
    """Results of a study.

    Args:
        folder: the study's folder.
        report: HTML page of the report.
        recipe: recipe of the best configuration for `assay train`, or None if nothing could be confirmed.
        undelivered: description of what MLflow has not received, or empty.
    """

    folder: Path
    report: Path
    recipe: Path | None
    undelivered: str = ""

    @property
    def files(self) -> Mapping[str, Path | None]:
        """Report and recipe."""
        return {"report": self.report, "recipe": self.recipe}

    def _view(self) -> View:
        from reports.data.frames import read_study
        from reports.inference.verdicts import judge
        from reports.page.view import build_view

        study = read_study(self.folder)
        return build_view(study, judge(study))


def run(
    study: Study | Mapping[str, Any] | str | Path,
    folder: str | Path,
    address: str | None = None,
    replay: str | Path | None = None,
    allow_code: bool = False,
) -> Result:
    """Run a new study in a new folder.

    Args:
        study: a study, the content of a study file, its path, or the name of a preset.
        folder: new folder for the study.
        address: a Ray cluster, as for `assay run --address`; by default this machine. Ray is used as it is if this
            process has already started it.
        replay: a table of learning curves to replay instead of training.
        allow_code: whether code that the study names as `module:name` may run.

    Raises:
        InputError: the study, its data, the folder or the cluster cannot be used.
        StoppedError: the budget is used up or the disk is full; `resume` continues the study.

    Examples:
        >>> result = run("quickstart", "runs/quickstart")  # doctest: +SKIP
        >>> result.verdicts[["method", "verdict"]]  # doctest: +SKIP
        >>> run({"data": "digits", "methods": ["baseline", "mixap"]}, "runs/s1")
        Traceback (most recent call last):
        ...
        trainables.errors.InputError: study: methods: unknown method `mixap`. Did you mean `mixup`? ...
    """
    from search.lifecycle import run_study
    from search.session import Options

    with code_allowed(allow_code):
        loaded = _study(study)
        return _result(run_study(loaded, Path(folder), Options(address, Path(replay) if replay else None)))


def resume(
    folder: str | Path,
    address: str | None = None,
    data: str | Path | Mapping[str, str | Path] | None = None,
    allow_code: bool = False,
) -> Result:
    """Continue an interrupted study; a finished one is only judged and reported again.

    Args:
        folder: the study's folder.
        address: as in `run`.
        data: where the images are now, if they were moved; they must be the same. In a study on several data sets by
            name: `{"cifar": "/new/place"}`.
        allow_code: as in `run`.

    Raises:
        InputError: the folder has no study, the study is damaged or running, or its data has changed.
        StoppedError: as in `run`.

    Examples:
        >>> result = resume("runs/quickstart")  # doctest: +SKIP
    """
    from search.lifecycle import resume_study
    from search.session import Options

    with code_allowed(allow_code):
        return _result(resume_study(Path(folder), Options(address), moved=_places(data)))


def report(folder: str | Path) -> Result:
    """Judge a study in its current state and write its report; works while it runs.

    Args:
        folder: the study's folder.

    Raises:
        InputError: the folder has no study, or the study is damaged.

    Examples:
        >>> report("runs/quickstart").runs["outcome"].value_counts()  # doctest: +SKIP
    """
    from reports.data.frames import read_study
    from reports.page.writer import write_report

    folder = Path(folder).absolute()
    study, recipe = read_study(folder), folder / records.RECIPE_FILE
    page = write_report(folder, study=study).html
    return _judged(folder, study, page, recipe if recipe.is_file() else None)


def _places(data: str | Path | Mapping[str, str | Path] | None) -> list[str]:
    """Return the places of images as arguments of `--data`."""
    if isinstance(data, Mapping):
        return [f"{name}={place}" for name, place in data.items()]
    return [] if data is None else [str(data)]


def _study(study: Study | Mapping[str, Any] | str | Path) -> Study:
    if isinstance(study, Study):
        return study
    if isinstance(study, Mapping):
        return validate(dict(study), "study", Path.cwd())
    return load_study(str(study))


def _result(done: StudyResult) -> Result:
    return _judged(done.folder, done.study, done.report.html, done.recipe, done.undelivered)


def _judged(folder: Path, study: StudyData, report: Path, recipe: Path | None, undelivered: str = "") -> Result:
    import pandas as pd

    from reports.inference.records import verdict_records
    from reports.inference.verdicts import judge
    from reports.inference.wording import verdict_table
    from reports.page.writer import runs_table

    verdicts = judge(study)
    return Result(
        rows=tuple(verdict_table(verdicts)),
        unit=study.plan.unit,
        verdicts=pd.DataFrame(verdict_records(verdicts)),
        runs=runs_table(study),
        folder=folder,
        report=report,
        recipe=recipe,
        undelivered=undelivered,
    )
