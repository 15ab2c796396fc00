"""Base augmentations against NumPy, image by image."""

from __future__ import annotations

import io
import itertools
import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from keras import ops
from PIL import Image, ImageEnhance
from pydantic import ValidationError

from search.plan.builder import make_plan
from tests.conftest import make_study
from trainables.augmentation import AUGMENTATIONS, Policy, jpeg, make_policy, policy_apply
from trainables.augmentation.colour import noise, saturating, smooth
from trainables.augmentation.crop import padding
from trainables.augmentation.jpeg import quantisation_steps
from trainables.augmentation.photometric import BRIGHTNESS, COLOUR, CONTRAST
from trainables.augmentation.resampling import resample
from trainables.backends.selection import backend
from trainables.config import RunConfig
from trainables.errors import InputError
from trainables.registration.fields import Range, declared

backend.configure(threads=1, deterministic=True)
SHAPES = [(8, 8, 1), (32, 32, 3), (17, 9, 3)]
NAMES = [name for name in AUGMENTATIONS if name != "none"]
LUMA = np.array([0.299, 0.587, 0.114])


def images(n: int, shape: tuple[int, int, int]) -> np.ndarray:
    return np.random.default_rng(1).integers(1, 256, (n, *shape), dtype="uint8")


def identity(name: str) -> Policy:
    return make_policy([{"name": part, **AUGMENTATIONS.get(part).identity_settings} for part in name.split("+")])


def augmented(policy: Any, batch: np.ndarray, seed: int = 2) -> tuple[dict, np.ndarray]:
    made = make_policy(policy)
    draws = made.draw(np.random.default_rng(seed), len(batch), batch.shape[1:])
    return draws, np.asarray(policy_apply(made.name)(batch, draws))


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


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", [*AUGMENTATIONS, "crop_flip+cutout", "cutout+affine_flip+photometric"])
def test_identity_settings_draw_the_same_shapes_and_leave_images_unchanged(
    name: str, shape: tuple[int, int, int]
) -> None:
    batch = images(5, shape)
    on, _ = augmented(name, batch)
    off, result = augmented(identity(name), batch)
    assert {k: (v.shape, v.dtype) for k, v in on.items()} == {k: (v.shape, v.dtype) for k, v in off.items()}
    assert np.array_equal(result, batch)


@pytest.mark.parametrize("name", NAMES)
class TestContract:
    """Contract of every augmentation."""

    def test_draws_are_small_replay_and_have_one_row_per_image(self, name: str) -> None:
        kind = AUGMENTATIONS.get(name)
        first, second = (kind(name=name).draw(np.random.default_rng(4), 50, (32, 32, 3)) for _ in range(2))
        for key, value in first.items():
            assert len(value) == 50
            assert value.dtype in (np.float32, np.int32)
            assert np.array_equal(value, second[key])
        assert sum(value.nbytes for value in first.values()) <= 100 * 50

    def test_it_changes_each_image_differently_and_within_bounds(self, name: str) -> None:
        batch = np.repeat(images(1, (32, 32, 3)), 20, axis=0)
        _, result = augmented(name, batch)
        assert result.shape == batch.shape
        assert (result.min() >= 0, result.max() <= 255) == (True, True)
        assert len({one.tobytes() for one in result}) > 15

    def test_an_image_is_changed_independently_of_the_batch(self, name: str) -> None:
        batch = images(8, (16, 16, 3))
        draws, result = augmented(name, batch)
        alone = np.asarray(policy_apply(name)(batch[3:4], {key: value[3:4] for key, value in draws.items()}))
        assert alone[0] == pytest.approx(result[3], abs=1e-3)

    def test_declared_ranges_are_allowed_and_summary_is_given(self, name: str) -> None:
        kind = AUGMENTATIONS.get(name)
        assert kind.summary
        for field, mark in declared(kind).items():
            assert isinstance(mark, Range)
            for value in (mark.low, mark.high):
                assert kind.model_validate({"name": name, field: value})

    def test_identity_settings_neither_vary_nor_mirror(self, name: str) -> None:
        assert make_policy(name).varies
        assert not identity(name).varies
        assert not identity(name).mirrors

    def test_it_compiles_under_xla(self, name: str) -> None:
        if keras_backend() != "tensorflow":
            pytest.skip("compiled by TensorFlow here")
        import tensorflow as tf

        batch = images(4, (16, 16, 3))
        draws, result = augmented(name, batch)
        compiled = tf.function(policy_apply(name), jit_compile=True, autograph=False)
        assert np.asarray(compiled(batch, draws)) == pytest.approx(result, abs=0.05)


def keras_backend() -> str:
    import keras

    return str(keras.backend.backend())


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


