"""Verdict records: verdicts as flat rows with unrounded numbers, for CSV and JSON."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from reports.inference.verdicts import Effect, Verdict
from reports.statistics.estimators import Interval
from trainables.records import Unit


def verdict_records(verdicts: Sequence[Verdict]) -> list[dict[str, Any]]:
    """Return one record per verdict. Effects are in the unit that the record names."""
    return [_record(verdict, verdict.unit) for verdict in verdicts]


def _record(verdict: Verdict, unit: Unit) -> dict[str, Any]:
    better, needed = verdict.improvement, verdict.seeds_needed
    return {
        "condition": verdict.condition,
        "method": verdict.method,
        "reference": verdict.reference,
        "verdict": verdict.verdict,
        "on_this_test_set": verdict.on_this_test_set,
        "for_these_searches": verdict.for_these_searches,
        "provisional": verdict.provisional,
        "look": verdict.look,
        "family": verdict.family,
        "seeds": verdict.seeds,
        "planned_seeds": verdict.planned_seeds,
        "searches": verdict.searches,
        "metric": verdict.metric,
        "value": verdict.value,
        "reference_value": verdict.reference_value,
        "unit": unit.many,
        **effect_record("tuned", verdict.tuned, unit),
        "official_effect": unit.scale * verdict.official.mean if verdict.official else None,
        **interval_record("official", verdict.official.interval if verdict.official else None, unit),
        **interval_record("tuned_images", verdict.images, unit),
        **interval_record("tuned_searches", verdict.other_searches, unit),
        **effect_record("matched", verdict.matched, unit),
        "sign_flip_p": verdict.sign_flip_p,
        "correlation": verdict.correlation,
        "equivalence_p": verdict.equivalence_p,
        "equivalence_p_adjusted": verdict.equivalence_p_adjusted,
        "better": better.share if better else None,
        "better_low": better.interval.low if better else None,
        "better_high": better.interval.high if better else None,
        "seeds_needed_low": needed.low if needed else None,
        "seeds_needed_high": needed.high if needed else None,
        "notes": " ".join(verdict.notes),
    }


def effect_record(name: str, found: Effect | None, unit: Unit) -> dict[str, float | None]:
    """Return an effect as columns: NAME_effect, NAME_low, NAME_high, NAME_bca_low and so on."""
    return {
        f"{name}_effect": unit.scale * found.mean if found else None,
        **interval_record(name, found.interval if found else None, unit),
        **interval_record(f"{name}_bca", found.bca if found else None, unit),
        f"{name}_p": found.p if found else None,
        f"{name}_p_adjusted": found.p_adjusted if found else None,
    }


def interval_record(name: str, found: Interval | None, unit: Unit) -> dict[str, float | None]:
    """Return an interval as columns.

    >>> from trainables.records import POINTS
    >>> interval_record("tuned", Interval(-0.01, 0.03), POINTS)
    {'tuned_low': -1.0, 'tuned_high': 3.0}
    """
    return {
        f"{name}_low": unit.scale * found.low if found else None,
        f"{name}_high": unit.scale * found.high if found else None,
    }
