"""Judgement: the verdicts on runs that Assay did not launch, and what they are based on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import pandas as pd

from reports.data.frames import StudyData
from reports.inference.verdicts import Verdict, judge
from reports.judging.limits import limits, unpairable
from reports.judging.observed_study import observed_study, reference_code, unanswered
from reports.judging.question import NO_PAIRING, Question
from reports.judging.run_table import RunTable, joined, short_list, short_name
from reports.judging.sources.recognise import Access, read_source, source_name
from reports.judging.unpaired import judge_unpaired
from reports.judging.usable_runs import UsableRuns, usable_runs
from trainables.records import number_of


@dataclass(frozen=True)
class Evidence:
    """What verdicts are based on, as sentences.

    Args:
        used: the runs that count, how they were paired, and how the metric was read.
        left_out: the runs that do not count, and why.
        limits: what the runs cannot support.
    """

    used: tuple[str, ...]
    left_out: tuple[str, ...]
    limits: tuple[str, ...]


@dataclass(frozen=True)
class JudgedRuns:
    """Verdicts on runs that Assay did not launch.

    Args:
        question: what was asked.
        study: the runs as the data of a study with an inferred plan.
        evidence: what the verdicts are based on.
        paired: whether runs were compared within pairs.
    """

    question: Question
    study: StudyData
    evidence: Evidence
    paired: bool

    @cached_property
    def verdicts(self) -> list[Verdict]:
        """One verdict per comparison."""
        return judge(self.study) if self.paired else judge_unpaired(self.study)

    @property
    def unanswered(self) -> tuple[tuple[str, str], ...]:
        """Arm and condition of the comparisons without a verdict, because one side has no usable run there."""
        return unanswered(self.study.plan)


def judge_source(
    source: pd.DataFrame | str | Path,
    question: Question,
    experiment: str | None = None,
    filter_string: str = "",
    name: str | None = None,
) -> JudgedRuns:
    """Read the runs of a source and judge them.

    Args:
        source: a data frame, a path or the address of a tracking store.
        question: what is asked.
        experiment: MLflow experiment.
        filter_string: filter string of MLflow.
        name: title; by default the name of the source.

    Raises:
        InputError: the runs cannot be read or cannot answer the question.
    """
    metrics = [metric for metric in (question.metric, question.select) if metric]
    access = Access(experiment, filter_string, metrics, question.last > 1)
    return judge_runs(read_source(source, access), question, name or source_name(source, access))


def judge_runs(table: RunTable, question: Question, name: str) -> JudgedRuns:
    """Judge runs of any origin.

    Args:
        table: the runs.
        question: what is asked about them.
        name: name of the report.

    Raises:
        InputError: the runs cannot answer the question.
    """
    usable = usable_runs(table, question)
    reference = reference_code(usable, question)
    apart = unpairable(usable, reference) if usable.pairs else []
    if apart:
        question = replace(question, pair=(NO_PAIRING,), duplicates=None)
        usable = usable.unpaired()
    study = observed_study(usable, question, name)
    paired = bool(usable.pairs)
    used = (*usable.used, *_reading(usable, question), _pairing(usable, question, apart))
    evidence = Evidence(used, usable.left_out, limits(usable, question, study.plan, reference, paired))
    return JudgedRuns(question, study, evidence, paired)


def _reading(usable: UsableRuns, question: Question) -> list[str]:
    """Return how the metric was read."""
    unit = usable.unit
    scale = {100.0: " (fractions)", 1.0: " (percent)"}[unit.scale] if unit.in_points else ""
    last = f", mean of the last {question.last} epochs" if question.last > 1 else ""
    sentences = [f"Judged: {unit.metric}{scale}, {'higher' if unit.higher_is_better else 'lower'} is better{last}."]
    if question.setting:
        better = "highest" if usable.selection_higher else "lowest"
        sentences.append(
            f"{len(usable.settings)} settings by {short_list(question.setting)}; each arm is judged at the one with "
            f"the {better} mean {short_name(usable.select)}."
        )
    return sentences


def _pairing(usable: UsableRuns, question: Question, apart: Sequence[str]) -> str:
    """Return how the runs were paired, or why they were not."""
    if usable.pairs:
        values = short_list([joined(pair, "/") for pair in usable.pairs], 6)
        return f"Paired by {short_list(question.pair_columns)}: {number_of(len(usable.pairs), 'value')} ({values})."
    if apart:
        return (
            f"Unpaired: {short_list(apart, 5)} share fewer than two pairs with the reference, so all comparisons are "
            "Welch's t-tests. Leave these arms out with --where to compare the others within pairs."
        )
    reason = "as asked" if question.unpaired else "no --seed or --pair was named"
    return f"Unpaired ({reason}): all comparisons are Welch's t-tests."
