"""The sections of the report, in their order.

A section is a module here whose `build` makes it from a `Context`; one that returns None is left out. Blocks of
sentences, pictures and a table need nothing else: `templates/sections/blocks.*.j2` lays them out. A section that looks
different names a partial of its own, which gets the section as `section` and the whole report as `view`.
"""

from __future__ import annotations

from collections.abc import Callable

from reports.blocks import Section
from reports.context import Context
from reports.sections import (
    answer,
    cost,
    effects,
    gains,
    listing,
    quality,
    reading,
    setup,
    training,
    trust,
    tuning,
    values,
    when,
)

Builder = Callable[[Context], Section | None]
SECTIONS: tuple[Builder, ...] = (
    answer.build,
    reading.build,
    effects.build,
    when.build,
    gains.build,
    training.build,
    tuning.build,
    cost.build,
    values.build,
    quality.build,
    trust.build,
    setup.build,
    listing.build,
)


def build_sections(context: Context) -> tuple[Section, ...]:
    """Return all sections that have something to say."""
    return tuple(section for section in (build(context) for build in SECTIONS) if section is not None)
