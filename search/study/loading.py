"""Loading of studies: files, packaged presets, and documents that are in memory."""

from __future__ import annotations

from importlib import resources
from itertools import takewhile
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from search.store.sqlite_uri import absolute_uri
from search.store.yaml_files import apply_override, check_text, parse_mapping, read_mapping
from search.study.data_levels import with_absolute_data, with_complete_data
from search.study.error_messages import explain
from search.study.factors import DATA
from search.study.schema import Study
from trainables.data.base import source_kind
from trainables.errors import InputError
from trainables.registration.registry import unknown


def presets() -> dict[str, str]:
    """Return the text of every preset by name.

    Examples:
        >>> list(presets())[:3]
        ['maxup_one_image', 'mixup_alpha', 'own_images']
    """
    folder = resources.files("search.study") / "presets"
    return {
        Path(entry.name).stem: entry.read_text(encoding="utf-8")
        for entry in sorted(folder.iterdir(), key=lambda entry: entry.name)
        if entry.name.endswith(".yaml")
    }


def parse_preset_summary(text: str) -> str:
    """Return the first paragraph of a preset's header.

    >>> parse_preset_summary("# Which of these helps: mixup,\\n#     or MaxUp?\\n#\\n# command    assay run it\\n")
    'Which of these helps: mixup, or MaxUp?'
    """
    lines = (line.removeprefix("#").strip() for line in text.splitlines())
    return " ".join(takewhile(bool, lines))


def load_study(source: str, overrides: tuple[str, ...] = ()) -> Study:
    """Load a study file or a preset.

    Args:
        source: path of a study file, or name of a preset.
        overrides: overrides of the form `a.b=value`, with the value in YAML.

    Raises:
        InputError: the file cannot be read or is invalid.

    Examples:
        >>> load_study("quickstart", ("confirm.seeds=9",)).confirm.seeds
        9
    """
    path = Path(source)
    if path.is_file():
        document, folder = read_mapping(path), path.absolute().parent
    elif source in presets():
        document, folder = parse_mapping(presets()[source], source), Path.cwd()
    elif path.suffix in {".yaml", ".yml"} or "/" in source:
        raise InputError(
            f"{source} does not exist. Give the path of a study file, or the name of a preset (`assay list studies`)."
        )
    else:
        raise InputError(unknown("study", source, list(presets())) + " Or give the path of a study file.")
    for override in overrides:
        apply_override(document, override)
    return validate(document, source, folder)


def validate(document: dict[str, Any], source: str, folder: Path) -> Study:
    """Return the study described by a mapping.

    Args:
        document: content of a study file.
        source: name of the file, for messages.
        folder: folder that relative paths of data and of a SQLite tracking store refer to.

    Raises:
        InputError: it is invalid; the message gives the key, the value and the allowed values.

    Examples:
        >>> study = validate({"data": "digits", "methods": ["baseline", "mixup"]}, "study.yaml", Path.cwd())
        >>> list(study.searched)
        ['learning_rate', 'weight_decay']
    """
    try:
        check_text(document)
    except ValueError as error:
        raise InputError(f"{source}: {error}") from None
    try:
        document = with_absolute_data(with_complete_data(document), folder)
    except (RuntimeError, ValueError) as error:
        raise InputError(f"{source}: data: not a valid path: {error}") from None
    tracking = document.get("tracking")
    if isinstance(tracking, dict) and isinstance(tracking.get("uri"), str):
        document = {**document, "tracking": {**tracking, "uri": absolute_uri(tracking["uri"], folder)}}
    try:
        return Study.model_validate(document).read_from(source)
    except ValidationError as error:
        raise InputError(explain(error, Study, source, {DATA: source_kind(document.get(DATA))})) from None
