"""Sections of the report, in order of appearance.

A section is a module in this package with a function `build(context)` that returns a `Section`, or None to leave it
out. Sections made of blocks (sentences, figures, a table) are rendered by `templates/sections/blocks.*.j2`; other
sections name their own template, which receives the section as `section` and the whole report as `view`.
"""

from __future__ import annotations

from collections.abc import Callable

from reports.page.context import Context
from reports.page.layout import Section
from reports.page.sections import (
    answer,
    cost,
    effects,
    factorial,
    fairness,
    faq,
    hyperparameters,
    learning_curves,
    moderation,
    runs,
    secondary_metrics,
    setup,
    tuning_curves,
)

Builder = Callable[[Context], Section | None]
SECTIONS: tuple[Builder, ...] = (
    answer.build,
    faq.build,
    effects.build,
    moderation.build,
    factorial.build,
    learning_curves.build,
    tuning_curves.build,
    cost.build,
    hyperparameters.build,
    secondary_metrics.build,
    fairness.build,
    setup.build,
    runs.build,
)


def build_sections(context: Context) -> tuple[Section, ...]:
    """Return all sections that apply to the study."""
    return tuple(section for section in (build(context) for build in SECTIONS) if section is not None)
