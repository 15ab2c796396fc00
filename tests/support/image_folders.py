"""Small image folders and lists."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from trainables.data import SOURCES, Dataset


def write(path: Path, seed: int = 0, size: tuple[int, int] = (6, 5), mode: str = "RGB") -> np.ndarray:
    """Write a random image of (height, width) and return its pixels."""
    shape = size if mode == "L" else (*size, 3)
    pixels = np.random.default_rng(seed).integers(0, 256, shape, dtype="uint8")
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return pixels


def folder(root: Path, parts: tuple[str, ...] = ("",), n: int = 5, classes: tuple[str, ...] = ("cat", "dog")) -> Path:
    for p, part in enumerate(parts):
        for c, name in enumerate(classes):
            for i in range(n):
                write(root / part / name / f"{i}.png", seed=100 * p + 10 * c + i)
    return root


def load(path: Path, source: str = "directory", **settings: Any) -> Dataset:
    key = "train" if source == "lists" else "path"
    return SOURCES.get(source).model_validate({"source": source, key: str(path), **settings}).load()


def lists(root: Path, **texts: str) -> dict[str, str]:
    folder(root)
    for name, text in texts.items():
        (root / f"{name}.txt").write_text(text)
    return {name: str(root / f"{name}.txt") for name in texts}
