"""Crops, affine maps, mirrors and cutout against NumPy, image by image."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from tests.unit.trainables.augmentation.oracles import SHAPES, augmented, images
from trainables.augmentation import make_policy
from trainables.augmentation.crop import padding
from trainables.augmentation.resampling import resample


def cropped(image: np.ndarray, down: int, right: int, mirror: bool) -> np.ndarray:
    height, width, _ = image.shape
    padded = np.pad(image, ((height, height), (width, width), (0, 0)))
    top, left = height + down, width + right
    crop = padded[top : top + height, left : left + width]
    return crop[:, ::-1] if mirror else crop


def sampled(image: np.ndarray, affine: np.ndarray) -> np.ndarray:
    """Return the image resampled pixel by pixel, from the definition."""
    height, width, _ = image.shape
    result = np.zeros(image.shape)
    for row in range(height):
        for column in range(width):
            place = np.array([row - (height - 1) / 2, column - (width - 1) / 2])
            y, x = affine[:4].reshape(2, 2) @ place + affine[4:] + [(height - 1) / 2, (width - 1) / 2]
            y, x = min(max(y, 0), height - 1), min(max(x, 0), width - 1)
            top, left = int(y), int(x)
            bottom, right = min(top + 1, height - 1), min(left + 1, width - 1)
            upper = (1 - x + left) * image[top, left] + (x - left) * image[top, right]
            lower = (1 - x + left) * image[bottom, left] + (x - left) * image[bottom, right]
            result[row, column] = (1 - y + top) * upper + (y - top) * lower
    return result


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", ["crop", "crop_flip"])
@pytest.mark.parametrize("pad", ["eighth", 4, 100])
def test_crop_is_pad_crop_and_mirror(name: str, shape: tuple[int, int, int], pad: str | int) -> None:
    batch = images(50, shape)
    draws, result = augmented({"name": name, "padding": pad}, batch)
    mirrors = draws.get("mirror", np.zeros(50, int))
    expected = [cropped(*each) for each in zip(batch, draws["down"], draws["right"], mirrors == 1, strict=True)]
    assert result.dtype == np.uint8
    assert np.array_equal(result, np.stack(expected))


@pytest.mark.parametrize("shape", SHAPES)
def test_shifts_cover_their_range_evenly(shape: tuple[int, int, int]) -> None:
    draws = make_policy("crop_flip").draw(np.random.default_rng(0), 20_000, shape)
    for name, size in (("down", shape[0]), ("right", shape[1])):
        values, counts = np.unique(draws[name], return_counts=True)
        assert values.tolist() == list(range(-padding(size), padding(size) + 1))
        assert counts.min() > 0.8 * 20_000 / len(values)
    assert abs(draws["mirror"].mean() - 0.5) < 0.02


def test_padding_is_an_eighth_or_the_given_number() -> None:
    assert [padding(size) for size in (4, 8, 28, 32, 224)] == [1, 1, 3, 4, 28]
    assert [padding(32, 4), padding(8, 100), padding(8, 0)] == [4, 8, 0]


def test_crop_and_crop_flip_draw_the_same_shifts() -> None:
    one, other = (make_policy(name).draw(np.random.default_rng(0), 9, (8, 8, 1)) for name in ("crop", "crop_flip"))
    assert np.array_equal(one["down"], other["down"])
    assert np.array_equal(one["right"], other["right"])


@pytest.mark.parametrize("shape", SHAPES)
def test_affine_flip_is_one_bilinear_resampling(shape: tuple[int, int, int]) -> None:
    batch = images(6, shape)
    draws, result = augmented({"name": "affine_flip", "shear": 10}, batch)
    expected = np.stack([sampled(*each) for each in zip(batch, draws["affine"], strict=True)])
    assert result == pytest.approx(expected, abs=0.02)


@pytest.mark.parametrize(
    ("setting", "affine"),
    [
        ({"rotation": 0, "shift": 0, "shear": 0, "zoom": 0, "flip": 1}, [1, 0, 0, -1, 0, 0]),
        ({"rotation": 0, "shift": 0, "shear": 0, "zoom": 0, "flip": 0}, [1, 0, 0, 1, 0, 0]),
    ],
)
def test_affine_flip_alone_mirrors_exactly(setting: dict, affine: list[float]) -> None:
    batch = images(3, (17, 9, 3))
    draws, result = augmented({"name": "affine_flip", **setting}, batch)
    assert draws["affine"].tolist() == [affine] * 3
    assert np.array_equal(result, batch[:, :, ::-1] if setting["flip"] else batch)


def test_affine_flip_rotates_about_the_centre_by_its_angle() -> None:
    draws = make_policy({"name": "affine_flip", "shift": 0, "shear": 0, "zoom": 0, "flip": 0}).draw(
        np.random.default_rng(0), 5_000, (32, 32, 3)
    )
    angles = np.rad2deg(np.arctan2(draws["affine"][:, 2], draws["affine"][:, 0]))
    assert (np.abs(angles).max() <= 30, np.abs(angles).max() > 29.9) == (True, True)
    quarter = np.array([[0, -1, 1, 0, 0, 0]], dtype="float32")
    batch = images(1, (9, 9, 3))
    assert np.array_equal(np.asarray(resample(batch, quarter))[0], np.rot90(batch[0], -1))


def test_affine_flip_equals_the_former_keras_generator() -> None:
    """Compose rotation, shift, shear and zoom as matrices on (row, column), as the generator did."""
    draws = make_policy({"name": "affine_flip", "shear": 20, "flip": 0}).draw(np.random.default_rng(3), 50, (20, 10, 1))
    rng = np.random.default_rng(3)
    angle = np.deg2rad(30 * rng.uniform(-1, 1, 50))
    shift = 0.2 * rng.uniform(-1, 1, (50, 2)) * [20, 10]
    shear = np.deg2rad(20 * rng.uniform(-1, 1, 50))
    zoom = 1 + 0.2 * rng.uniform(-1, 1, (50, 2))
    for i in range(50):
        c, s = np.cos(angle[i]), np.sin(angle[i])
        matrix = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])
        matrix = matrix @ np.array([[1, 0, shift[i, 0]], [0, 1, shift[i, 1]], [0, 0, 1]])
        matrix = matrix @ np.array([[1, -np.sin(shear[i]), 0], [0, np.cos(shear[i]), 0], [0, 0, 1]])
        matrix = matrix @ np.diag([*zoom[i], 1])
        expected = np.r_[matrix[:2, :2].ravel(), matrix[:2, 2]]
        assert draws["affine"][i] == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("shape", SHAPES)
def test_cutout_covers_a_square_that_may_reach_over_the_border(shape: tuple[int, int, int]) -> None:
    batch = images(40, shape)
    draws, result = augmented({"name": "cutout", "size": 0.5, "fill": 0}, batch)
    side = round(0.5 * min(shape[:2]))
    for image, top, left, found in zip(batch, draws["top"], draws["left"], result, strict=True):
        expected = image.copy()
        expected[max(top, 0) : top + side, max(left, 0) : left + side] = 0
        assert np.array_equal(found, expected)
    assert (result == 0).any(axis=(1, 2, 3)).all()
    assert len({int((one == 0).sum()) for one in result}) > 1


@settings(max_examples=25, deadline=None)
@given(
    matrix=st.lists(st.floats(-3, 3, width=32), min_size=4, max_size=4),
    shift=st.lists(st.floats(-50, 50, width=32), min_size=2, max_size=2),
    value=st.integers(0, 255),
)
def test_resampling_keeps_a_plain_image_plain(matrix: list[float], shift: list[float], value: int) -> None:
    plain = np.full((1, 7, 5, 3), value, dtype="uint8")
    affine = np.array([[*matrix, *shift]], dtype="float32")
    assert np.asarray(resample(plain, affine)) == pytest.approx(plain, abs=1e-3)
