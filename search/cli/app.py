"""Typer application: shared arguments and options, error handling and exit codes of all commands."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from search.cli import boundary
from search.monitor.messages import copyable
from trainables.errors import InputError
from trainables.registration.plugins import ANY_CODE, allow_code

if TYPE_CHECKING:
    from search.final_training.training import TrainingResult
    from search.lifecycle import StudyResult

app = typer.Typer(
    name="assay",
    help="Find out when mixup, MaxUp and SamplePairing actually help a Keras image classifier.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def _show_version(asked: bool) -> None:
    if asked:
        typer.echo(f"assay {version('assay')}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", help="Show the version.", callback=_show_version, is_eager=True)
    ] = False,
) -> None:
    """Accept the options that need no command."""


Folder = Annotated[Path, typer.Argument(help="Folder of the study.", show_default=False, readable=False)]
Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]
Debug = Annotated[bool, typer.Option("--debug", help="Show tracebacks.")]
RunDebug = Annotated[bool, typer.Option("--debug", help="Show tracebacks and the messages of Ray and TensorFlow.")]
Source = Annotated[
    str,
    typer.Argument(help="Path of a study file, or name of a preset (see `assay list studies`).", show_default=False),
]
Sets = Annotated[
    list[str] | None, typer.Option("--set", metavar="A.B=VALUE", help="Override a value of the study file; repeatable.")
]
ResourceSets = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="resources.A=VALUE",
        help="Change the resources per run, such as `resources.gpus=0.5`; repeatable.",
    ),
]
Address = Annotated[
    str | None,
    typer.Option(
        metavar="auto|HOST:PORT",
        help="Ray cluster: `auto` or the address of the head node. Default: this machine.",
        envvar="RAY_ADDRESS",
    ),
]


Timeout = Annotated[
    float,
    typer.Option(
        min=1,
        max=86400,
        help="Seconds to wait for MLflow after the last run; `assay sync` delivers the rest later.",
    ),
]

AllowCode = Annotated[
    bool,
    typer.Option("--allow-code", help="Allow code referenced as `module:name` to run. Review it first."),
]


def command(name: str | None = None) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Register a command that reports errors as a message and an exit code; `--debug` shows the traceback."""

    def register(function: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(function)
        def guarded(*args: Any, debug: bool = False, **kwargs: Any) -> None:
            def checked() -> None:
                _refuse_infinite(kwargs)
                function(*args, debug=debug, **kwargs)

            code = boundary.guarded(checked, debug)
            if code:
                raise typer.Exit(code)

        return app.command(name)(guarded)

    return register


def _refuse_infinite(given: dict[str, Any]) -> None:
    """Refuse options that are not finite numbers; Typer's bounds let `nan` pass.

    Args:
        given: values by the name of the parameter, which is that of the option.
    """
    for name, value in given.items():
        if isinstance(value, float) and not math.isfinite(value):
            raise InputError(f"--{name.replace('_', '-')} must be a finite number, but got {value}")


def exclusive(options: Mapping[str, object]) -> None:
    """Refuse options that are mutually exclusive.

    Args:
        options: values by the name of the option; None and False mean that it is not given.

    Raises:
        InputError: more than one is given.

    Examples:
        >>> exclusive({"--json": True, "--markdown": False})
        >>> exclusive({"--spread": 0.5, "--noise": Path("runs/noise")})
        Traceback (most recent call last):
        ...
        trainables.errors.InputError: --spread and --noise are mutually exclusive
    """
    given = [name for name, value in options.items() if value is not None and value is not False]
    if len(given) > 1:
        raise InputError(f"{' and '.join(given)} are mutually exclusive")


def allow(every: bool, *written: str | None) -> None:
    """Allow code to run: all of it, or the references on the command line.

    Args:
        every: the option `--allow-code`.
        written: values of options, in YAML; each `module:name` in them is allowed.
    """
    from search.study.references import written_references

    allow_code(*([ANY_CODE] if every else []))
    for text in written:
        allow_code(*written_references(text or ""))


def values(sets: list[str] | None) -> list[str]:
    """Return the values of `--set` options."""
    return [each.partition("=")[2] for each in sets or ()]


def free(folder: Path) -> Path:
    """Return the folder if it does not exist, otherwise the first free name with a number appended."""
    number, free = 2, folder
    while free.exists():
        free = folder.with_name(f"{folder.name}-{number}")
        number += 1
    return free


def end_study(done: StudyResult, json: bool) -> None:
    """Print the results of a study; exit with 1 if all runs failed."""
    from search.cli.summary import show_finished

    show_finished(done, json)
    refuse_failed(done)


def refuse_failed(done: StudyResult) -> None:
    """Exit with 1 if all runs of a study failed."""
    if done.failed:
        typer.echo(copyable("error: all runs failed; see `assay status` and the logs"), err=True)
        raise typer.Exit(1)


def end_training(done: TrainingResult, json: bool) -> None:
    """Print the results of a final training; exit with 1 if a seed failed or diverged."""
    from search.cli.summary import show_trained

    show_trained(done, json)
    if done.failures or done.diverged:
        raise typer.Exit(1)
