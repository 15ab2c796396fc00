"""Changes of light and colour against NumPy and Pillow, image by image."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageEnhance

from tests.unit.trainables.augmentation.oracles import LUMA, SHAPES, augmented, images
from trainables.augmentation import make_policy
from trainables.augmentation.colour import noise, saturating, smooth
from trainables.augmentation.photometric import BRIGHTNESS, COLOUR, CONTRAST
from trainables.augmentation.resampling import resample


def smoothed(image: np.ndarray) -> np.ndarray:
    height, width, _ = image.shape
    padded = np.pad(image, ((1, 1), (1, 1), (0, 0)), mode="edge")
    box = sum(padded[i : i + height, j : j + width] for i in range(3) for j in range(3))
    return (box + 4 * image) / 13


def enhanced(image: np.ndarray, change: int, amount: float) -> np.ndarray:
    grey = image @ LUMA if image.shape[2] == 3 else image[..., 0]
    start = [np.zeros_like(image), np.full_like(image, grey.mean()), np.repeat(grey[..., None], image.shape[2], 2)]
    start.append(smoothed(image))
    return np.clip(start[change] + (1 + amount) * (image - start[change]), 0, 255)


@pytest.mark.parametrize("shape", SHAPES)
def test_photometric_is_its_changes_in_the_order_of_each_image(shape: tuple[int, int, int]) -> None:
    batch = images(30, shape)
    draws, result = augmented({"name": "photometric", "noise": 40}, batch)
    grain = np.asarray(noise(draws["seed"], shape))
    for i, image in enumerate(np.asarray(resample(batch, draws["affine"]), dtype="float64")):
        expected = np.clip(image + draws["noise"][i, 0] * grain[i], 0, 255)
        for change, amount in zip(draws["change"][i], draws["amount"][i], strict=True):
            expected = enhanced(expected, change, amount)
        expected = np.clip(expected + draws["noise"][i, 1] * grain[i], 0, 255)
        assert result[i] == pytest.approx(expected, abs=0.02)
    assert len({tuple(order) for order in draws["change"].tolist()}) > 10
    assert ((draws["noise"] > 0).sum(axis=1) <= 1).all()


@pytest.mark.parametrize(
    ("kind", "change"),
    [(ImageEnhance.Brightness, BRIGHTNESS), (ImageEnhance.Contrast, CONTRAST), (ImageEnhance.Color, COLOUR)],
)
def test_the_changes_are_pillows(kind: Any, change: int) -> None:
    image = images(1, (16, 16, 3))[0]
    theirs = np.asarray(kind(Image.fromarray(image)).enhance(1.4), dtype="float64")
    assert enhanced(image.astype("float64"), change, 0.4) == pytest.approx(theirs, abs=1.5)


def test_sharpness_is_pillows_away_from_the_border() -> None:
    image = images(1, (16, 16, 3))
    theirs = np.asarray(ImageEnhance.Sharpness(Image.fromarray(image[0])).enhance(0.0), dtype="float64")
    ours = np.asarray(smooth(image.astype("float32")))[0]
    assert ours[1:-1, 1:-1] == pytest.approx(theirs[1:-1, 1:-1], abs=1)


def test_noise_is_normal_and_depends_on_the_seed_only() -> None:
    seeds = np.random.default_rng(0).integers(-(2**31), 2**31, 64).astype("int32")
    found = np.asarray(noise(seeds, (32, 32, 3)))
    assert abs(found.mean()) < 0.01
    assert abs(found.std() - 1) < 0.01
    assert abs((np.abs(found) > 1.96).mean() - 0.05) < 0.002
    assert abs(np.corrcoef(found[:, :-1].ravel(), found[:, 1:].ravel())[0, 1]) < 0.01
    assert abs(np.corrcoef(found[0].ravel(), found[1].ravel())[0, 1]) < 0.06
    assert np.array_equal(np.asarray(noise(seeds[5:6], (32, 32, 3)))[0], found[5])


def hue_turned(image: np.ndarray, tint: np.ndarray) -> np.ndarray:
    return np.stack([[pixel @ tint for pixel in row] for row in image])


@pytest.mark.parametrize("shape", SHAPES)
def test_one_of_applies_one_change_of_each_kind(shape: tuple[int, int, int]) -> None:
    batch = images(60, shape)
    draws, result = augmented("one_of", batch)
    tint, contrast, bright = draws["tint"].reshape(-1, 3, 3), draws["contrast"], draws["bright"]
    changed = np.stack([contrast != 1, bright != 0, np.abs(tint - np.eye(3)).max(axis=(1, 2)) > 1e-6])
    assert (changed.sum(axis=0) == 1).all()
    assert changed.any(axis=1).all()
    shifted = (draws["affine"][:, 4:] != 0).any(axis=1)
    turned = draws["affine"][:, 1] != 0
    assert not (shifted & turned).any()
    for i, image in enumerate(np.asarray(resample(batch, draws["affine"]), dtype="float64")):
        mean = image.mean(axis=(0, 1))
        expected = mean + contrast[i] * (image - mean)
        if shape[2] == 3:
            expected = hue_turned(expected, tint[i])
        assert result[i] == pytest.approx(np.clip(expected + bright[i], 0, 255), abs=0.02)


def test_saturation_is_pillows_and_hue_keeps_brightness_and_greys() -> None:
    image = images(1, (8, 8, 3))[0]
    theirs = np.asarray(ImageEnhance.Color(Image.fromarray(image)).enhance(1.3), dtype="float64")
    assert np.clip(image @ saturating(np.array([1.3]))[0].T, 0, 255) == pytest.approx(theirs, abs=1.5)
    only = {"name": "one_of", "flip": 0, "padding": 0, "rotation": 0, "contrast": 0, "saturation": 0, "brightness": 0}
    tint = make_policy({**only, "hue": 0.3}).draw(np.random.default_rng(0), 40, (8, 8, 3))["tint"].reshape(-1, 3, 3)
    assert tint @ LUMA == pytest.approx(np.tile(LUMA, (40, 1)), abs=1e-4)
    assert np.ones(3) @ tint == pytest.approx(np.ones((40, 3)), abs=2e-3)