def test_policies_have_four_notations() -> None:
    assert make_policy("none") == make_policy([]) == make_policy(["none"]) == Policy()
    assert make_policy("crop_flip+cutout") == make_policy(["crop_flip", {"name": "cutout"}])
    assert make_policy({"name": "affine_flip", "rotation": 10}).settings()["affine_flip.rotation"] == 10
    policy = make_policy(["crop", {"name": "cutout", "size": 0.25}])
    assert policy.name == "crop+cutout"
    assert Policy.model_validate(json.loads(policy.model_dump_json())) == policy


def test_a_later_augmentation_does_not_change_the_draws_of_the_first() -> None:
    alone, both = (
        make_policy(name).draw(np.random.default_rng(0), 20, (16, 16, 3)) for name in ("crop", "crop+cutout")
    )
    assert all(np.array_equal(value, both[key]) for key, value in alone.items())
    assert set(both) - set(alone) == {f"1.{key}" for key in ("top", "bottom", "left", "right", "fill")}


def test_composition_is_one_after_the_other() -> None:
    batch = images(10, (16, 16, 3))
    draws, result = augmented("crop_flip+cutout", batch)
    first = policy_apply("crop_flip")(batch, {key: draws[key] for key in ("down", "right", "mirror")})
    second = {key[2:]: value for key, value in draws.items() if key.startswith("1.")}
    assert np.array_equal(result, ops.convert_to_numpy(policy_apply("cutout")(first, second)))


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ("flip", "Did you mean `crop_flip`?"),
        ("crop+crop", "`crop` is given twice"),
        (3, "an augmentation is a name or"),
        ({"rotation": 3}, "an augmentation is a name or"),
        ({"name": "affine_flip", "rotation": 300}, "less than or equal to 180"),
        ({"name": "crop", "rotation": 3}, "Extra inputs"),
        ({"name": "jpeg", "lowest": 0}, "greater than or equal to 1"),
        ({"name": "jpeg", "lowest": 96}, "`lowest` must be at most `highest`, but got lowest=96, highest=95"),
    ],
)
def test_bad_policies_are_refused(written: Any, message: str) -> None:
    with pytest.raises(InputError) as caught:
        make_policy(written)
    assert message in str(caught.value)


def test_which_policies_mirror_and_vary() -> None:
    assert [name for name in AUGMENTATIONS if make_policy(name).mirrors] == [
        "affine_flip", "crop_flip", "one_of", "photometric",
    ]  # fmt: skip
    assert not make_policy({"name": "affine_flip", "flip": 0}).mirrors
    assert make_policy("crop+affine_flip").mirrors
    assert [make_policy(each).varies for each in ("none", {"name": "crop", "padding": 0}, "crop")] == [
        False, False, True,
    ]  # fmt: skip


def test_qualified_names_set_the_settings() -> None:
    plain = {"data": "digits", "augmentation": "affine_flip+cutout", "affine_flip.rotation": 5, "cutout.size": 0.25}
    config = RunConfig.from_plain({**plain, "crop.padding": 2})
    parameters = config.parameters()
    assert (parameters["augmentation"], parameters["affine_flip.rotation"]) == ("affine_flip+cutout", 5)
    assert parameters["cutout.size"] == 0.25
    assert "crop.padding" not in parameters
    assert RunConfig.from_plain(parameters) == config
    assert RunConfig.model_validate(json.loads(config.model_dump_json())) == config
    with pytest.raises(ValidationError, match="less than or equal to 180"):
        RunConfig.from_plain({**plain, "affine_flip.rotation": 200})
    with pytest.raises(InputError, match="unknown field of crop"):
        RunConfig.from_plain({**plain, "crop.pading": 2})


def test_settings_can_be_fixed_compared_and_searched_in_a_study() -> None:
    study = make_study(
        recipe={"augmentation": {"name": "affine_flip", "flip": 0, "zoom": 0.1}, "epochs": 12},
        conditions={"affine_flip.rotation": [0, 30]},
        nuisance={"affine_flip.shift": "auto", "affine_flip.shear": {"low": 0, "high": 5}},
    )
    plan = make_plan(study)
    assert {arm.condition.name for arm in plan.arms} == {"affine_flip.rotation=0", "affine_flip.rotation=30"}
    assert set(plan.nuisance) == {"affine_flip.shift", "affine_flip.shear"}
    config = plan.run_config(plan.arms[-1], {"affine_flip.shift": 0.25, "affine_flip.shear": 1.5}, 0, 0)
    step = config.parameters()
    assert (step["affine_flip.rotation"], step["affine_flip.zoom"]) == (30, 0.1)
    assert (step["affine_flip.shift"], step["affine_flip.shear"]) == (0.25, 1.5)
    with pytest.raises(InputError, match="mirror image changes the class"):
        make_plan(make_study(recipe={"augmentation": "affine_flip", "epochs": 12}))
