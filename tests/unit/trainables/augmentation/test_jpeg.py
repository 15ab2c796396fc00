"""JPEG noise against its definition and Pillow."""

from __future__ import annotations

import io
import itertools

import numpy as np
import pytest
from PIL import Image

from tests.unit.trainables.augmentation.oracles import SHAPES, augmented, images
from trainables.augmentation import jpeg
from trainables.augmentation.jpeg import quantisation_steps

STEPS_AT_50 = {"luminance": jpeg.LUMINANCE, "chrominance": jpeg.CHROMINANCE}


def pillow_tables(quality: int) -> dict[str, np.ndarray]:
    """Return the quantisation tables that Pillow writes."""
    file = io.BytesIO()
    Image.fromarray(images(1, (8, 8, 3))[0]).save(file, "JPEG", quality=quality, subsampling=0)
    with Image.open(file) as opened:
        tables: dict[int, list[int]] = vars(opened)["quantization"]
        return dict(zip(STEPS_AT_50, (np.array(table).reshape(8, 8) for table in tables.values()), strict=True))


def pillow_jpeg(image: np.ndarray, quality: int) -> np.ndarray:
    """Return an image after Pillow's JPEG without chroma subsampling."""
    file = io.BytesIO()
    grey = image.shape[2] == 1
    Image.fromarray(image[..., 0] if grey else image).save(file, "JPEG", quality=quality, subsampling=0)
    with Image.open(file) as opened:
        return np.asarray(opened, dtype="float64").reshape(image.shape)


def coded_block(block: np.ndarray, steps: np.ndarray) -> np.ndarray:
    """Return a block of 8 x 8 whole numbers after coding, from the definition, in float64."""
    wave = np.array([[np.cos((2 * x + 1) * u * np.pi / 16) for x in range(8)] for u in range(8)])
    scale = np.array([8**-0.5] + [0.5] * 7)
    found, kept = np.zeros((8, 8)), np.zeros((8, 8))
    for u, v in np.ndindex(8, 8):
        coefficient = scale[u] * scale[v] * ((block - 128) * np.outer(wave[u], wave[v])).sum()
        eighths = round(8 * coefficient)
        kept[u, v] = np.sign(eighths) * ((2 * abs(eighths) + 8 * int(steps[u, v])) // (16 * int(steps[u, v])))
    for u, v in np.ndindex(8, 8):
        found += scale[u] * scale[v] * kept[u, v] * steps[u, v] * np.outer(wave[u], wave[v])
    return np.clip(np.floor(np.round(found, 6) + 0.5) + 128, 0, 255)


def coded(image: np.ndarray, quality: int) -> np.ndarray:
    """Return an image after JPEG, block by block."""
    height, width, channels = image.shape
    planes = np.pad(image.astype(float), ((0, -height % 8), (0, -width % 8), (0, 0)), mode="edge")
    if channels == 3:
        red, green, blue = np.moveaxis(planes, 2, 0)
        luma = 0.299 * red + 0.587 * green + 0.114 * blue
        planes = np.stack([luma, 128 + (blue - luma) / 1.772, 128 + (red - luma) / 1.402], axis=2)
        planes = np.stack(
            [
                np.floor(np.round(planes[..., 0], 6) + 0.5),
                *np.moveaxis(np.ceil(np.round(planes[..., 1:], 6) - 0.5), 2, 0),
            ],
            axis=2,
        )
    percent = 5000 // quality if quality < 50 else 200 - 2 * quality
    for channel in range(channels):
        base = STEPS_AT_50["chrominance" if channel else "luminance"]
        steps = np.clip((base.astype(int) * percent + 50) // 100, 1, 255)
        for top, left in itertools.product(range(0, len(planes), 8), range(0, planes.shape[1], 8)):
            block = planes[top : top + 8, left : left + 8, channel]
            planes[top : top + 8, left : left + 8, channel] = coded_block(block, steps)
    planes = planes[:height, :width]
    if channels == 3:
        luma, blue, red = planes[..., 0], 1.772 * (planes[..., 1] - 128), 1.402 * (planes[..., 2] - 128)
        planes = np.stack([luma + red, luma - (0.299 * red + 0.114 * blue) / 0.587, luma + blue], axis=2)
    return np.clip(np.floor(np.round(planes, 6) + 0.5), 0, 255)


@pytest.mark.parametrize("shape", SHAPES)
def test_jpeg_is_its_definition(shape: tuple[int, int, int]) -> None:
    """Pixels differ only where a value lies on the border of two whole numbers, and rounding errors decide."""
    batch = images(8, shape)
    draws, result = augmented({"name": "jpeg", "lowest": 5}, batch)
    expected = np.stack([coded(*each) for each in zip(batch, draws["quality"], strict=True)])
    assert len(set(draws["quality"].tolist())) > 5
    assert (result == expected).mean() > 0.99
    assert np.abs(result - expected).mean() < 0.02
    assert np.abs(result - batch).mean() > 5


@pytest.mark.parametrize("quality", [1, 10, 30, 50, 75, 90, 100])
def test_jpeg_has_pillows_tables(quality: int) -> None:
    steps = np.asarray(quantisation_steps(np.full((1, 1, 1, 1), quality, "float32"), 3))[0]
    tables = pillow_tables(quality)
    for channel, name in enumerate(("luminance", "chrominance", "chrominance")):
        assert np.array_equal(steps[..., channel], tables[name])


@pytest.mark.parametrize("shape", [(8, 8, 1), (40, 40, 1), (32, 32, 3), (17, 9, 3)])
@pytest.mark.parametrize("quality", [1, 10, 30, 50, 75, 90, 95, 100])
def test_jpeg_is_pillows_up_to_its_integer_arithmetic(shape: tuple[int, int, int], quality: int) -> None:
    """Stated tolerance: .8 greys on average, on noise, which JPEG keeps worst; it changes the image far more."""
    batch = images(20, shape)
    _, result = augmented({"name": "jpeg", "lowest": quality, "highest": quality}, batch)
    theirs = np.stack([pillow_jpeg(image, quality) for image in batch])
    difference = np.abs(result - theirs)
    assert difference.mean() < 0.8
    assert (difference <= 2).mean() > 0.93
    if quality <= 95:
        assert np.abs(theirs - batch).mean() > 4 * difference.mean()


def test_jpeg_leaves_the_other_images_unchanged() -> None:
    batch = images(200, (8, 8, 1))
    draws, result = augmented({"name": "jpeg", "share": 0.3, "highest": 40}, batch)
    kept = draws["quality"] == 0
    assert np.array_equal(result[kept], batch[kept])
    assert 0.6 < kept.mean() < 0.8
    assert (draws["quality"][~kept].min(), draws["quality"].max()) == (30, 40)
    assert all((one != other).any() for one, other in zip(result[~kept], batch[~kept], strict=True))
