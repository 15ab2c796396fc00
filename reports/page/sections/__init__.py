"""The sections of the report, in their order.

A section is a module here whose `build` makes it from a `Context`; one that returns None is left out. Blocks of
sentences, pictures and a table need nothing else: `templates/sections/blocks.*.j2` lays them out. A section that looks
different names a partial of its own, which gets the section as `section` and the whole report as `view`.
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
    """Return all sections that have something to say."""
    return tuple(section for section in (build(context) for build in SECTIONS) if section is not None)
