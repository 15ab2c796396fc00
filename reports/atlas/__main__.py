"""Command `python -m reports.atlas`: collects studies in one file, and writes the page and the reports of the atlas."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from reports.atlas.archive import read_archive, write_archive
from trainables.errors import InputError

FOLDER = Path(__file__).parent
ATLAS, CASES = FOLDER / "atlas.parquet", FOLDER / "cases.parquet"
app = typer.Typer(add_completion=False, help=__doc__, pretty_exceptions_enable=False)


@app.command()
def collect(
    folders: Annotated[list[Path], typer.Argument(help="Folders of finished studies.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Parquet file to write.")] = ATLAS,
) -> None:
    """Write studies to one Parquet file; those of the same name in it are replaced, and others kept."""
    from reports.data.frames import read_study

    studies = read_archive(output) if output.exists() else {}
    for folder in folders:
        study = read_study(folder)
        studies[study.plan.name] = study
    write_archive([studies[name] for name in sorted(studies)], output)
    typer.echo(f"{output}: {len(studies)} studies, {sum(len(study.runs) for study in studies.values()):,} runs")


@app.command()
def page(folder: Annotated[Path, typer.Option("--output", "-o", help="Folder to write to.")] = FOLDER) -> None:
    """Write the page and its pictures."""
    from reports.atlas.page import write_page
    from reports.atlas.replication import read_replications

    write_page(read_archive(ATLAS), read_archive(CASES) if CASES.exists() else {}, folder, read_replications())
    typer.echo(f"{folder / 'README.md'}")


@app.command()
def report(
    name: Annotated[str, typer.Argument(help="Name of a study in the archive.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder to write to.")] = Path("report"),
) -> None:
    """Write the interactive report of an archived study."""
    from reports.page.writer import write_study

    studies = read_archive(ATLAS) | (read_archive(CASES) if CASES.exists() else {})
    if name not in studies:
        raise InputError(f"there is no study {name!r} in the archives; choose from {', '.join(sorted(studies))}")
    typer.echo(f"{write_study(studies[name], output).html}")


def main() -> None:
    """Run a command; a wrong input is one line, not a traceback."""
    try:
        app()
    except (InputError, OSError) as error:
        typer.echo(f"error: {error}", err=True)
        raise SystemExit(2) from None


if __name__ == "__main__":
    main()
