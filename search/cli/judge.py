"""Command `judge`: verdicts on runs that Assay did not launch."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from reports.judging.question import Duplicates
from reports.judging.run_table import short_list
from search.cli.app import Debug, Json, command, exclusive
from trainables.records.characters import visible

if TYPE_CHECKING:
    from reports.judging.judgement import JudgedRuns

NOT_MET = 3
"""Exit code if a requirement is not met."""

Columns = list[str] | None


@command()
def judge(
    source: Annotated[
        str,
        typer.Argument(
            help="Table (.csv, .tsv, .parquet), folder of Ray Tune results or TensorBoard events, Optuna storage, or "
            "MLflow store (with --experiment).",
            show_default=False,
        ),
    ],
    arm: Annotated[str, typer.Option(metavar="COLUMN[,COLUMN]", help="What is compared; several form a factorial.")],
    metric: Annotated[str, typer.Option(metavar="COLUMN", help="The metric that is judged.")],
    seed: Annotated[
        str, typer.Option(metavar="COLUMN[,COLUMN]", help="Repetition; runs of two arms with the same seed are paired.")
    ] = "",
    experiment: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="MLflow experiment, by name or id; the source is the store or its address."),
    ] = None,
    filter_: Annotated[str, typer.Option("--filter", metavar="FILTER", help="MLflow filter string for the runs.")] = "",
    condition: Annotated[
        str, typer.Option(metavar="COLUMN[,COLUMN]", help="Circumstances that are judged separately.")
    ] = "",
    reference: Annotated[
        str | None,
        typer.Option(
            metavar="ARM",
            help="Arm that the others are compared with. Default: the one named baseline, control, reference, none "
            "or default; required if there is none.",
        ),
    ] = None,
    pair: Annotated[
        str,
        typer.Option(metavar="COLUMN[,COLUMN]|none", help="Form pairs by this instead of --seed, or compare unpaired."),
    ] = "",
    setting: Annotated[
        str, typer.Option(metavar="COLUMN[,COLUMN]", help="Hyperparameter settings; each arm is judged at its best.")
    ] = "",
    select: Annotated[
        str | None, typer.Option(metavar="COLUMN", help="Validation metric on which --setting is chosen.")
    ] = None,
    higher: Annotated[
        bool | None,
        typer.Option("--higher/--lower", help="Direction of the metric. Default: inferred from its name."),
    ] = None,
    select_higher: Annotated[
        bool | None, typer.Option("--select-higher/--select-lower", help="Direction of --select.")
    ] = None,
    percent: Annotated[
        bool | None,
        typer.Option("--percent/--fraction", help="Scale of an accuracy. Default: inferred."),
    ] = None,
    smallest: Annotated[
        float | None,
        typer.Option(
            help="Smallest effect of interest: points of an accuracy (0.5 by default), units of other metrics."
        ),
    ] = None,
    alpha: Annotated[float, typer.Option(help="Family-wise error rate.")] = 0.05,
    epoch: Annotated[
        str | None, typer.Option(metavar="COLUMN", help="Column of the epoch, if a table has one row per epoch.")
    ] = None,
    run: Annotated[
        str | None, typer.Option(metavar="COLUMN", help="Column that identifies a run, if there is one row per epoch.")
    ] = None,
    last: Annotated[int, typer.Option(help="Average the metric over this number of last epochs.")] = 1,
    where: Annotated[
        Columns,
        typer.Option(metavar="COLUMN=VALUE", help="Use only these rows (also !=, and VALUE|VALUE); repeatable."),
    ] = None,
    names: Annotated[
        str | None, typer.Option(metavar="PATTERN", help="Take columns from run names, such as `{method}/seed{seed}`.")
    ] = None,
    duplicates: Annotated[
        Duplicates | None, typer.Option(help="Which of several runs of an arm with one seed counts.")
    ] = None,
    drop_nan: Annotated[bool, typer.Option("--drop-nan", help="Exclude runs whose metric is not finite.")] = False,
    require: Annotated[
        Columns,
        typer.Option(
            metavar="'ARM VERDICT'",
            help="Exit with 3 unless this holds, such as 'mixup helps' or 'all not hurts on CONDITION'; repeatable.",
        ),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Folder for the report. By default, none is written.")
    ] = None,
    name: Annotated[
        str | None, typer.Option(metavar="TITLE", help="Title of the report. Default: the name of the source.")
    ] = None,
    markdown: Annotated[bool, typer.Option("--markdown", help="Print Markdown, for a pull request.")] = False,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Judge runs that Assay did not launch. Prints the verdicts, which runs were used or excluded, and caveats."""
    from reports.judging.judgement import judge_source
    from reports.judging.question import Question
    from reports.judging.requirement import broken_by, check_names, parse_requirement

    exclusive({"--json": json, "--markdown": markdown})
    required = [parse_requirement(text) for text in require or ()]
    question = Question(
        arm=_names(arm),
        metric=metric,
        seed=_names(seed),
        pair=_names(pair),
        condition=_names(condition),
        reference=reference,
        setting=_names(setting),
        select=select,
        epoch=epoch,
        run=run,
        last=last,
        higher=higher,
        select_higher=select_higher,
        smallest=smallest,
        percent=percent,
        alpha=alpha,
        where=tuple(where or ()),
        names=names,
        duplicates=duplicates,
        drop_nan=drop_nan,
    )
    judged = judge_source(source, question, experiment, filter_, name)
    for requirement in required:
        check_names(requirement, judged.verdicts)
    page = _write(judged, output)
    broken = {requirement.text: broken_by(requirement, judged.verdicts, judged.unanswered) for requirement in required}
    _show(judged, broken, page, json=json, markdown=markdown)
    if any(broken.values()):
        raise typer.Exit(NOT_MET)


def _names(columns: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in columns.split(",") if part.strip())


def _write(judged: JudgedRuns, output: Path | None) -> Path | None:
    if output is None:
        return None
    from reports.judging.page import judged_view
    from reports.page.writer import write_view

    return write_view(judged_view(judged), judged.study, output).html


def _show(judged: JudgedRuns, broken: dict[str, list[str]], page: Path | None, *, json: bool, markdown: bool) -> None:
    """Print the verdicts, their evidence, and the requirements with what breaks them."""
    from dataclasses import asdict

    from reports.inference.wording import verdict_table
    from search.cli.console import print_json, print_lines, print_verdicts

    if json:
        print_json(
            {
                "verdicts": judged.verdicts,
                "paired": judged.paired,
                **asdict(judged.evidence),
                "required": {text: not verdicts for text, verdicts in broken.items()},
                "report": page and str(page),
            }
        )
        return
    if markdown:
        from reports.judging.page import short_markdown

        typer.echo(short_markdown(judged), nl=False)
    else:
        print_verdicts(verdict_table(judged.verdicts), judged.study.plan.unit.many)
        print_lines("", *judged.evidence.used)
        print_lines(*(f"left out: {line}" for line in judged.evidence.left_out))
        print_lines(*(f"in doubt: {line}" for line in judged.evidence.limits))
    for text, verdicts in broken.items():
        typer.echo(visible(f"required: {text}: {f'no ({short_list(verdicts)})' if verdicts else 'yes'}"))
    if page:
        typer.echo(f"report: {page}")
