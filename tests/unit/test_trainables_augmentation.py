"""Base augmentations against NumPy."""

import numpy as np
import pytest

from trainables.augmentation import AUGMENTATIONS
from trainables.augmentation.crop import padding

SHAPES = [(8, 8, 1), (32, 32, 3), (17, 9, 3)]


def images(n: int, shape: tuple[int, int, int]) -> np.ndarray:
    return np.random.default_rng(1).integers(1, 256, (n, *shape), dtype="uint8")


def cropped(image: np.ndarray, down: int, right: int, mirror: bool) -> np.ndarray:
    height, width, _ = image.shape
    vertical, horizontal = padding(height), padding(width)
    padded = np.pad(image, ((vertical, vertical), (horizontal, horizontal), (0, 0)))
    top, left = vertical + down, horizontal + right
    crop = padded[top : top + height, left : left + width]
    return crop[:, ::-1] if mirror else crop


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", ["crop", "crop_flip"])
def test_crop_is_pad_crop_and_mirror(name: str, shape: tuple[int, int, int]) -> None:
    augmentation = AUGMENTATIONS.get(name)
    batch = images(50, shape)
    draws = augmentation.draw(np.random.default_rng(2), 50, shape)
    mirrors = draws.get("mirror", np.zeros(50, int))
    result = np.array(augmentation.apply(batch, draws))
    expected = [cropped(*each) for each in zip(batch, draws["down"], draws["right"], mirrors == 1, strict=True)]
    assert result.dtype == np.uint8
    assert np.array_equal(result, np.stack(expected))


@pytest.mark.parametrize("shape", SHAPES)
def test_draws_cover_their_range_evenly(shape: tuple[int, int, int]) -> None:
    draws = AUGMENTATIONS.get("crop_flip").draw(np.random.default_rng(0), 20_000, shape)
    for name, size in (("down", shape[0]), ("right", shape[1])):
        values, counts = np.unique(draws[name], return_counts=True)
        assert values.tolist() == list(range(-padding(size), padding(size) + 1))
        assert counts.min() > 0.8 * 20_000 / len(values)
    assert abs(draws["mirror"].mean() - 0.5) < 0.02


def test_padding_is_an_eighth() -> None:
    assert [padding(size) for size in (4, 8, 28, 32, 224)] == [1, 1, 3, 4, 28]


def test_none_leaves_images_alone() -> None:
    augmentation = AUGMENTATIONS.get("none")
    assert augmentation.draw(np.random.default_rng(0), 5, (8, 8, 1)) == {}
    batch = images(5, (8, 8, 1))
    assert np.array_equal(augmentation.apply(batch, {}), batch)


def test_only_crop_flip_mirrors() -> None:
    assert [name for name in AUGMENTATIONS if AUGMENTATIONS.get(name).mirrors] == ["crop_flip"]
