"""Place of a study's images: where they were when it began, where they are now, and `--data`, which names it again.

The images themselves must be the same: whoever loads them compares their fingerprint.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from pydantic import ValidationError

from search.store.yaml_files import parse_value
from search.study.error_messages import explain
from trainables import records
from trainables.data import SOURCES, Source, with_absolute_paths
from trainables.data.base import path_fields, source_kind
from trainables.errors import InputError
from trainables.records import DataDecision
from trainables.registration.registry import unknown

if TYPE_CHECKING:
    from search.store.journal import Journal
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


def recorded_settings(journal: JournalReader, first: Settings, folder: Path) -> Settings:
    """Return the settings of the source where the images are now, as far as the journal and the disk tell.

    A path that does not exist any more is looked for at the same place relative to the study folder.

    Args:
        journal: the study's journal.
        first: the source's settings when the study began.
        folder: the study folder.
    """
    later = journal.decisions(DataDecision)
    settings = dict(later[-1].decision.source) if later else dict(first)
    relative = later[-1].decision.relative if later else journal.meta(records.META_DATA) or {}
    for field, place in relative.items():
        here = Path(os.path.normpath(folder.resolve() / place))
        if isinstance(settings.get(field), str) and not Path(settings[field]).exists() and here.exists():
            settings[field] = str(here)
    return settings


def find_source(journal: JournalReader, first: Source, folder: Path, asked: str | None) -> Source:
    """Return the source from which a study continues.

    Args:
        journal: the study's journal.
        first: the source when the study began.
        folder: the study folder.
        asked: the argument of `--data`, or None.

    Raises:
        InputError: `asked` is no source.
    """
    settings = recorded_settings(journal, first.model_dump(mode="json"), folder)
    return parse_source(settings if asked is None else moved_settings(asked, settings))


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


def load_hint(source: Source) -> str:
    """Return how to name the images again if one of a source's paths does not exist, or an empty text."""
    missing = [path for path in _places(source.model_dump(mode="json")).values() if not Path(path).exists()]
    return " (if the data was moved, give its new place with `--data PATH`)" if missing else ""


def note_place(journal: Journal, first: Source, now: Source, folder: Path) -> str:
    """Record where the images are now, if that has changed; return a message about it, or an empty text."""
    later = journal.decisions(DataDecision)
    before = later[-1].decision.source if later else first.model_dump(mode="json")
    settings = now.model_dump(mode="json")
    if settings == before:
        return ""
    journal.decide(DataDecision(source=settings, relative=relative_places(settings, folder)))
    places = ", ".join(_places(settings).values()) or settings["source"]
    return f"the images are those of the study, and are read from {places}"


def differs_in_place_only(one: Source, other: Source) -> bool:
    """Return whether two sources are the same but for their paths."""
    documents = [source.model_dump(mode="json") for source in (one, other)]
    rest = [{key: value for key, value in each.items() if key not in _places(each)} for each in documents]
    return rest[0] == rest[1]


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
