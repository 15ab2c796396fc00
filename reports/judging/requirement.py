"""Requirements: what must hold for a check in CI to pass, such as `mixup helps`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from reports.inference.verdicts import Verdict
from reports.judging.run_table import short_list
from trainables.errors import InputError
from trainables.records import VERDICTS

_VERDICTS = "|".join(VERDICTS)
_FORM = re.compile(
    rf"(?P<arm>.+?)\s+(?P<negated>not\s+)?(?P<verdicts>(?:{_VERDICTS})(?:\s+or\s+(?:{_VERDICTS}))*)"
    r"(?:\s+on\s+(?P<condition>.+))?",
    re.DOTALL,
)
EVERY = "all"


@dataclass(frozen=True)
class Requirement:
    """A requirement on verdicts.

    Args:
        text: as the user wrote it.
        arm: display name of the arm, or `all`.
        allowed: verdicts with which it holds.
        condition: name of the condition, None for every condition.
    """

    text: str
    arm: str
    allowed: tuple[str, ...]
    condition: str | None

    def concerns(self, arm: str, condition: str) -> bool:
        """Return whether the requirement is about this comparison."""
        return self.arm in (EVERY, arm) and self.condition in (None, condition)


def broken_by(
    requirement: Requirement, verdicts: Sequence[Verdict], unanswered: Sequence[tuple[str, str]]
) -> list[str]:
    """Return the comparisons that break a requirement, in words; empty if it holds.

    Args:
        requirement: what must hold in every comparison that it is about.
        verdicts: all verdicts.
        unanswered: arm and condition of the comparisons that have none, for want of runs.
    """
    named = {
        (each.method, each.condition): each.verdict for each in verdicts if each.verdict not in requirement.allowed
    }
    named |= dict.fromkeys(unanswered, "no answer")
    return [f"{arm} on {place}: {what}" for (arm, place), what in named.items() if requirement.concerns(arm, place)]


def parse_requirement(text: str) -> Requirement:
    """Parse `ARM VERDICT`, `ARM not VERDICT`, `ARM VERDICT or VERDICT`, each optionally with `on CONDITION`.

    Raises:
        InputError: the text has another form.

    >>> parse_requirement("mixup not hurts on cifar10").allowed
    ('helps', 'equivalent', 'undecided')
    """
    found = _FORM.fullmatch(text.strip())
    if not found:
        raise InputError(
            f"--require {text!r}: write ARM VERDICT, such as 'mixup helps', 'mixup not hurts', 'all helps or "
            f"equivalent', or 'mixup helps on CONDITION'. The verdicts are {', '.join(VERDICTS)}."
        )
    named = re.split(r"\s+or\s+", found["verdicts"])
    allowed = tuple(verdict for verdict in VERDICTS if (verdict in named) != bool(found["negated"]))
    return Requirement(text, found["arm"], allowed, found["condition"])


def check_names(requirement: Requirement, verdicts: Sequence[Verdict]) -> None:
    """Raise an `InputError` if the requirement is about no verdict."""
    if any(requirement.concerns(verdict.method, verdict.condition) for verdict in verdicts):
        return
    known = dict.fromkeys(f"{verdict.method} on {verdict.condition}" for verdict in verdicts)
    raise InputError(f"--require {requirement.text!r} matches no comparison. The comparisons are {short_list(known)}.")
