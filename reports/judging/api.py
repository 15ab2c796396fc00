"""Python interface: `from reports import judge`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, get_type_hints

import pandas as pd
from pydantic import TypeAdapter, ValidationError

from reports.inference.records import verdict_records
from reports.inference.wording import verdict_table
from reports.judging.judgement import Evidence, JudgedRuns, judge_source
from reports.judging.page import judged_view, short_markdown
from reports.judging.question import Question
from reports.judging.requirement import broken_by, check_names, parse_requirement
from reports.page.results import Results
from reports.page.view import View
from reports.page.writer import ReportPaths, runs_table, write_view
from trainables.errors import InputError

Columns = str | Sequence[str]


@dataclass(frozen=True, repr=False, kw_only=True)
class Judgement(Results):
    """Verdicts on runs that Assay did not launch.

    Args:
        judged: verdicts and runs as objects.
    """

    judged: JudgedRuns

    @property
    def evidence(self) -> Evidence:
        """What was used and left out, and what the runs cannot support."""
        return self.judged.evidence

    @property
    def markdown(self) -> str:
        """The verdicts and what they are based on, for a pull request."""
        return short_markdown(self.judged)

    def holds(self, requirement: str) -> bool:
        """Return whether a requirement such as `mixup helps` holds.

        Raises:
            InputError: the requirement has another form, or matches no comparison.
        """
        required = parse_requirement(requirement)
        check_names(required, self.judged.verdicts)
        return not broken_by(required, self.judged.verdicts, self.judged.unanswered)

    def write(self, folder: str | Path) -> ReportPaths:
        """Write the report as HTML, Markdown, JSON and CSV files.

        Raises:
            InputError: the files cannot be written.
        """
        return write_view(self._view(), self.judged.study, Path(folder))

    def _view(self) -> View:
        return judged_view(self.judged)


def judge(
    source: pd.DataFrame | str | Path,
    *,
    arm: Columns,
    metric: str,
    seed: Columns = (),
    pair: Columns = (),
    condition: Columns = (),
    setting: Columns = (),
    where: Columns = (),
    experiment: str | None = None,
    filter_string: str = "",
    name: str | None = None,
    **options: Any,
) -> Judgement:
    """Judge runs that Assay did not launch.

    Args:
        source: a data frame with one row per run (or per epoch, with `epoch`), or anything that `assay judge` reads.
        arm: column or columns that are compared.
        metric: the metric that is judged.
        seed: column or columns that identify a repetition.
        pair: columns that form the pairs instead, or "none".
        condition: columns whose combinations are judged separately.
        setting: columns of hyperparameter settings; needs `select`.
        where: conditions on rows, such as "phase=confirm".
        experiment: MLflow experiment.
        filter_string: filter string of MLflow.
        name: title of the report.
        **options: further fields of `Question`: `reference`, `select`, `epoch`, `last`, `higher`, `smallest`, ...

    Raises:
        InputError: the runs cannot be read or cannot answer the question.

    >>> runs = pd.DataFrame({
    ...     "method": ["baseline"] * 4 + ["mixup"] * 4, "seed": [0, 1, 2, 3] * 2,
    ...     "accuracy": [0.80, 0.81, 0.80, 0.82, 0.84, 0.86, 0.84, 0.87],
    ... })
    >>> found = judge(runs, arm="method", seed="seed", metric="accuracy")
    >>> found
    mixup against baseline, these conditions: helps on this test set; +4.5 points, 95 % interval +3.6 to +5.4; 4/4 seeds
    >>> found.holds("mixup helps"), found.verdicts["tuned_effect"].round(2).tolist()
    (True, [4.5])
    """
    if not isinstance(source, pd.DataFrame | str | Path):
        raise InputError(f"`source` is a data frame, a path or the address of a store, but got {type(source).__name__}")
    if unknown := sorted(set(options) - {field.name for field in fields(Question)}):
        raise InputError(f"`{unknown[0]}` is not a `judge` option; the options are the fields of `Question`")
    columns = {"arm": arm, "seed": seed, "pair": pair, "condition": condition, "setting": setting, "where": where}
    question = _question({"metric": metric, **{key: _tuple(value) for key, value in columns.items()}, **options})
    for key, value in (("name", name), ("experiment", experiment), ("filter_string", filter_string)):
        if not isinstance(value, str | None):
            raise InputError(f"`{key}` is a text, but got {value!r}")
    judged = judge_source(source, question, experiment, filter_string, name)
    return Judgement(
        rows=tuple(verdict_table(judged.verdicts)),
        unit=judged.study.plan.unit,
        verdicts=pd.DataFrame(verdict_records(judged.verdicts)),
        runs=runs_table(judged.study),
        judged=judged,
    )


def _question(given: dict[str, Any]) -> Question:
    """Return the question; a reference may be a number, as the values of its column are.

    Raises:
        InputError: a value has another type than its field.
    """
    reference = given.get("reference")
    if isinstance(reference, int | float) and not isinstance(reference, bool):
        given = {**given, "reference": f"{reference:g}" if isinstance(reference, float) else str(reference)}
    kinds = get_type_hints(Question)
    for name, value in given.items():
        try:
            TypeAdapter(kinds[name]).validate_python(value, strict=True)
        except ValidationError as error:
            words = error.errors(include_url=False)[0]["msg"]
            raise InputError(f"`{name}`: {words[:1].lower()}{words[1:]}, but got {value!r}") from None
    return Question(**given)


def _tuple(columns: Columns) -> tuple[str, ...]:
    if not isinstance(columns, Iterable):
        raise InputError(f"columns are named by a text, or by several in a list, but got {columns!r}")
    return (columns,) if isinstance(columns, str) else tuple(columns)
