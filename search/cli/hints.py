"""Hints: what a refused option may have meant, such as a setting of the study file."""

from __future__ import annotations

from typing import Any


def hint(error: Any) -> str:
    """Return what an unknown option may have meant, as a part of a sentence; often empty.

    Args:
        error: an error of Typer; errors about unknown options have the context of their command.
    """
    context, option = getattr(error, "ctx", None), getattr(error, "option_name", None)
    parameters = {name: each for each in context.command.params for name in each.opts} if context else {}
    if option is None or "--set" not in parameters:
        return ""
    metavar = str(parameters["--set"].metavar)
    settings = [name for name in settings_named(option) if _fits(name, metavar)]
    return f"; it is a setting of the study: --set {settings[0]}=VALUE" if settings else ""


def _fits(setting: str, metavar: str) -> bool:
    """Return whether a `--set` changes a setting: it may be for one section, such as `resources.A=VALUE`."""
    section, _, _ = metavar.partition(".")
    return section == "A" or setting.startswith(f"{section}.")


def settings_named(option: str) -> list[str]:
    """Return the settings of a study file that an option may have meant.

    >>> settings_named("--seeds"), settings_named("--trials"), settings_named("--learning-rate")
    (['confirm.seeds'], ['search.trials_per_arm'], ['recipe.learning_rate'])
    """
    from search.study.schema import Study
    from trainables.config import RunConfig
    from trainables.optimizers import OPTIMIZERS

    sections = {name: getattr(field.annotation, "model_fields", {}) for name, field in Study.model_fields.items()}
    sections["recipe"] = dict(RunConfig.model_fields)
    for optimizer in OPTIMIZERS:
        sections["recipe"] |= OPTIMIZERS.get(optimizer).model_fields
    name = option.lstrip("-").replace("-", "_")
    paths = [*(key for key, inner in sections.items() if not inner)]
    paths += [f"{section}.{key}" for section, inner in sections.items() for key in inner]
    fields = {path: path.rpartition(".")[2] for path in paths}
    return [
        *(path for path, field in fields.items() if field == name),
        *(path for path, field in fields.items() if field.startswith(f"{name}_")),
    ]
