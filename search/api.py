"""Studies from Python: what `assay run`, `assay resume` and `assay report` do, with the answer as a table.

    from search import run

    result = run("study.yaml", "runs/s1")     # or a `Study`, a mapping, or the name of a packaged study
    result                                    # the answer, as a table in a notebook
    result.verdicts                           # a DataFrame, one row for each contrast
    result.runs                               # another, one row for each run

Progress is shown in the notebook's cell, on the terminal, or as lines on stderr. An interrupted cell loses nothing:
`resume("runs/s1")` goes on.
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
    """What a study answers.

    Args:
        folder: the study's folder, with everything in it.
        rows: the verdicts in words, as the report prints them.
        unit: of the effects.
        verdicts: one row for each contrast, unrounded; the columns of `verdicts.csv`.
        runs: one row for each run; the columns of `runs.csv`.
        report: the report's page.
        recipe: the exported best configuration, for `assay train`; None where nothing could be confirmed.
        undelivered: what MLflow has not received, in words, or empty.
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
        study: a study, the content of a study file, its path, or the name of a packaged study.
        folder: where everything is kept; it must not exist.
        address: a Ray cluster, as `assay run --address` takes it; by default this machine. A Ray that this process
            has started already is used as it is.
        replay: a table of learning curves to replay; nothing is trained then.

    Raises:
        InputError: the study, its data, the folder or the cluster is refused.
        StoppedError: the budget is used up, or the disk is full; `resume` goes on.
    """
    from search.lifecycle import run_study
    from search.session import Options

    asked = _study(study)
    return _result(run_study(asked, Path(folder), Options(address, Path(replay) if replay else None)))


def resume(folder: str | Path, address: str | None = None) -> Result:
    """Go on with a study that was interrupted; one that is finished is only judged and reported again.

    Args:
        folder: the study's folder.
        address: as in `run`.

    Raises:
        InputError: there is no study, it is damaged or running, or its data has changed.
        StoppedError: as in `run`.
    """
    from search.lifecycle import resume_study
    from search.session import Options

    return _result(resume_study(Path(folder), Options(address)))


def report(folder: str | Path) -> Result:
    """Judge a study as it stands and write its report again; works while it runs.

    Args:
        folder: the study's folder.

    Raises:
        InputError: there is no study, or it is damaged.
    """
    from reports.page.writer import write_report

    folder = Path(folder).absolute()
    page = write_report(folder).html
    recipe = folder / records.RECIPE_FILE
    return _answer(folder, page, recipe if recipe.is_file() else None)


def _study(study: Study | Mapping[str, Any] | str | Path) -> Study:
    if isinstance(study, Study):
        return study
    if isinstance(study, Mapping):
        return validate(dict(study), "study", Path.cwd())
    return load_study(str(study))


def _result(done: StudyResult) -> Result:
    return _answer(done.folder, done.report.html, done.recipe, done.undelivered)


def _answer(folder: Path, report: Path, recipe: Path | None, undelivered: str = "") -> Result:
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
