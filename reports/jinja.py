"""How every template is rendered: a name that is missing is an error, and blocks leave no blank lines behind."""

from __future__ import annotations

from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined


def environment(folder: Path, *, autoescape: bool, last_newline: bool = True) -> Environment:
    """Return an environment for the templates of a folder.

    Args:
        folder: where they are.
        autoescape: for HTML and SVG.
        last_newline: keep the newline that ends a template.
    """
    return Environment(
        loader=FileSystemLoader(folder),
        autoescape=autoescape,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=last_newline,
    )
