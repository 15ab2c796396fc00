"""Jinja environment shared by all templates: missing names are errors, and block tags leave no blank lines."""

from __future__ import annotations

from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined


def environment(folder: Path, *, autoescape: bool, last_newline: bool = True) -> Environment:
    """Return a Jinja environment for the templates in a folder.

    Args:
        folder: folder of the templates.
        autoescape: whether to escape values, as HTML requires.
        last_newline: whether to keep the newline at the end of a template.
    """
    return Environment(
        loader=FileSystemLoader(folder),
        autoescape=autoescape,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=last_newline,
    )
