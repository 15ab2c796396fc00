"""Every exception that Assay raises on purpose.

AssayError
├── InputError        bad study file, data, recipe or option: refused before work starts, exit code 2
├── TrialError        one training run cannot go on: that run fails with its reason, the study does not
│   └── DivergedError the loss is no longer finite
└── StoppedError      a study cannot go on now: all so far is saved, `assay resume` goes on, exit code 1
    └── BudgetError   it has used up its time, exit code 130 as after Ctrl-C
"""


class AssayError(Exception):
    """Base of all errors that Assay raises on purpose."""


class InputError(AssayError):
    """Input that is refused. The message says what was wrong, what is allowed and how to mend it."""


class TrialError(AssayError):
    """One training run cannot go on."""


class DivergedError(TrialError):
    """The training loss is no longer finite.

    Args:
        epoch: the epoch (from 1) in which it happened.
    """

    def __init__(self, epoch: int) -> None:
        super().__init__(f"the training loss was not finite in epoch {epoch}")
        self.epoch = epoch

    def __reduce__(self) -> tuple[type["DivergedError"], tuple[int]]:
        return (DivergedError, (self.epoch,))


class StoppedError(AssayError):
    """A study, or a final training, cannot go on now. All that was reported is saved; resuming goes on."""


class BudgetError(StoppedError):
    """A study has used up the time that it was given (`resources.budget_hours`)."""
