"""Headless Chromium, and what it is given."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

CHROMIUM = Path("/usr/bin/chromium")
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update", "--enable-logging=stderr",
    "--virtual-time-budget=30000", "--window-size=1280,2400",
)  # fmt: skip
DRAWN = (
    "const missing = () => [...document.querySelectorAll('.figure')]"
    ".some((one) => one.clientWidth > 0 && !one.querySelector('svg.main-svg'));"
    "for (let turn = 0; turn < 200 && missing(); turn++) {"
    " await new Promise((done) => requestAnimationFrame(done)); await wait(50); }"
    "await wait(1000);"
)
"""Script that waits until the visible figures are drawn, 10 seconds at most: a busy machine shows few frames."""
HOSTILE = ("baseline", '<script>document.title = "taken"</script>', "</script><!--", "🦊" * 60, "%{x}<b>'\"&")


class Visit(NamedTuple):
    """Result of a visit: the page after its scripts ran, console messages, and the return value of the probe."""

    page: str
    console: list[str]
    result: Any


Visitor = Callable[..., Visit]
