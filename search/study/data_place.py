"""Place of a study's images: where they were when it began, where they are now, and `--data`, which names it again.

The images themselves must be the same: their fingerprint is compared when they are loaded.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from pydantic import ValidationError

from search.store.yaml_files import parse_value
from search.study.data_levels import name_of
from search.study.error_messages import explain
from search.study.factors import DATA
from trainables import records
from trainables.data import SOURCES, Source, with_absolute_paths
from trainables.data.base import path_fields, source_kind
from trainables.errors import InputError
from trainables.records import DataDecision
from trainables.registration.registry import unknown

if TYPE_CHECKING:
    from search.store.journal import Journal
    from search.study.schema import Study
    from trainables.records import JournalReader

ARCHIVE = ".npz"
Settings = dict[str, Any]


def relative_places(settings: Mapping[str, Any], folder: Path) -> dict[str, str]:
    """Return a source's paths relative to the study folder, by field.

    Args:
        settings: the source's settings, with absolute paths.
        folder: the study folder.
    """
    found = {}
    for field, path in _places(settings).items():
        try:
            found[field] = os.path.relpath(path, folder.resolve())
        except ValueError:  # on another drive
            continue
    return found


def relative_places_of(sources: Mapping[str, Source], folder: Path) -> dict[str, Any]:
    """Return the entries of the journal for the places of the data sets relative to the study folder.

    Args:
        sources: the sources by label; a single one has no label.
        folder: the study folder.
    """
    found = {label: relative_places(source.model_dump(mode="json"), folder) for label, source in sources.items()}
    only = found.pop("", {})
    return {records.META_DATA: only, **({records.META_DATA_SETS: found} if found else {})}


def recorded_settings(journal: JournalReader, first: Settings, folder: Path, label: str = "") -> Settings:
    """Return the settings of the source where the images are now, as far as the journal and the disk show.

    A path that does not exist any more is looked for at the same place relative to the study folder.

    Args:
        journal: the study's journal.
        first: the source's settings when the study began.
        folder: the study folder.
        label: which data set it is in a study on several.
    """
    later = _last_move(journal, label)
    settings = dict(later.source) if later else dict(first)
    relative = later.relative if later else _first_places(journal, label)
    for field, place in relative.items():
        here = Path(os.path.normpath(folder.resolve() / place))
        if isinstance(settings.get(field), str) and not Path(settings[field]).exists() and here.exists():
            settings[field] = str(here)
    return settings


def _last_move(journal: JournalReader, label: str) -> DataDecision | None:
    moves = [row.decision for row in journal.decisions(DataDecision) if row.decision.label == label]
    return moves[-1] if moves else None


def _first_places(journal: JournalReader, label: str) -> Mapping[str, str]:
    """Return the paths relative to the study folder, by field, that a data set had when the study began."""
    every = journal.meta(records.META_DATA_SETS) or {}
    return every.get(label, {}) if label else journal.meta(records.META_DATA) or {}


def find_source(journal: JournalReader, first: Source, folder: Path, asked: str | None, label: str = "") -> Source:
    """Return the source from which a study continues.

    Args:
        journal: the study's journal.
        first: the source when the study began.
        folder: the study folder.
        asked: the argument of `--data`, or None.
        label: which data set it is in a study on several.

    Raises:
        InputError: `asked` is not a source.
    """
    settings = recorded_settings(journal, first.model_dump(mode="json"), folder, label)
    return parse_source(settings if asked is None else moved_settings(asked, settings))


def find_sources(
    journal: JournalReader, first: Mapping[str, Source], folder: Path, asked: Sequence[str] = ()
) -> dict[str, Source]:
    """Return the sources from which a study continues, by label.

    Args:
        journal: the study's journal.
        first: the sources when the study began, by label.
        folder: the study folder.
        asked: the arguments of `--data` (see `asked_by_name`).

    Raises:
        InputError: an argument is not a source, or does not name the data set that it is for.
    """
    moved = asked_by_name(asked, list(first))
    return {
        label: find_source(journal, source, folder, moved.get(name_of(label)), label) for label, source in first.items()
    }


def asked_by_name(asked: Sequence[str], labels: Sequence[str]) -> dict[str, str]:
    """Return the arguments of `--data` by name of the data set.

    Args:
        asked: `NAME=PLACE` in a study on several data sets, a place in any other.
        labels: the data sets of the study.

    Raises:
        InputError: an argument has no name, an unknown one, or that of another argument.

    Examples:
        >>> asked_by_name(["toy=/new/toy.npz"], ["digits", "toy, image_size=16", "toy, image_size=32"])
        {'toy': '/new/toy.npz'}
        >>> asked_by_name(["/new/toy.npz"], ["image_size=16", "image_size=32"])
        {'': '/new/toy.npz'}
    """
    names = list(dict.fromkeys(map(name_of, labels)))
    found: dict[str, str] = {}
    for text in asked:
        name, _, place = ("", "", text) if names == [""] else text.partition("=")
        if name not in names or (name and not place):
            raise InputError(
                f"--data {text}: the study has several data sets; write `--data NAME=PATH` with one of: "
                f"{', '.join(names)}"
            )
        if name in found:
            raise InputError(f"--data {text}: {f'`{name}` is' if name else 'the data is'} given twice; remove one")
        found[name] = place
    return found


def parse_source(settings: Settings) -> Source:
    """Return the source that settings describe.

    Raises:
        InputError: they are invalid.
    """
    kind = source_kind(settings)
    if kind is None:
        raise InputError(f"--data: {unknown('data source', str(settings.get('source')), list(SOURCES))}")
    try:
        return kind.model_validate(settings)
    except ValidationError as error:
        raise InputError(explain(error, kind, "--data")) from None


def load_hint(sources: Mapping[str, Source]) -> str:
    """Return how to name the images again if a path of a source does not exist, or an empty text.

    Args:
        sources: the sources by label.
    """
    for label, source in sources.items():
        if not all(Path(path).exists() for path in _places(source.model_dump(mode="json")).values()):
            name = f"{shlex.quote(name_of(label))}=" if name_of(label) else ""
            return f" (if the data was moved, give its new place with `--data {name}PATH`)"
    return ""


def note_place(journal: Journal, first: Source, now: Source, folder: Path, label: str = "") -> str:
    """Record where the images are now, if that has changed; return a message about it, or an empty text."""
    later = _last_move(journal, label)
    before = later.source if later else first.model_dump(mode="json")
    settings = now.model_dump(mode="json")
    if settings == before:
        return ""
    journal.decide(DataDecision(source=settings, relative=relative_places(settings, folder), label=label))
    places = ", ".join(_places(settings).values()) or settings["source"]
    return f"{f'{label}: ' if label else ''}the images are those of the study, and are read from {places}"


def with_first_places(before: Study, after: Study) -> tuple[Study, dict[str, Source]]:
    """Return a study file with the paths of the study that it extends, and the sources that it has elsewhere.

    Args:
        before: the study.
        after: a study file that adds to it.

    Returns:
        The study file, and the sources as it has them, by name of the data set; a single one has no name.
    """
    old, new = _by_name(before), _by_name(after)
    moved = {
        name: source
        for name, source in new.items()
        if name in old and source != old[name] and _path_names(source) == _path_names(old[name])
    }
    first = {name: _with_paths_of(source, old[name]) for name, source in moved.items()}
    data = next((first[name] for name, source in moved.items() if source == after.data), after.data)
    levels = [
        level.model_copy(update={"values": {DATA: first[str(level.name)].model_dump(mode="json")}})
        if level.name in moved
        else level
        for level in after.conditions.get(DATA, ())
    ]
    conditions = {**after.conditions, **({DATA: levels} if levels else {})}
    return after.model_copy(update={"data": data, "conditions": conditions}), moved


def _by_name(study: Study) -> dict[str, Source]:
    levels = study.conditions.get(DATA)
    return {str(one.name): parse_source(one.values[DATA]) for one in levels} if levels else {"": study.data}


def moved_sources(sources: Mapping[str, Source], moved: Mapping[str, Source]) -> dict[str, Source]:
    """Return sources by label, with the paths of those that were moved, by name."""
    return {
        label: _with_paths_of(source, moved[name_of(label)]) if name_of(label) in moved else source
        for label, source in sources.items()
    }


def _path_names(source: Source) -> tuple[type[Source], list[str]]:
    return type(source), list(_places(source.model_dump(mode="json")))


def _with_paths_of(source: Source, other: Source) -> Source:
    """Return a source with the paths of another of the same kind."""
    return source.model_copy(update={field: getattr(other, field) for field in path_fields(type(source))})


def moved_settings(text: str, before: Settings) -> Settings:
    """Return the settings of the source that `--data` gives for images that were moved.

    Args:
        text: as in `source_settings`. A folder replaces the one that all paths of the source have in common.
        before: the source as it was.
    """
    places, path = _places(before), Path(text).expanduser()
    if before["source"] != "directory" and path.is_dir() and places:
        are_folders = before["source"] not in SOURCES  # of a reference: the folder of its module
        common = os.path.commonpath(
            [place if are_folders or field == "root" else Path(place).parent for field, place in places.items()]
        )
        moved = {field: path.resolve() / os.path.relpath(place, common) for field, place in places.items()}
        return {**before, **{field: os.path.normpath(place) for field, place in moved.items()}}
    return source_settings(text, before)


def source_settings(text: str, before: Settings) -> Settings:
    """Return the settings of the data source that `--data` specifies.

    Args:
        text: a path, the name of a source, or a source as YAML.
        before: the data source of the recipe; its settings are kept if a path is of the same kind of source.

    Raises:
        InputError: the text is none of these.
    """
    path = Path(text).expanduser()
    if path.is_dir() or path.suffix == ARCHIVE:
        kind = "directory" if path.is_dir() else "npz"
        kept = before if before["source"] == kind else {"mirror_keeps_class": before["mirror_keeps_class"]}
        return {**kept, "source": kind, "path": str(path.resolve())}
    if text in SOURCES or (":" in text and " " not in text):
        return {"source": text}
    try:
        written = parse_value(text)
    except yaml.YAMLError:
        written = None
    if isinstance(written, dict):
        return with_absolute_paths(written, Path.cwd())
    if "/" in text or path.suffix:
        raise InputError(
            f"--data {text}: there is no such file or folder; give a .npz file or a folder with one folder per class"
        )
    raise InputError(
        f"--data: {unknown('data source', text, list(SOURCES))} You can also give a .npz file or a folder."
    )


def _places(settings: Mapping[str, Any]) -> dict[str, str]:
    """Return the paths among a source's settings, by field."""
    kind = source_kind(dict(settings))
    fields = path_fields(kind) if kind else []
    return {field: settings[field] for field in fields if isinstance(settings.get(field), str)}
