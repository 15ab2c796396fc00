"""Question: what is to be judged about runs, as the user asks it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from reports.judging.run_table import repeated
from trainables.errors import InputError

NO_PAIRING = "none"
Duplicates = Literal["first", "last", "mean"]
DUPLICATES: tuple[Duplicates, ...] = get_args(Duplicates)


@dataclass(frozen=True)
class Question:
    """What is to be judged. All names are columns of the source; see `run_table.find_column`.

    Args:
        arm: columns whose values are compared; several form a factorial.
        metric: the metric that is judged.
        seed: columns that identify a repetition; runs of two arms with equal values form a pair. Empty if there are
            none.
        pair: columns that form the pairs instead of `seed`, or `("none",)` for unpaired runs.
        condition: columns whose combinations are judged separately (data set, model, ...).
        reference: the arm that the others are compared with; for several columns, its values separated by commas. None
            for the arm with a usual name, such as `baseline`.
        setting: columns that identify the hyperparameter settings at which every arm was run; needs `select`.
        select: validation metric on which each arm chooses its setting.
        epoch: column of the epoch, if the table has one row per epoch.
        run: column that identifies a run, if the table has one row per epoch.
        last: number of last epochs over which the metric is averaged.
        higher: whether a higher metric is better; None to infer it from the name of the metric.
        select_higher: the same for `select`.
        smallest: smallest effect of interest, in points for accuracies, otherwise in units of the metric; None for half
            a point, or no test of equivalence for other metrics.
        percent: whether the metric is in percent; None to infer it.
        alpha: family-wise error rate.
        where: conditions on rows, such as `phase=confirm` or `status!=FAILED`.
        names: pattern of run names or paths from which columns are taken, such as `{method}/seed{seed}`.
        duplicates: which of several runs with the same arm, pair and setting counts; None to use the first if they
            are few, and to refuse otherwise.
        drop_nan: whether runs whose metric is not finite are left out instead of refused.
    """

    arm: tuple[str, ...]
    metric: str
    seed: tuple[str, ...] = ()
    pair: tuple[str, ...] = ()
    condition: tuple[str, ...] = ()
    reference: str | None = None
    setting: tuple[str, ...] = ()
    select: str | None = None
    epoch: str | None = None
    run: str | None = None
    last: int = 1
    higher: bool | None = None
    select_higher: bool | None = None
    smallest: float | None = None
    percent: bool | None = None
    alpha: float = 0.05
    where: tuple[str, ...] = ()
    names: str | None = None
    duplicates: Duplicates | None = None
    drop_nan: bool = False

    def __post_init__(self) -> None:
        if not self.arm or not self.metric:
            raise InputError("name what is compared (--arm COLUMN) and the metric that is judged (--metric COLUMN)")
        if not 0 < self.alpha < 1:
            raise InputError(f"alpha is {self.alpha:g}; it must be between 0 and 1")
        if self.smallest is not None and not 0 < self.smallest < float("inf"):
            raise InputError(
                f"the smallest effect of interest is {self.smallest:g}; it must be a finite number above 0 (--smallest)"
            )
        if self.last < 1:
            raise InputError(f"the number of last epochs is {self.last}; it must be at least 1 (--last)")
        if self.duplicates not in (None, *DUPLICATES):
            raise InputError(f"duplicates is `{self.duplicates}`; choose from {', '.join(DUPLICATES)}")
        if self.setting and not self.select:
            raise InputError(
                "--setting needs --select METRIC, a validation metric on which each arm chooses its setting: choosing "
                "on the judged metric would favour the arm with more settings"
            )
        if self.select_higher is not None and not self.select:
            raise InputError("the direction of --select (--select-higher or --select-lower) needs --select METRIC")
        if self.run is not None and not self.epoch:
            raise InputError("--run COLUMN needs --epoch COLUMN: it distinguishes runs in a table of one row per epoch")
        if self.duplicates and not self.pair_columns:
            raise InputError("--duplicates chooses among several runs of a pair, so it needs --seed or --pair")
        if NO_PAIRING in self.pair and len(self.pair) > 1:
            raise InputError("--pair none cannot be combined with columns")
        taken = [*self.arm, *self.condition, *self.setting]
        if twice := repeated(taken):
            raise InputError(f"`{twice[0]}` is named twice in --arm, --condition and --setting; remove one")
        mixed = sorted(set(taken) & set(self.pair_columns))
        if mixed:
            raise InputError(
                f"`{mixed[0]}` cannot both distinguish arms, conditions or settings and form pairs; remove one"
            )

    @property
    def unpaired(self) -> bool:
        """Whether the user has asked for unpaired tests."""
        return self.pair == (NO_PAIRING,)

    @property
    def pair_columns(self) -> tuple[str, ...]:
        """Columns that form the pairs; empty for unpaired runs."""
        return () if self.unpaired else self.pair or self.seed
