"""Contact sheets: a PNG that shows how augmentations and methods change images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from trainables.augmentation import Policy, policy_apply
from trainables.errors import InputError
from trainables.randomness import stream
from trainables.records.atomic import atomic_file
from trainables.records.marks import PICTURE_MARK, is_marked

if TYPE_CHECKING:
    from trainables.config import RunConfig

COLUMNS = 10
"""Images per row."""
SIDE = 72
"""Minimum length of an image's longer side on the sheet, in pixels."""
LABEL_WIDTH, GAP = 190, 4
PAPER, INK = (255, 255, 255), (30, 30, 30)


def sample_images(count: int = COLUMNS, side: int = 64) -> np.ndarray:
    """Return crops of the two photographs that scikit-learn contains, uint8 (count, side, side, 3)."""
    from PIL import Image
    from sklearn.datasets import load_sample_images

    photographs = load_sample_images().images
    rng = np.random.default_rng(7)
    made = []
    for number in range(count):
        photograph = photographs[number % len(photographs)]
        width = int(rng.integers(150, 300))
        top, left = (int(rng.integers(0, size - width)) for size in photograph.shape[:2])
        part = Image.fromarray(photograph[top : top + width, left : left + width])
        made.append(np.asarray(part.resize((side, side), Image.Resampling.BILINEAR)))
    return np.stack(made)


def augmentation_rows(images: np.ndarray, policies: Mapping[str, Policy], seed: int = 0) -> dict[str, np.ndarray]:
    """Return one row per policy: half of it shows the same image, augmented repeatedly, the other half different ones.

    Args:
        images: uint8 (n, height, width, channels), at least `COLUMNS`.
        policies: policies by the label of their row.
        seed: seed of the draws.

    Returns:
        rows by label, each (`COLUMNS`, height, width, channels); the first row shows the images unchanged.
    """
    half = COLUMNS // 2
    shown = np.concatenate([np.repeat(images[:1], half, axis=0), images[1 : COLUMNS - half + 1]])
    rows = {"(as they are)": shown}
    for label, policy in policies.items():
        draws = policy.draw(stream(seed, "augment"), len(shown), shown.shape[1:])
        rows[label] = np.asarray(policy_apply(policy.name)(shown, draws))
    return rows


def method_rows(images: np.ndarray, labels: np.ndarray, configs: Mapping[str, RunConfig]) -> dict[str, np.ndarray]:
    """Return one row per run: images as its method trains on them, in an epoch in which the method is on.

    For a method with copies, the copies of an image follow each other; the run trains on the worst of them or on all.

    Args:
        images: uint8 (n, height, width, channels).
        labels: int32 (n,).
        configs: configurations by the label of their row.

    Returns:
        rows by label, each (at most `COLUMNS`, height, width, channels); the first row shows the images unchanged.
    """
    return {"(as they are)": images[:COLUMNS]} | {
        label: _method_row(images, labels, config) for label, config in configs.items()
    }


def _method_row(images: np.ndarray, labels: np.ndarray, config: RunConfig) -> np.ndarray:
    from keras import ops

    from trainables.data.statistics import channel_statistics
    from trainables.engine.batches import draw_batches

    epoch = next((each for each in range(config.epochs) if config.method_on(each)), 0)
    batch = len(images)
    drawn = draw_batches(config, np.arange(len(images)), images.shape[1:], batch, epoch, epoch)
    index = drawn["index"][0]
    flat = {name: value[0].reshape(-1, *value.shape[4:]) for name, value in drawn["augmentation"].items()}
    made = np.asarray(policy_apply(config.augmentation.name)(images[index.ravel()], flat), dtype="float32")
    mean, deviation = channel_statistics(images)
    pool = (index.shape[0], index.shape[1] * index.shape[2])
    normalised = ((made - mean) / deviation).reshape(*pool, *images.shape[1:])
    targets = np.eye(int(labels.max()) + 1, dtype="float32")[labels[index]].reshape(*pool, -1)
    draws = {name: value[0] for name, value in drawn["method"].items()}
    trained, _ = config.method.apply(normalised, targets, draws)
    result = ops.convert_to_numpy(trained) * deviation + mean
    back = np.argsort(index[0, 0], kind="stable")
    by_image = result.swapaxes(0, 1)[back]
    return by_image.reshape(-1, *images.shape[1:])[:COLUMNS]


