"""Descriptions of factors, their levels and durations in words."""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

MAX_REASON_LENGTH = 400
"""The reason of a run's outcome is shortened to this number of characters where runs are counted."""


def describe(values: Mapping[str, Any]) -> str:
    """Return factors in words; empty where there are none.

    >>> describe({"model": "resnet8", "train_fraction": 0.1, "epochs": 20, "label_noise": 0.2})
    'on resnet8 with 10 % of the data, epochs 20 and label_noise 0.2'
    >>> describe({"data": "cifar", "image_size": 32, "model": "resnet8"})
    'on cifar at image size 32 with resnet8'
    """
    rest = dict(values)
    words = [f"on {plain(rest.pop('data'))}"] if "data" in rest else []
    if "image_size" in rest:
        words.append(f"at image size {rest.pop('image_size')}")
    if "model" in rest:
        words.append(f"{'with' if 'data' in values else 'on'} {rest.pop('model')}")
    share = rest.pop("train_fraction") if isinstance(rest.get("train_fraction"), int | float) else None
    others = [] if share is None else [f"{_share(float(share))} of the data"]
    others += [f"{name} {plain(value)}" for name, value in rest.items()]
    return " ".join([*words, *([f"with {_enumerated(others)}"] if others else [])])


def _enumerated(words: list[str]) -> str:
    return " and ".join(filter(None, [", ".join(words[:-1]), words[-1]]))


def _share(fraction: float) -> str:
    """Return a fraction as a percentage with no more digits than it needs: `10 %`, `0.5 %`."""
    return "all" if fraction == 1 else f"{100 * fraction:.3g} %"


def plain(value: Any) -> str:
    """Return a factor's value in words; of a mapping, the first entry names it."""
    if isinstance(value, Mapping):
        return plain(next(iter(value.values()), ""))
    return f"{value:g}" if isinstance(value, float) else str(value)


def number_of(number: int, noun: str) -> str:
    """Return a number of things in words.

    >>> number_of(1, "trial"), number_of(1234, "run")
    ('1 trial', '1,234 runs')
    """
    return f"1 {noun}" if number == 1 else f"{number:,} {noun}s"


def number_were(number: int, noun: str) -> str:
    """Return a number of things with the verb of a sentence about the past.

    >>> number_were(1, "claim"), number_were(3, "claim")
    ('1 claim was', '3 claims were')
    """
    return f"{number_of(number, noun)} {'was' if number == 1 else 'were'}"


WARNED_RUNS = "{count} of {runs} confirmation runs of {method} ended with a warning, for example: {reason}"
"""Text about runs that ended with a warning, which `common_reason` returns."""


def common_reason(reasons: Iterable[str]) -> str:
    """Return the most frequent reason of some runs on one line, shortened, with a full stop.

    >>> common_reason(["the disk is full", "the network has not\\nlearned", "the network has not\\nlearned"])
    'the network has not learned.'
    """
    (most, _), *_ = Counter(reason or "no reason given" for reason in reasons).most_common(1)
    reason = " ".join(most.split()).rstrip(".")
    if len(reason) <= MAX_REASON_LENGTH:
        return f"{reason}."
    return textwrap.shorten(reason, MAX_REASON_LENGTH, placeholder=" ….")


def is_number(value: Any) -> bool:
    """Return whether a value, such as a factor's level, is a number.

    >>> is_number(0.1), is_number("resnet20"), is_number(True)
    (True, False, False)
    """
    return isinstance(value, int | float) and not isinstance(value, bool)


def duration(seconds: float) -> str:
    """Return a duration in one unit.

    >>> duration(75), duration(600), duration(9000)
    ('75 s', '10 min', '2.5 h')
    """
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
