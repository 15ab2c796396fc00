"""Metrics of foreign runs: direction and unit from name and values, and the refusal of mixed scales."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd

from reports.judging.run_table import short_list
from trainables.errors import InputError
from trainables.records import Unit, number_of

_LOWER = {
    "brier", "cer", "cost", "deviation", "ece", "entropy", "err", "error", "fid", "logloss", "loss", "mae", "mape",
    "mse", "nll", "perplexity", "ppl", "regret", "rmse", "wer",
}  # fmt: skip
_SHARE = {
    "acc", "accuracy", "auc", "auroc", "ap", "dice", "f1", "iou", "kappa", "map", "mcc", "miou", "precision", "recall",
    "top1", "top5", "sensitivity", "specificity",
}  # fmt: skip
_HIGHER = _SHARE | {"bleu", "elo", "gain", "psnr", "r2", "return", "reward", "score", "ssim"}
_SUFFIXED = ("accuracy", "acc", "loss", "error", "precision", "recall")
_WORDS = re.compile(r"[a-z]+[0-9]?|[0-9]+")
_SMALLEST_SHARE = 0.005
"""Default smallest effect of interest of an accuracy: half a point, as in a study file."""
_SIGNIFICANT = 3


def inferred_direction(metric: str) -> bool | None:
    """Return whether a higher metric is better, judged by its name; None if the name does not indicate it.

    >>> inferred_direction("eval/top1_acc"), inferred_direction("val_loss"), inferred_direction("m1")
    (True, False, None)
    """
    words = _words(metric)
    lower, higher = bool(words & _LOWER), bool(words & _HIGHER)
    return None if lower == higher else higher


def higher_is_better(metric: str, given: bool | None) -> bool:
    """Return the direction of the judged metric: as given, otherwise from its name.

    Raises:
        InputError: the name does not indicate it.
    """
    found = inferred_direction(metric) if given is None else given
    if found is None:
        raise InputError(f"cannot infer whether higher values of `{metric}` are better; specify --higher or --lower")
    return found


def unit_of_runs(metric: str, values: pd.Series, arms: pd.Series, higher: bool, percent: bool | None) -> Unit:
    """Return the unit of a metric, so that effects of accuracies are in points whether in fractions or percent.

    Args:
        metric: name of the metric.
        values: finite values, one per run.
        arms: the arm and condition of every run, for messages.
        higher: whether higher is better.
        percent: whether the values are in percent; None to infer it.

    Raises:
        InputError: fractions and percent are mixed, or values exceed what a share can be.
    """
    if percent is None:
        _refuse_mixed_scales(metric, values, arms)
    share = percent is not None or bool(_words(metric) & _SHARE)
    low, high = float(values.min()), float(values.max())
    if not share or low < -1 or high > 100:
        if percent:
            raise InputError(f"--percent: `{metric}` lies between {low:g} and {high:g}, so it is not in percent")
        if percent is False:
            raise _no_fractions(metric, low, high)
        return Unit(metric, "unit", "units", 1.0, _digits(values), higher)
    if percent is False and high > 1:
        raise _no_fractions(metric, low, high)
    in_percent = percent if percent is not None else high > 1
    return Unit(metric, "point", "points", 1.0 if in_percent else 100.0, 1, higher)


def _no_fractions(metric: str, low: float, high: float) -> InputError:
    return InputError(
        f"--fraction: `{metric}` lies between {low:g} and {high:g}, so it is not a fraction; give --percent, or neither"
    )


def smallest_effect(given: float | None, unit: Unit) -> float:
    """Return the smallest effect of interest in the scale of the values; 0 if none is given for a metric in units."""
    if given is not None:
        return given / unit.scale
    return _SMALLEST_SHARE * 100 / unit.scale if unit.in_points else 0.0


def _words(metric: str) -> set[str]:
    """Return the words of a metric's name, also of `valAccuracy` and `testacc`."""
    apart = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", metric).lower()
    words = set(_WORDS.findall(apart)) | set(re.split(r"[^a-z0-9]+", apart))
    return words | {ending for ending in _SUFFIXED if any(word.endswith(ending) for word in words)}


def _digits(values: pd.Series) -> int:
    """Return the decimals that show three significant digits of the spread of the values."""
    spread = float(values.max() - values.min())
    if not spread > 0:
        return _SIGNIFICANT
    return int(np.clip(_SIGNIFICANT - 1 - np.floor(np.log10(spread)), 0, 8))


def _refuse_mixed_scales(metric: str, values: pd.Series, arms: pd.Series) -> None:
    """Refuse a share of which some groups of runs are in fractions and others in percent.

    A group is an arm in a condition. Single runs of a group are compared with the median of their group.
    """
    if not _words(metric) & _HIGHER or values.min() < 0 or values.max() > 100:
        return
    fraction = values <= 1
    if fraction.all() or not fraction.any():
        return
    highest = values[~fraction].median()
    ratio = highest / max(float(values[fraction].median()), 1e-9)
    shares = bool(_words(metric) & _SHARE)
    if not (20 <= ratio <= 2000 if shares else 50 <= ratio <= 200):
        return
    groups = short_list(dict.fromkeys(arms[fraction]), 3)
    in_percent, in_fractions = (number_of(int(each.sum()), "run") for each in (~fraction, fraction))
    raise InputError(
        f"`{metric}` seems to be in percent in {in_percent} (median {highest:g}) and in fractions in {in_fractions} "
        f"(median {values[fraction].median():g}; {groups}). Convert them to one scale, or "
        "state the scale of all of them with --percent or --fraction."
    )
