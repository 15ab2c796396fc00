"""Colour palette: one colour per method, safe for colour-blind readers (Okabe and Ito, 2008)."""

from __future__ import annotations

from collections.abc import Sequence

REFERENCE = "#8a8a8a"
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#F0E442")
DIVERGING = ((0.0, "#b35806"), (0.25, "#f1a340"), (0.5, "#d8dadb"), (0.75, "#67a9cf"), (1.0, "#0b5c94"))
"""Diverging scale: orange below, grey at and blue above the centre, on light and dark backgrounds alike."""


def method_colours(methods: Sequence[str], references: Sequence[str]) -> dict[str, str]:
    """Return a colour for every method: grey for references, otherwise the palette in order, repeated as needed.

    Args:
        methods: display names, in the order of the plan.
        references: the methods that serve as references.

    >>> method_colours(["baseline", "mixup"], ["baseline"])
    {'baseline': '#8a8a8a', 'mixup': '#0072B2'}
    """
    others = [method for method in methods if method not in references]
    colours = {method: COLOURS[index % len(COLOURS)] for index, method in enumerate(others)}
    return {method: colours.get(method, REFERENCE) for method in methods}


def translucent(colour: str, opacity: float) -> str:
    """Return the colour `#rrggbb` as a CSS colour with the given opacity.

    >>> translucent("#0072B2", 0.18)
    'rgba(0,114,178,0.18)'
    """
    red, green, blue = (int(colour[start : start + 2], 16) for start in (1, 3, 5))
    return f"rgba({red},{green},{blue},{opacity:g})"
