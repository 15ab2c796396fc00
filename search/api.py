"""Python interface: `assay run`, `assay resume` and `assay report` as functions that return data frames.

    from search import run

    result = run("study.yaml", "runs/s1")     # or a `Study`, a mapping, or the name of a preset
    result                                    # verdicts, as a table in a notebook
    result.verdicts                           # DataFrame with one row per contrast
    result.runs                               # DataFrame with one row per run

Progress is shown in the notebook cell, on the terminal, or as lines on stderr. After an interruption
`resume("runs/s1")` continues without loss.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from search.study.schema import Study, load_study, validate
from trainables import records

if TYPE_CHECKING:
    import pandas as pd

    from reports.inference.wording import Row
    from search.lifecycle import StudyResult
    from trainables.records import Unit


@dataclass(frozen=True, repr=False)
class Result:
    """Results of a study.

    Args:
        folder: the study's folder.
        rows: the verdicts as displayed in the report.
        unit: unit of the effects.
        verdicts: one row per contrast, unrounded, with the columns of `verdicts.csv`.
        runs: one row per run, with the columns of `runs.csv`.
        report: HTML page of the report.
        recipe: recipe of the best configuration for `assay train`, or None if nothing could be confirmed.
        undelivered: description of what MLflow has not received, or empty.
    """

    folder: Path
    rows: tuple[Row, ...]
    unit: Unit
    verdicts: pd.DataFrame
    runs: pd.DataFrame
    report: Path
    recipe: Path | None
    undelivered: str = ""

    def __repr__(self) -> str:
        from reports.inference.wording import row_sentence

        return "\n".join([*(row_sentence(row, self.unit) for row in self.rows), f"report: {self.report}"])

    def _repr_html_(self) -> str:
        from reports.page.writer import render_answer

        return render_answer(self.rows, self.unit, {"report": self.report, "recipe": self.recipe})


def run(
    study: Study | Mapping[str, Any] | str | Path,
    folder: str | Path,
    address: str | None = None,
    replay: str | Path | None = None,
) -> Result:
    """Run a new study in a new folder.

    Args:
        study: a study, the content of a study file, its path, or the name of a preset.
        folder: new folder for the study.
        address: a Ray cluster, as for `assay run --address`; by default this machine. Ray is used as it is if this
            process has already started it.
        replay: a table of learning curves to replay instead of training.

    Raises:
        InputError: If the study, its data, the folder or the cluster cannot be used.
        StoppedError: If the budget is used up or the disk is full; `resume` continues the study.

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

    loaded = _study(study)
    return _result(run_study(loaded, Path(folder), Options(address, Path(replay) if replay else None)))


def resume(folder: str | Path, address: str | None = None) -> Result:
    """Continue an interrupted study; a finished one is only judged and reported again.

    Args:
        folder: the study's folder.
        address: as in `run`.

    Raises:
        InputError: If the folder has no study, the study is damaged or running, or its data has changed.
        StoppedError: As in `run`.

    Examples:
        >>> result = resume("runs/quickstart")  # doctest: +SKIP
    """
    from search.lifecycle import resume_study
    from search.session import Options

    return _result(resume_study(Path(folder), Options(address)))


def report(folder: str | Path) -> Result:
    """Judge a study in its current state and write its report; works while it runs.

    Args:
        folder: the study's folder.

    Raises:
        InputError: If the folder has no study, or the study is damaged.

    Examples:
        >>> report("runs/quickstart").runs["outcome"].value_counts()  # doctest: +SKIP
    """
    from reports.page.writer import write_report

    folder = Path(folder).absolute()
    page = write_report(folder).html
    recipe = folder / records.RECIPE_FILE
    return _load_result(folder, page, recipe if recipe.is_file() else None)


def _study(study: Study | Mapping[str, Any] | str | Path) -> Study:
    if isinstance(study, Study):
        return study
    if isinstance(study, Mapping):
        return validate(dict(study), "study", Path.cwd())
    return load_study(str(study))


def _result(done: StudyResult) -> Result:
    return _load_result(done.folder, done.report.html, done.recipe, done.undelivered)


def _load_result(folder: Path, report: Path, recipe: Path | None, undelivered: str = "") -> Result:
    import pandas as pd

    from reports.data.frames import read_study
    from reports.inference.records import verdict_records
    from reports.inference.verdicts import judge
    from reports.inference.wording import verdict_table
    from reports.page.writer import runs_table

    study = read_study(folder)
    verdicts = judge(study)
    return Result(
        folder,
        tuple(verdict_table(verdicts)),
        study.plan.unit,
        pd.DataFrame(verdict_records(verdicts)),
        runs_table(study),
        report,
        recipe,
        undelivered,
    )
