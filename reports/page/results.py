"""Results in Python: verdicts, data frames and figures of a study or of judged runs, shown as a table in notebooks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

    from reports.figures.style import Figure
    from reports.inference.wording import Row
    from reports.page.view import View
    from trainables.records import Unit


@dataclass(frozen=True, repr=False, kw_only=True)
class Results:
    """Verdicts with the runs that they are based on.

    Args:
        rows: the verdicts as displayed in the report.
        unit: unit of the effects.
        verdicts: one row per contrast, unrounded, with the columns of `verdicts.csv`.
        runs: one row per run, with the columns of `runs.csv`.
    """

    rows: tuple[Row, ...]
    unit: Unit
    verdicts: pd.DataFrame
    runs: pd.DataFrame

    @property
    def files(self) -> Mapping[str, Path | None]:
        """Files that were written, by label."""
        return {}

    @property
    def figures(self) -> Mapping[str, Figure]:
        """The figures of the report by name, each a Plotly figure (`plotly.graph_objects.Figure(**figure)`)."""
        return {picture.name: picture.figure for picture in self._view().pictures}

    def _view(self) -> View:
        """Return the content of the report."""
        raise NotImplementedError

    def __repr__(self) -> str:
        from reports.inference.wording import row_sentence

        report = [f"report: {self.files['report']}"] if "report" in self.files else []
        return "\n".join([*(row_sentence(row, self.unit) for row in self.rows), *report])

    def _repr_html_(self) -> str:
        from reports.page.writer import render_answer

        return render_answer(self.rows, self.unit, self.files)
