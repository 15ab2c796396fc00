"""Data levels: several data sets in one study, or one at several sizes, as the conditions `data` and `image_size`.

Each data set of such a study has a label: the name of its level of `data`, its `image_size`, or both.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from search.study.error_messages import explain
from search.study.factors import DATA, IMAGE_SIZE, NAME, Level
from trainables.config import AnySource
from trainables.data import SOURCES, Source, with_absolute_paths
from trainables.data.base import source_kind
from trainables.data.resizing import ResizableSource, Size
from trainables.registration.registry import unknown

SIZE_MARK = f"{IMAGE_SIZE}="
SEPARATORS = (",", "=")
"""Characters that end a data set's name in a label, or in `--data NAME=PATH`."""
MOST = 60
"""Longest name of a level, in characters."""
_SOURCE: TypeAdapter[Source] = TypeAdapter(AnySource)
_SIZE: TypeAdapter[int | tuple[int, int]] = TypeAdapter(Size)


def with_complete_data(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return a study file in which every level of `conditions.data` has its settings, and `data` is one of them.

    The name of a source stands for the study's own `data` if that has the same source. Without `data`, the first level
    takes its place. Errors are left to validation.

    Args:
        document: content of a study file.

    Examples:
        >>> with_complete_data({"conditions": {"data": ["digits", {"as": "toy", "source": "npz", "path": "toy.npz"}]}})
        {'conditions': {'data': [{'as': 'digits', 'source': 'digits'}, ...]}, 'data': {'source': 'digits'}}
    """
    conditions, own = document.get("conditions"), _settings(document.get(DATA))
    written = conditions.get(DATA) if isinstance(conditions, Mapping) else None
    if not isinstance(conditions, Mapping) or not isinstance(written, list) or not written:
        return dict(document)
    levels = [_complete(level, own) for level in written]
    first = own or {key: value for key, value in (_settings(levels[0]) or {}).items() if key != NAME}
    return {**document, "conditions": {**conditions, DATA: levels}, DATA: document.get(DATA) or first}


def with_absolute_data(document: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """Return a study file in which the paths of all data sets are absolute.

    Args:
        document: content of a study file, with complete data.
        folder: folder that relative paths refer to.

    Raises:
        RuntimeError, ValueError: a path is not valid.
    """
    made, data, conditions = dict(document), document.get(DATA), document.get("conditions")
    if isinstance(data, str):
        data = {"source": data}
    if isinstance(data, dict):
        made[DATA] = with_absolute_paths(data, folder)
    levels = conditions.get(DATA) if isinstance(conditions, Mapping) else None
    if isinstance(conditions, Mapping) and isinstance(levels, list):
        absolute = [with_absolute_paths(level, folder) if isinstance(level, dict) else level for level in levels]
        made["conditions"] = {**conditions, DATA: absolute}
    return made


def _settings(written: Any) -> dict[str, Any] | None:
    """Return the settings of a source in any form in which it may be given, or None."""
    if isinstance(written, Source):
        return written.model_dump(mode="json")
    if isinstance(written, Level):
        return dict(written.values[DATA])
    if isinstance(written, str):
        return {"source": written}
    return dict(written) if isinstance(written, Mapping) else None


def _complete(level: Any, own: Mapping[str, Any] | None) -> Any:
    if not isinstance(level, str):
        return level
    return {NAME: level, **(own if own and own.get("source") == level else {"source": level})}


def parse_data_level(place: str, written: Any) -> Level:
    """Return a level of `conditions.data`.

    Args:
        place: its place in the study file, for messages.
        written: `{as: NAME, source: SOURCE, ...}`.

    Raises:
        ValueError: it has no name, or is not a valid source.

    Examples:
        >>> parse_data_level("conditions.data", {"as": "small", "source": "digits"}).values
        {'data': {'mirror_keeps_class': False, 'source': 'digits'}}
    """
    if isinstance(written, Level):
        return written
    settings = dict(written) if isinstance(written, Mapping) else {}
    name = settings.pop(NAME, None)
    if not isinstance(name, str) or not name.strip() or len(name) > MOST or any(mark in name for mark in SEPARATORS):
        raise ValueError(
            f"{place}: a level must be the name of a data source, or a source with settings and a name of at most "
            f"{MOST} characters without comma and equals sign, {{{NAME}: NAME, source: npz, path: ...}}, but got "
            f"{written!r:.200}"
        )
    kind = source_kind(settings)
    if "source" not in settings:
        raise ValueError(f"{place}: {name}: `source` is missing; choose from: {', '.join(SOURCES)}")
    if kind is None:
        raise ValueError(f"{place}: {name}: {unknown('data source', str(settings.get('source')), list(SOURCES))}")
    try:
        return Level(name=name, values={DATA: kind.model_validate(settings).model_dump(mode="json")})
    except ValidationError as error:
        raise ValueError(explain(error, kind, f"{place}: {name}")) from None


def check_data_levels(data: Source, conditions: Mapping[str, Sequence[Level]]) -> None:
    """Refuse levels of `data` and `image_size` that are ambiguous, or that a source cannot have.

    Args:
        data: the study's own data.
        conditions: levels by factor.

    Raises:
        ValueError: there is such a level; the message names it.
    """
    levels = conditions.get(DATA, ())
    seen: dict[str, Any] = {}
    for level in levels:
        same = next((name for name, settings in seen.items() if settings == level.values[DATA]), None)
        if same is not None:
            raise ValueError(f"conditions.{DATA}: `{same}` and `{level.name}` are the same data; remove one")
        seen[str(level.name)] = level.values[DATA]
    if levels and data.model_dump(mode="json") not in seen.values():
        raise ValueError(
            f"`{DATA}` is not one of the levels of conditions.{DATA}, {', '.join(seen)}, so no run would use it; "
            f"remove `{DATA}`, or list it there"
        )
    sources = {f"`{name}`": _SOURCE.validate_python(settings) for name, settings in seen.items()} or {f"`{DATA}`": data}
    for factor, options in conditions.items():
        sized = [level for level in options if IMAGE_SIZE in level.values]
        if sized and len(sized) < len(options):
            missing = next(level.name for level in options if level not in sized)
            raise ValueError(f"conditions.{factor}: `{missing}` sets no `{IMAGE_SIZE}`, but other levels do; add it")
        for level in sized:
            _check_size(f"conditions.{factor}", level.values[IMAGE_SIZE], sources)


def _check_size(place: str, size: Any, sources: Mapping[str, Source]) -> None:
    try:
        _SIZE.validate_python(size, strict=not isinstance(size, list | tuple))
    except ValidationError:
        raise ValueError(
            f"{place}: {IMAGE_SIZE} must be a whole number of pixels from 1 to 4096, or [height, width], but got "
            f"{size!r:.80}"
        ) from None
    for name, source in sources.items():
        if not isinstance(source, ResizableSource):
            able = [kind for kind in SOURCES if issubclass(SOURCES.get(kind), ResizableSource)]
            raise ValueError(
                f"{place}: {IMAGE_SIZE} {size}: the images of {name} (source `{source.model_dump()['source']}`) cannot "
                f"be resized; those of {', '.join(able)} can"
            )
        if source.size is not None:
            raise ValueError(
                f"{place}: the size of the images is also set in {name}, `size: {source.size}`; remove one of the two"
            )


def data_of_levels(data: Source, levels: Mapping[str, Level]) -> tuple[str, Source]:
    """Return label and source of the data set of a condition; the label is empty if the study has one data set only.

    Args:
        data: the study's own data.
        levels: level of each factor, checked before.

    Examples:
        >>> npz = {"source": "npz", "path": "/toy.npz"}
        >>> level = parse_data_level("conditions.data", {"as": "toy", **npz})
        >>> levels = {"data": level, "image_size": Level(name=32, values={"image_size": 32})}
        >>> label, source = data_of_levels(_SOURCE.validate_python("digits"), levels)
        >>> label, source.size
        ('toy, image_size=32', 32)
    """
    settings = levels[DATA].values[DATA] if DATA in levels else data.model_dump(mode="json")
    size = next((level.values[IMAGE_SIZE] for level in levels.values() if IMAGE_SIZE in level.values), None)
    words = [str(levels[DATA].name)] if DATA in levels else []
    if size is not None:
        settings = {**settings, "size": size}
        words.append(SIZE_MARK + (str(size) if isinstance(size, int) else "x".join(map(str, size))))
    return ", ".join(words), _SOURCE.validate_python(settings) if words else data


def name_of(label: str) -> str:
    """Return the name of a data set without its image size; data sets with one name have one place.

    Examples:
        >>> name_of("cifar, image_size=32"), name_of("cifar"), name_of("image_size=32")
        ('cifar', 'cifar', '')
    """
    name = label.partition(",")[0]
    return "" if name.startswith(SIZE_MARK) else name
