"""Data validation: refuses data that a study or a final training cannot use, before any run starts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from search.monitor.messages import warn
from search.plan.model import Plan
from search.study.error_messages import prefixed_errors
from spaces.design import corners
from trainables.backends.keras_settings import check_keras_settings
from trainables.data.text import listed
from trainables.errors import InputError
from trainables.records import DataFacts
from trainables.registration.plugins import check_allowed

if TYPE_CHECKING:
    from trainables.config import RunConfig
    from trainables.data import Dataset, Source
    from trainables.data.checks import DataReport
    from trainables.data.selection import Selection


ORDER_HINT = (
    "If a function of yours takes them from a set, sort them: the order of a set depends on PYTHONHASHSEED and changes "
    "with each start of Python"
)


def check_data(plan: Plan, sources: Mapping[str, Source] | None = None) -> dict[str, Dataset]:
    """Load the data of a study, check models and splits on it, and print warnings about it.

    Settings with which Keras cannot start are also refused.

    Args:
        plan: the plan.
        sources: where each data set is now, by label, if that is another place than the plan's.

    Returns:
        The data sets by label (see `Plan.sources`).

    Raises:
        InputError: a data set is invalid, does not fit a model or a split, or is the same as another.
    """
    check_keras_settings()
    for arm in plan.arms:
        check_code(plan.run_config(arm, {}, *plan.search_seeds(0)))
    data = load_data_sets(sources or plan.sources)
    chosen = selections(plan, data)
    for arm in plan.arms:
        config, label = plan.run_config(arm, {}, *plan.search_seeds(0)), arm.condition.data
        with prefixed_errors(label):
            config.model.check(data[label].images.shape[1:], chosen[arm.condition.name].classes)
    names = tuple(condition.name for condition in plan.conditions)
    for label, report in inspected(plan, data, chosen).items():
        for line in report.warnings:
            warn(f"{label}: {line}" if label and not line.startswith(names) else line)
    return data


def load_data_sets(sources: Mapping[str, Source]) -> dict[str, Dataset]:
    """Load data sets.

    Args:
        sources: the sources by label.

    Raises:
        InputError: one of them is invalid, or two have the same images.
    """
    found: dict[str, Dataset] = {}
    for label, source in sources.items():
        with prefixed_errors(label):
            found[label] = source.load()
    seen: dict[str, str] = {}
    for label, data in found.items():
        same = seen.setdefault(data.fingerprint, label) if len(found) > 1 else label
        if same != label:
            raise InputError(f"conditions: `{same}` and `{label}` have the same images and labels; remove one")
    return found


def inspected(plan: Plan, data: Mapping[str, Dataset], chosen: Mapping[str, Selection]) -> dict[str, DataReport]:
    """Return a report on each data set of a study, by label.

    Args:
        plan: the plan.
        data: the data sets by label.
        chosen: the images that each condition uses.
    """
    from trainables.data.checks import inspect

    reports = {}
    for label, found in data.items():
        own = {one.name: chosen[one.name] for one in plan.conditions if one.data == label}
        report = inspect(found, own)
        reports[label] = replace(report, warnings=(*report.warnings, *_large_batches(plan, own)))
    return reports


def _large_batches(plan: Plan, chosen: Mapping[str, Selection]) -> list[str]:
    """Return warnings about batch sizes that exceed the number of training images."""
    found: dict[str, list[str]] = {}
    for name, selection in chosen.items():
        arm, images = plan.in_condition(name)[0], len(selection.train)
        sizes = [plan.run_config(arm, values, *plan.search_seeds(0)).batch_size for values in corners(plan.nuisance)]
        if max(sizes) > images:
            size = f"{'up to ' if min(sizes) < max(sizes) else ''}{max(sizes)}"
            line = f"`batch_size` ({size}) is above the number of training images, {images}: a batch has all of them"
            found.setdefault(line, []).append(name)
    return [f"{listed(names)}: {line}" for line, names in found.items()]


def check_code(config: RunConfig) -> None:
    """Refuse a configuration whose data or network is code that the user did not allow; nothing is imported.

    Raises:
        InputError: the code is not allowed.
    """
    for what, name in (("data source", config.data.model_dump()["source"]), ("model", config.model.name)):
        if ":" in name:
            check_allowed(name, what)


def selections(plan: Plan, data: Mapping[str, Dataset]) -> dict[str, Selection]:
    """Return the images that each condition uses, in the split of the search.

    Args:
        plan: the plan.
        data: its data sets by label.

    Raises:
        InputError: a split is impossible.
    """
    from trainables.data.selection import select

    first = {arm.condition.name: arm for arm in reversed(plan.arms)}
    configs = {name: plan.run_config(arm, {}, *plan.search_seeds(0)) for name, arm in first.items()}
    found: dict[str, Selection] = {}
    for condition in plan.conditions:
        own = data[condition.data]
        with prefixed_errors(condition.data):
            found[condition.name] = select(own.arrays(), configs[condition.name], len(own.class_names))
    return found


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
            f"{before.fingerprint[:12]}){_difference(data, before)}; restore the original data, or start a new "
            "study in another folder (`--output`)"
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
