"""What a study is judged on: the test figure that belongs to its metric, and the unit of its effects."""

from __future__ import annotations

from dataclasses import dataclass

from trainables.records.metrics import LOWER_IS_BETTER, TEST_LOSS, TEST_METRICS, VALIDATION_ACCURACY, T, TestPart


@dataclass(frozen=True)
class Unit:
    """A test metric, and the unit in which its differences are reported. Positive effects are always better.

    Args:
        metric: the test figure, one of `records.TEST_METRICS`.
        one: the unit of one ("point").
        many: the unit of several ("points").
        scale: factor that converts a difference to that unit.
        digits: decimals of a usual difference.
        higher_is_better: whether a higher figure is better (no for losses and errors).
    """

    metric: str
    one: str
    many: str
    scale: float
    digits: int
    higher_is_better: bool = True

    @property
    def figure(self) -> str:
        """The test figure in words: `test accuracy`."""
        return self.metric.replace("_", " ")

    def as_maximized(self, value: T) -> T:
        """Return values of the figure so that higher is better. Applied twice, it returns the original values."""
        return value if self.higher_is_better else -value

    def amount(self, difference: float) -> str:
        """Return the size of a difference with its unit, with no more digits than needed.

        >>> POINTS.amount(0.005), POINTS.amount(0.01)
        ('0.5 points', '1 point')
        """
        return self.scaled_amount(self.scale * difference)

    def scaled_amount(self, difference: float) -> str:
        """Return the size of a difference that is in this unit already, as `amount` does."""
        words = f"{difference:.3g}"
        return f"{words} {self.one if words == '1' else self.many}"

    @property
    def in_points(self) -> bool:
        """Whether differences are in percentage points, as those of an accuracy."""
        return self.many == "points"

    @property
    def effect(self) -> str:
        """What an effect is, in words: `the difference in test accuracy, in percentage points`."""
        unit = "percentage points" if self.in_points else self.many
        if not self.higher_is_better:
            return f"how much lower the {self.figure} is, in {unit}"
        return f"the difference in {self.figure}, in {unit}"


def unit_of(metric: str, part: TestPart = "official") -> Unit:
    """Return the unit of a metric, of validation or of test.

    Args:
        metric: such as `validation_macro_f1`, which is judged on `test_macro_f1`.
        part: the test part; on the `extended` one, that is `extended_test_macro_f1`.
    """
    test = metric.replace("validation_", "test_")
    if part == "extended" and test in TEST_METRICS:
        test = f"extended_{test}"
    higher = test not in LOWER_IS_BETTER
    if test.endswith(TEST_LOSS):
        return Unit(test, "nat", "nats", 1.0, 3, higher)
    return Unit(test, "point", "points", 100.0, 1, higher)


POINTS = unit_of(VALIDATION_ACCURACY)