def write_sheet(path: Path, rows: Mapping[str, np.ndarray]) -> None:
    """Write rows of images with their labels as a PNG.

    Args:
        path: the file to write.
        rows: images by label, uint8 or float (k, height, width, channels) with values from 0 to 255.

    Raises:
        InputError: the file cannot be written, or would replace another one than an earlier sheet.

    Examples:
        >>> images = np.zeros((3, 8, 8, 1), "uint8")
        >>> write_sheet(Path("sheet.png"), {"as they are": images})
        >>> Path("sheet.png").stat().st_size > 0
        True
    """
    from PIL import Image, ImageDraw
    from PIL.PngImagePlugin import PngInfo

    refuse_other_file(path)
    sizes = [_shown_size(*row.shape[1:3]) for row in rows.values()]
    across = max(len(row) * (width + GAP) for row, (_, width) in zip(rows.values(), sizes, strict=True))
    sheet = Image.new("RGB", (LABEL_WIDTH + across, GAP + sum(height + GAP for height, _ in sizes)), PAPER)
    pen = ImageDraw.Draw(sheet)
    top = GAP
    for (label, row), (height, width) in zip(rows.items(), sizes, strict=True):
        pen.text((GAP, top + height // 2 - 6), _broken(label), INK)
        for place, image in enumerate(row):
            tile = Image.fromarray(_colour(image)).resize((width, height), Image.Resampling.NEAREST)
            sheet.paste(tile, (LABEL_WIDTH + place * (width + GAP), top))
        top += height + GAP
    about = PngInfo()
    about.add_text("Software", "Assay")
    try:
        with atomic_file(path) as unfinished:
            sheet.save(unfinished, format="PNG", pnginfo=about)
    except OSError as error:
        raise InputError(f"the contact sheet cannot be written to {path}: {error}") from None


def refuse_other_file(path: Path) -> None:
    """Refuse to write a contact sheet where there is no folder, or to replace a file that is not an earlier sheet.

    Raises:
        InputError: that is so, or the file cannot be read.
    """
    if not path.parent.is_dir():
        raise InputError(f"the contact sheet cannot be written to {path}: there is no folder {path.parent}")
    try:
        is_free = not path.exists() or is_marked(path, PICTURE_MARK)
    except OSError as error:
        raise InputError(f"the contact sheet cannot be written to {path}: {error}") from None
    if not is_free:
        raise InputError(f"{path} exists and is not a contact sheet of Assay; choose another file, such as `sheet.png`")


def _shown_size(height: int, width: int) -> tuple[int, int]:
    """Return the size in which an image is shown: whole multiples of its own, so that its pixels stay square."""
    scale = max(1, -(-SIDE // max(height, width)))
    return height * scale, width * scale


def _colour(image: np.ndarray) -> np.ndarray:
    pixels = np.clip(np.rint(np.asarray(image, dtype="float32")), 0, 255).astype("uint8")
    return np.repeat(pixels, 3, axis=2) if pixels.shape[2] == 1 else pixels


def _broken(label: str, most: int = 30) -> str:
    """Return a label with line breaks after at most `most` characters, where it has spaces or plus signs."""
    lines: list[str] = [""]
    words: Sequence[str] = label.replace("+", "+ ").split(" ")
    for word in words:
        if lines[-1] and len(lines[-1]) + len(word) > most:
            lines.append("")
        lines[-1] += word if word.endswith("+") else f"{word} "
    return "\n".join(line.rstrip() for line in lines)
