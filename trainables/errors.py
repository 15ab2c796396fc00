"""Exceptions that Assay raises on purpose.

AssayError
├── InputError        bad study file, data, recipe or option: refused before work starts, exit code 2
├── TrialError        a training run failed: the run ends with this reason, the study continues
│   └── DivergedError the training loss is not finite
└── StoppedError      the study was interrupted: results so far are saved, `assay resume` continues, exit code 1
    └── BudgetError   the study has used up its time budget: exit code 130, as after Ctrl-C
"""

from collections.abc import Mapping
from typing import Any

PERCENT = 100


class AssayError(Exception):
    """Base of all errors that Assay raises on purpose."""


class InputError(AssayError):
    """Invalid input. The message states the problem, the value, what is allowed, and the remedy."""


class TrialError(AssayError):
    """A training run cannot continue."""


class DivergedError(TrialError):
    """The training loss is not finite.

    Args:
        epoch: the epoch in which it happened, from 1.
    """

    def __init__(self, epoch: int) -> None:
        super().__init__(f"the training loss was not finite in epoch {epoch}")
        self.epoch = epoch

    def __reduce__(self) -> tuple[type["DivergedError"], tuple[int]]:
        return (DivergedError, (self.epoch,))


class StoppedError(AssayError):
    """A study or a final training was interrupted. Everything reported so far is saved; resuming continues it."""


class BudgetError(StoppedError):
    """A study has used up its time budget (`resources.budget_hours`)."""


def validation_message(detail: Mapping[str, Any]) -> str:
    """Return the message of one error of pydantic, without the prefix of errors that a validator raised.

    If a fraction was given in percent, it contains the fraction.

    >>> validation_message({"msg": "Value error, `m` must be at least 2"})
    '`m` must be at least 2'
    >>> validation_message({"msg": "Input should be less than 1", "ctx": {"lt": 1}, "input": 30})
    'Input should be less than 1 (0.3 for 30 %)'
    """
    message, value = str(detail["msg"]).removeprefix("Value error, "), detail.get("input")
    limits = detail.get("ctx", {})
    if limits.get("le", limits.get("lt")) == 1 and isinstance(value, int | float) and 1 < value <= PERCENT:
        return f"{message} ({value / PERCENT:g} for {value:g} %)"
    return message
