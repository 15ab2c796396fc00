"""Data validation: refuses data that a study or a final training cannot use, before any run starts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from search.monitor.messages import warn
from search.plan.model import Plan
from trainables.backends.keras_settings import check_keras_settings
from trainables.data.text import listed
from trainables.errors import InputError
from trainables.records import DataFacts
from trainables.registration.plugins import check_allowed

if TYPE_CHECKING:
    from trainables.config import RunConfig
    from trainables.data import Dataset, Source
    from trainables.data.selection import Selection


ORDER_HINT = (
    "If a function of yours takes them from a set, sort them: the order of a set depends on PYTHONHASHSEED and changes "
    "with each start of Python"
)


def check_data(plan: Plan, source: Source | None = None) -> Dataset:
    """Load the data of a study, check models and splits on it, and print warnings about it.

    Settings with which Keras cannot start are refused, too.

    Args:
        plan: the plan.
        source: where the data is now, if that is another place than the plan's.

    Raises:
        InputError: the data is invalid, or does not fit a model or a split.
    """
    from trainables.data.checks import inspect

    check_keras_settings()
    for arm in plan.arms:
        check_code(plan.run_config(arm, {}, *plan.search_seeds(0)))
    data = (source or plan.study.data).load()
    chosen = selections(plan, data)
    for arm in plan.arms:
        config = plan.run_config(arm, {}, *plan.search_seeds(0))
        config.model.check(data.images.shape[1:], chosen[arm.condition.name].classes)
    for line in inspect(data, chosen).warnings:
        warn(line)
    return data


def check_code(config: RunConfig) -> None:
    """Refuse a configuration whose data or network is code that the user did not allow; nothing is imported.

    Raises:
        InputError: the code is not allowed.
    """
    for what, name in (("data source", config.data.model_dump()["source"]), ("model", config.model.name)):
        if ":" in name:
            check_allowed(name, what)


def selections(plan: Plan, data: Dataset) -> dict[str, Selection]:
    """Return the images that each condition uses, in the split of the search.

    Raises:
        InputError: a split is impossible.
    """
    from trainables.data.selection import select

    arrays, first = data.arrays(), {arm.condition.name: arm for arm in reversed(plan.arms)}
    configs = {name: plan.run_config(arm, {}, *plan.search_seeds(0)) for name, arm in first.items()}
    return {
        condition.name: select(arrays, configs[condition.name], len(data.class_names)) for condition in plan.conditions
    }


def check_on_data(config: RunConfig, data: Dataset) -> None:
    """Refuse a model or a split that does not fit the images.

    Raises:
        InputError: the model or the split does not fit.
    """
    from trainables.data.selection import select

    chosen = select(data.arrays(), config, len(data.class_names))
    config.model.check(data.images.shape[1:], chosen.classes)


def refuse_changed(data: Dataset | None, before: DataFacts | None, since: str) -> None:
    """Refuse data that has changed.

    Args:
        data: the current data, or None in a replay.
        before: the data as it was recorded, or None.
        since: when it was recorded, for the message.

    Raises:
        InputError: the fingerprints differ.
    """
    if data and before and data.fingerprint != before.fingerprint:
        raise InputError(
            f"the data has changed since {since} (its fingerprint is {data.fingerprint[:12]}, and was "
            f"{before.fingerprint[:12]}){_difference(data, before)}; restore the old data, or start again elsewhere"
        )


def _difference(data: Dataset, before: DataFacts) -> str:
    """Return what differs between data and what was recorded of it, as far as that is known, as part of a sentence."""
    if before.class_names and data.class_names != before.class_names:
        if sorted(data.class_names) == sorted(before.class_names):
            return f": the classes are the same, but in another order. {ORDER_HINT}"
        return f": the classes were {listed(before.class_names)}, and are {listed(data.class_names)}"
    for what, now, then in (
        ("image(s) for training and validation", len(data.images), before.images),
        ("test image(s)", len(data.test_images), before.test_images),
    ):
        if then and now != then:
            return f": there were {then} {what}, and are {now}"
    return ""
