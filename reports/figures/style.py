"""Figure types and label helpers shared by all figures.

Plotly interprets some HTML in labels and `%{...}` in hover texts, so every user-supplied name passes through `shown`.
Figures set no colours for text, axes and background: the page sets them, following the reader's light or dark mode.
"""

from __future__ import annotations

import html
from collections.abc import Iterable
from typing import Any

Figure = dict[str, Any]
"""A Plotly figure: `data` and `layout`."""
Trace = dict[str, Any]
"""One entry of a figure's `data`."""

MATPLOTLIB: dict[Any, Any] = {
    "font.size": 9,
    "axes.edgecolor": "#9aa1a8",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 10,
    "xtick.color": "#444444",
    "ytick.color": "#444444",
    "figure.facecolor": "white",
    "svg.fonttype": "none",  # text stays text, so that a browser finds glyphs for any script
    "svg.hashsalt": "assay",  # equal data give equal files
    "text.usetex": False,  # a `matplotlibrc` in the working directory could have LaTeX executed
}
"""Settings of the static pictures, for `matplotlib.rc_context`."""

LONGEST_LABEL = 36
TOOLBAR = 20
"""Top margin in pixels that keeps the toolbar off the data; touch screens show the toolbar permanently."""


def shown(name: str, longest: int = LONGEST_LABEL) -> str:
    """Return a user-supplied name as plain text for Plotly, with the middle elided if it is too long.

    Args:
        name: any text.
        longest: maximum number of characters.

    >>> shown("<b>two\\nlines</b>")
    '&lt;b&gt;two lines&lt;/b&gt;'
    >>> shown("learning_rate", longest=9)
    'lear…rate'
    """
    one_line = " ".join(name.split())
    if len(one_line) > longest:
        half = (longest - 1) // 2
        one_line = f"{one_line[:half]}…{one_line[-half:]}"
    return html.escape(one_line, quote=False).replace("%{", "%\u200b{")


def rounded(values: Iterable[float], scale: float = 1.0, digits: int = 5) -> list[float]:
    """Return the scaled values with a few significant digits, which keeps the page small.

    >>> rounded([0.123456789, 2 / 3], scale=100)
    [12.346, 66.667]
    """
    return [float(f"{scale * value:.{digits}g}") for value in values]
