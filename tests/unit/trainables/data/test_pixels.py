"""Pixels of image files, byte by byte: depth, mode, transparency, orientation, scale."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms

from tests.unit.trainables.data import zoo
from tests.unit.trainables.data.zoo import Animal
from trainables.data.decoding import Decoded, TargetFormat, decode_files
from trainables.data.pixels import MAX_PIXELS, survey
from trainables.errors import InputError


def decoded(folder: Path, *names: str, **shape: object) -> Decoded:
    settings = {"size": None, "resize": "stretch", "colour": "auto", **shape}
    return decode_files(folder, names, TargetFormat(**settings))  # type: ignore[arg-type]


def grey_of(colours: np.ndarray) -> np.ndarray:
    return np.asarray(Image.fromarray(colours).convert("L"))


@pytest.mark.parametrize("animal", zoo.GREY, ids=lambda animal: animal.name)
def test_grey_files_give_their_values(animal: Animal, tmp_path: Path) -> None:
    animal.write(tmp_path / animal.name)
    found = decoded(tmp_path, animal.name)
    assert np.array_equal(found.images[0], animal.pixels[..., None])
    colour = decoded(tmp_path, animal.name, colour="colour").images[0]
    assert np.array_equal(colour, np.repeat(animal.pixels[..., None], 3, axis=2))


@pytest.mark.parametrize("animal", zoo.COLOUR, ids=lambda animal: animal.name)
def test_files_in_colour_give_their_values(animal: Animal, tmp_path: Path) -> None:
    animal.write(tmp_path / animal.name)
    found = decoded(tmp_path, animal.name)
    assert np.array_equal(found.images[0], animal.pixels)
    grey = decoded(tmp_path, animal.name, colour="grey").images[0]
    assert np.array_equal(grey[..., 0], grey_of(animal.pixels))


def test_the_zoo_together_is_the_zoo_one_by_one(tmp_path: Path) -> None:
    animals = [*zoo.GREY, *zoo.COLOUR]
    for animal in animals:
        animal.write(tmp_path / animal.name)
    found = decoded(tmp_path, *(animal.name for animal in animals))
    for image, animal in zip(found.images, animals, strict=True):
        pixels = animal.pixels if animal.pixels.ndim == 3 else np.repeat(animal.pixels[..., None], 3, axis=2)
        assert np.array_equal(image, pixels), animal.name
    assert any("11 image(s) have transparent pixels" in note for note in found.notes)
    assert any("different depths" in note for note in found.notes)


@pytest.mark.parametrize("orientation", zoo.TURNS)
@pytest.mark.parametrize(
    ("ending", "pixels"),
    [
        (ending, pixels)
        for ending in ("jpg", "png", "webp", "tiff")
        for pixels in (zoo.BYTES, zoo.COLOURS, zoo.LAYERS)
        if ending != "jpg" or pixels is not zoo.LAYERS
    ],
    ids=lambda value: value if isinstance(value, str) else f"{value.ndim}d",
)
def test_orientations_are_applied(orientation: int, ending: str, pixels: np.ndarray, tmp_path: Path) -> None:
    zoo.turned(Image.fromarray(pixels), tmp_path / f"turned.{ending}", orientation)
    zoo.turned(Image.fromarray(pixels), tmp_path / f"plain.{ending}", 1)
    plain = decoded(tmp_path, f"plain.{ending}").images[0]
    if ending != "jpg" and pixels is zoo.COLOURS:
        assert np.array_equal(plain, pixels)
    assert np.array_equal(decoded(tmp_path, f"turned.{ending}").images[0], zoo.TURNS[orientation](plain))


@pytest.mark.parametrize("orientation", zoo.TURNS)
@pytest.mark.parametrize("ending", ["png", "tiff"])
def test_orientations_of_16_bits_are_applied(orientation: int, ending: str, tmp_path: Path) -> None:
    zoo.turned(Image.fromarray(zoo.WORDS), tmp_path / f"turned.{ending}", orientation)
    expected = zoo.TURNS[orientation](zoo.WORDS >> 8)
    assert np.array_equal(decoded(tmp_path, f"turned.{ending}").images[0, ..., 0], expected)


@pytest.mark.parametrize("bits", [8, 9, 10, 12, 14, 15])
def test_few_bits_in_a_file_of_16_need_a_range(bits: int, tmp_path: Path) -> None:
    values = np.linspace(0, 2**bits - 1, 30).astype("uint16").reshape(6, 5)
    for ending in ("png", "tiff"):
        Image.fromarray(values).save(tmp_path / f"a.{ending}")
        with pytest.raises(InputError, match=rf"only the lower {bits} .*`value_range: \[0, {2**bits - 1}\]`"):
            decoded(tmp_path, f"a.{ending}")
        found = decoded(tmp_path, f"a.{ending}", value_range=(0, 2**bits - 1)).images[0, ..., 0]
        assert np.array_equal(found, np.rint(values * (255 / (2**bits - 1))))
        assert np.array_equal(
            decoded(tmp_path, f"a.{ending}", value_range=(0, 65535)).images[0, ..., 0], np.rint(values / 257)
        )


def test_few_bits_in_colours_of_16_are_refused(tmp_path: Path) -> None:
    zoo.png(tmp_path / "a.png", 16, 2, (zoo.WIDE >> 4).astype(">u2").tobytes())
    with pytest.raises(InputError, match=r"only the lower 12 .* Convert them to images with 8 bits"):
        decoded(tmp_path, "a.png")
    with pytest.raises(InputError, match="`value_range` applies to grey images with more than eight bits"):
        decoded(tmp_path, "a.png", value_range=(0, 4095))


def test_one_scale_for_all_images(tmp_path: Path) -> None:
    dark, bright = zoo.WORDS >> 9, zoo.WORDS
    Image.fromarray(dark).save(tmp_path / "dark.png")
    Image.fromarray(bright).save(tmp_path / "bright.png")
    found = decoded(tmp_path, "dark.png", "bright.png").images[..., 0]
    assert np.array_equal(found[0], dark >> 8)
    assert np.array_equal(found[1], bright >> 8)


@pytest.mark.parametrize(
    ("dtype", "low", "high"), [("float32", 0.0, 1.0), ("float32", -1000.0, 400.0), ("int32", 0, 10**6)]
)
def test_values_without_a_certain_scale_need_a_range(dtype: str, low: float, high: float, tmp_path: Path) -> None:
    values = np.linspace(low, high, 30).astype(dtype).reshape(6, 5)
    Image.fromarray(values).save(tmp_path / "a.tiff")
    with pytest.raises(InputError, match=r"no certain scale .* Set `value_range`"):
        decoded(tmp_path, "a.tiff")
    found = decoded(tmp_path, "a.tiff", value_range=(low, high))
    assert np.array_equal(found.images[0, ..., 0], np.rint((values.astype("float64") - low) * (255 / (high - low))))
    assert found.notes == ()
    middle = (low + high) / 2
    clipped = decoded(tmp_path, "a.tiff", value_range=(low, middle))
    assert clipped.notes == ("1 image(s) have values outside of `value_range`, which are black or white",)
    assert (clipped.images[0, ..., 0][values >= middle] == 255).all()


def test_signed_8_bits_are_not_taken_for_unsigned_ones(tmp_path: Path) -> None:
    zoo.tiff(tmp_path / "a.tiff", 8, zoo.BYTES.tobytes(), kind=2)
    assert survey(tmp_path / "a.tiff").fault == "signed values of 8 bits are not supported"


@pytest.mark.parametrize("dtype", ["uint32", "float64", "float16", "uint64"])
def test_other_depths_of_tiff_have_no_certain_scale(dtype: str, tmp_path: Path) -> None:
    values = zoo.WORDS.astype(dtype) if dtype != "float16" else (zoo.WORDS / 65535).astype(dtype)
    kind = 3 if values.dtype.kind == "f" else 1
    zoo.tiff(
        tmp_path / "a.tiff", values.itemsize * 8, values.astype(values.dtype.newbyteorder("<")).tobytes(), kind=kind
    )
    with pytest.raises(InputError, match=r"no certain scale|not an image of a supported format and depth"):
        decoded(tmp_path, "a.tiff")


def test_signed_16_bits_and_10_bits_have_no_certain_scale(tmp_path: Path) -> None:
    zoo.tiff(tmp_path / "signed.tiff", 16, zoo.WORDS.astype("<i2").tobytes(), kind=2)
    with pytest.raises(InputError, match="no certain scale"):
        decoded(tmp_path, "signed.tiff")
    zoo.tiff(tmp_path / "bits10.tiff", 10, zoo.packed(zoo.WORDS >> 6, 10))
    with pytest.raises(InputError, match="not an image of a supported format and depth"):
        decoded(tmp_path, "bits10.tiff")


def test_values_that_are_no_numbers_are_damage(tmp_path: Path) -> None:
    values = np.full((6, 5), np.nan, dtype="float32")
    Image.fromarray(values).save(tmp_path / "a.tiff")
    assert survey(tmp_path / "a.tiff").fault == "some values are not finite numbers"


def test_a_range_needs_deep_images(tmp_path: Path) -> None:
    Image.fromarray(zoo.BYTES).save(tmp_path / "a.png")
    Image.fromarray(zoo.WORDS).save(tmp_path / "b.png")
    with pytest.raises(InputError, match=r"others are among them: a.png"):
        decoded(tmp_path, "a.png", "b.png", value_range=(0, 4095))


@pytest.mark.parametrize("background", [(0, 0, 0), (255, 255, 255), (10, 200, 30)])
def test_transparent_pixels_are_on_the_background(background: tuple[int, int, int], tmp_path: Path) -> None:
    zoo.saved(zoo.LAYERS)(tmp_path / "a.png")
    zoo.saved(np.dstack([zoo.BYTES, zoo.ALPHA]))(tmp_path / "b.png")
    found = decoded(tmp_path, "a.png", "b.png", background=background)
    greys = np.repeat(zoo.BYTES[..., None], 3, axis=2)
    for colours, image in zip((zoo.COLOURS, greys), found.images, strict=True):
        expected = [zoo.on(colours[..., place], zoo.ALPHA, background[place]) for place in range(3)]
        assert np.array_equal(image, np.dstack(expected))
    assert f"on the background ({', '.join(map(str, background))})" in found.notes[0]
    assert decoded(tmp_path, "b.png", background=background).images.shape[3] == (1 if background[1] != 200 else 3)


def test_eps_starts_no_program_and_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.eps").write_text("%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 5 6\n(rm) run\nshowpage\n")
    assert survey(tmp_path / "a.eps").fault == "not an image of a supported format and depth"


def test_an_image_that_is_too_large_is_not_decoded(tmp_path: Path) -> None:
    side = int(MAX_PIXELS**0.5) + 1
    path = tmp_path / "a.png"
    Image.new("1", (side, side)).save(path)
    assert path.stat().st_size < 2_000_000
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert f"{side} x {side} pixels are more than" in survey(path).fault


def test_several_images_in_a_file_are_said(tmp_path: Path) -> None:
    frames = [Image.fromarray(zoo.BYTES), Image.fromarray(255 - zoo.BYTES)]
    frames[0].save(tmp_path / "a.tiff", save_all=True, append_images=frames[1:])
    found = decoded(tmp_path, "a.tiff")
    assert np.array_equal(found.images[0, ..., 0], zoo.BYTES)
    assert found.notes == ("1 file(s) contain several images, of which the first is used: a.tiff",)


@pytest.mark.parametrize("ending", ["png", "jpg", "tiff", "webp"])
def test_colour_profiles_are_not_applied_and_others_than_srgb_are_said(ending: str, tmp_path: Path) -> None:
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    profiles = {"none": None, "srgb": srgb, "other": srgb.replace("sRGB".encode("utf-16-be"), b"\0P\0h\0o\0t"),
                "damaged": b"no profile"}  # fmt: skip
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype="uint8"))
    names = [f"{name}.{ending}" for name in profiles]
    for name, profile in zip(names, profiles.values(), strict=True):
        image.save(tmp_path / name, **({"icc_profile": profile} if profile else {}))
    found = decoded(tmp_path, *names)
    assert (found.images == found.images[:1]).all()
    (note,) = found.notes
    assert note.startswith(
        f"2 file(s) have a colour profile other than sRGB, which is not applied: {names[2]}, {names[3]};"
    )
