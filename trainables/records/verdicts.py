"""Verdicts of a contrast."""

from __future__ import annotations

# Verdicts.
HELPS = "helps"
HURTS = "hurts"
EQUIVALENT = "equivalent"
UNDECIDED = "undecided"
VERDICTS = (HELPS, HURTS, EQUIVALENT, UNDECIDED)
