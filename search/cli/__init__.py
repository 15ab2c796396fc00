"""The command line: data on stdout, progress and messages on stderr.

Exit codes: 2 for bad input, 1 for a failed run, 130 when interrupted. A module here holds the commands of one concern;
importing it registers them.
"""

from __future__ import annotations

from search import interrupts
from search.cli import answer, final, listing, study, tracking
from search.cli.program import app

ORDER = ("plan", "run", "resume", "status", "report", "export", "train", "ui", "sync", "list")
"""The commands as help shows them: in the order in which a study needs them."""

app.registered_commands.sort(key=lambda entry: ORDER.index(entry.name or getattr(entry.callback, "__name__", "")))

__all__ = ["answer", "app", "final", "listing", "main", "study", "tracking"]


def main() -> None:
    """Run the command line. A request to terminate ends it as Ctrl-C does: everything is saved."""
    interrupts.catch()
    app()
