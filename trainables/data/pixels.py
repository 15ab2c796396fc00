"""Pixels of image files: every depth, mode and orientation as grey or colour values of 8 bits.

Values of 9 to 16 bits lose their lowest bits. Integers of 32 bits and floating-point numbers have no certain scale, and
need a range of values. Transparent pixels are composited on a background. The orientation that a file names is applied,
its colour profile (ICC) is not: values are those in the file.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import numpy as np
    from PIL.Image import Image
    from PIL.ImageFile import ImageFile

Resize = Literal["stretch", "pad", "crop"]
FORMATS = (
    "AVIF", "BMP", "DDS", "DIB", "GIF", "ICO", "JPEG", "JPEG2000", "MPO", "PCX", "PNG", "PPM", "QOI", "SGI", "SUN",
    "TGA", "TIFF", "WEBP", "XBM",
)  # fmt: skip
"""Formats of Pillow that are read. None of them starts another program, as EPS does."""
MAX_PIXELS = 89_478_485
"""Maximum number of pixels of an image: Pillow's own limit, above which it suspects a decompression bomb."""
DEEP = {"I", "I;16", "I;16B", "I;16L", "I;16N", "F"}
"""Modes of Pillow with more than eight bits per value."""
GREY = {"1", "L", "LA", "La", *DEEP}
LAYERED = {"LA", "La", "PA", "RGBA", "RGBa"}
TURNED = 5
"""First EXIF orientation with height and width exchanged."""
ORIENTATION, WIDTH, HEIGHT, PHOTOMETRIC, SAMPLE_FORMAT = 0x0112, 256, 257, 262, 339
"""Tags of EXIF and TIFF."""


@dataclass(frozen=True)
class ImageFacts:
    """What an image file declares, and the range of its values where more than eight bits make it matter.

    Args:
        size: (height, width) in its orientation.
        grey: whether it has one channel, not counting transparency.
        alpha: whether it may have transparent pixels.
        bits: declared bits per value, 8 for fewer; 0 if they have no certain scale.
        deep: whether its values can be read with all of their bits.
        low, high: smallest and largest value if `bits` is not 8.
        frames: number of images in the file, of which the first is read.
        profiled: whether it has a colour profile other than sRGB, which is not applied.
        fault: why it cannot be read, or empty.
    """

    size: tuple[int, int] = (0, 0)
    grey: bool = True
    alpha: bool = False
    bits: int = 8
    deep: bool = False
    low: float = 0
    high: float = 0
    frames: int = 1
    profiled: bool = False
    fault: str = ""


@dataclass(frozen=True)
class Target:
    """What the images of a data set become.

    Args:
        size: (height, width).
        resize: see `TargetFormat`.
        grey: whether they have one channel.
        background: red, green and blue that replace transparency.
        value_range: values of deep images that become 0 and 255, or None for those that their depth declares.
    """

    size: tuple[int, int]
    resize: Resize
    grey: bool
    background: tuple[int, int, int]
    value_range: tuple[float, float] | None


@dataclass(frozen=True)
class Picture:
    """One decoded image.

    Args:
        pixels: uint8 (height, width, channels).
        transparent: whether some pixels were transparent.
    """

    pixels: np.ndarray
    transparent: bool


def survey(path: Path) -> ImageFacts:
    """Return the facts about an image file, or why it cannot be read."""
    try:
        with open_image(path) as image:
            frames = 1 if image.format == "MPO" else getattr(image, "n_frames", 1)
            raw = str(image.tile)
            size, grey = _size(image), image.mode in GREY or "'LA;16" in raw
            alpha, bits, profiled = _is_layered(image), _bits(image, raw), _is_profiled(image)
            if bits == 8 and _is_signed(image):
                return ImageFacts(fault="signed values of 8 bits are not supported")
            if bits == 8:
                return ImageFacts(size, grey, alpha, frames=frames, profiled=profiled)
            deep = image.mode in DEEP
            low, high = _extremes(image)
            if not low <= high < float("inf") or low == -float("inf"):
                return ImageFacts(fault="some values are not finite numbers")
            return ImageFacts(size, grey, alpha, bits, deep, low, high, frames, profiled)
    except Exception as error:  # decoders raise various exceptions for damaged files
        return ImageFacts(fault=reason(error))


@contextmanager
def open_image(path: Path) -> Iterator[ImageFile]:
    """Open an image file without decoding it.

    Pillow gets a file, not its name: of a name it would map an uncompressed TIFF into memory, and scramble the pixels
    of one whose orientation exchanges height and width.

    Raises:
        ValueError: it has too many pixels.
        OSError: it is not an image of a format in `FORMATS`.
    """
    from PIL import Image as Images

    Images.init()
    formats = [name for name in FORMATS if name in Images.OPEN]
    with path.open("rb") as file, Images.open(file, formats=formats) as image:
        if image.width * image.height > MAX_PIXELS:
            raise ValueError(f"{image.height} x {image.width} pixels are more than {MAX_PIXELS}")
        yield image


def reason(error: Exception) -> str:
    """Return why a file cannot be read, on one line."""
    from PIL import UnidentifiedImageError

    if isinstance(error, UnidentifiedImageError):
        return "not an image of a supported format and depth"
    return " ".join(f"damaged: {error}".split())[:200]


def read_picture(path: Path, target: Target) -> Picture:
    """Return an image as a data set needs it.

    Raises:
        Exception: the file is damaged; which one depends on its format.
    """
    import numpy as np
    from PIL import ImageOps

    with open_image(path) as opened:
        bits, key, inverted = _bits(opened, str(opened.tile)), _transparent_value(opened), _is_inverted(opened)
        upright = ImageOps.exif_transpose(opened)
        if upright.mode in DEEP:
            values = np.asarray(upright)
            pixels = _eight_bits(65535 - values if inverted else values, bits, target.value_range)
            alpha = None if key is None else np.where(values == key, 0, 255)
        else:
            pixels, alpha = _layers(upright, key, target.background)
        transparent = alpha is not None and bool((alpha < 255).any())
        if alpha is not None and transparent:
            upright = _composited(pixels, alpha, target.background)
        elif upright.mode in DEEP:
            upright = _image(pixels)
        image = upright.convert("L" if target.grey else "RGB")
    made = np.asarray(resized(image, target.size, target.resize))
    return Picture(made[..., None] if target.grey else made, transparent)


def resized(image: Image, size: tuple[int, int], resize: Resize) -> Image:
    """Return a resized image; bilinear with antialiasing.

    Args:
        image: a Pillow image.
        size: (height, width).
        resize: see `TargetFormat`.
    """
    from PIL import Image as Images, ImageOps

    wanted, smooth = (size[1], size[0]), Images.Resampling.BILINEAR
    if image.size == wanted:
        return image
    if resize == "pad":
        return ImageOps.pad(image, wanted, smooth)
    if resize == "crop":
        return ImageOps.fit(image, wanted, smooth)
    return image.resize(wanted, smooth)


def _size(image: ImageFile) -> tuple[int, int]:
    """Return (height, width) in the orientation that the file names."""
    tags = getattr(image, "tag_v2", {})  # Pillow may or may not have turned the size of a TIFF
    width, height = tags.get(WIDTH, image.width), tags.get(HEIGHT, image.height)
    return (width, height) if image.getexif().get(ORIENTATION, 1) >= TURNED else (height, width)


def _bits(image: ImageFile, raw: str) -> int:
    """Return the bits per value that a file declares, 8 for fewer; 0 if its values have no certain scale.

    Args:
        image: an image that is not decoded yet.
        raw: how its values are stored, in Pillow's words.
    """
    if image.mode not in DEEP:
        return 16 if ";16" in raw.replace("BGR;16", "") else 8  # BGR;16 is 5, 6 and 5 bits
    if "I;12" in raw:
        return 12
    if image.mode.startswith("I;16") or (image.mode == "I" and image.format in {"PNG", "PPM"}):
        return 16
    return 0


def _extremes(image: Image) -> tuple[float, float]:
    """Return the smallest and the largest value; if only their high bytes can be read, with the low bytes filled."""
    import numpy as np

    values = np.asarray(image)
    if image.mode in DEEP:
        low, high = float(values.min()), float(values.max())
        return (65535 - high, 65535 - low) if _is_inverted(image) else (low, high)
    if image.mode == "RGBA":
        values = values[..., :3]
    return 256.0 * int(values.min()), 256.0 * int(values.max()) + 255


def _is_inverted(image: Image) -> bool:
    """Return whether 0 is white in a TIFF with 16 bits, which Pillow does not invert."""
    tags = getattr(image, "tag_v2", {})
    return image.mode.startswith("I;16") and tags.get(PHOTOMETRIC) == 0


def _is_signed(image: Image) -> bool:
    """Return whether a TIFF declares signed values, which Pillow reads as unsigned ones if they have 8 bits."""
    return 2 in getattr(image, "tag_v2", {}).get(SAMPLE_FORMAT, ())


def _is_profiled(image: Image) -> bool:
    """Return whether an image has a colour profile (ICC) that does not call itself sRGB."""
    profile = image.info.get("icc_profile") or b""
    return bool(profile) and not any("sRGB".encode(code) in profile for code in ("ascii", "utf-16-be"))


def _is_layered(image: Image) -> bool:
    """Return whether an image may have transparent pixels."""
    palette = image.palette.mode if image.mode == "P" and image.palette else ""
    return image.mode in LAYERED or "transparency" in image.info or palette.endswith("A")


def _transparent_value(image: ImageFile) -> int | tuple[int, ...] | bytes | None:
    """Return the value of transparent pixels, if the file names one, on the scale of the decoded values.

    Raises:
        ValueError: it is a colour of 16 bits, of which Pillow reads the high bytes only.
    """
    key, raw = image.info.get("transparency"), str(image.tile)
    if isinstance(key, tuple) and ";16" in raw:
        raise ValueError("a transparent colour of 16 bits is not supported")
    scale = {"L;2": 85, "L;4": 17}
    return next((key * factor for name, factor in scale.items() if f"'{name}'" in raw), key) if key else key


def _eight_bits(values: np.ndarray, bits: int, value_range: tuple[float, float] | None) -> np.ndarray:
    """Return deep values as uint8 of the same shape.

    Args:
        values: (height, width).
        bits: declared bits per value.
        value_range: see `Target`.
    """
    import numpy as np

    if value_range is None:
        return (values >> (bits - 8)).astype("uint8")
    low, high = value_range
    return np.rint(np.clip((values.astype("float64") - low) * (255 / (high - low)), 0, 255)).astype("uint8")


def _layers(
    image: Image, key: int | tuple[int, ...] | bytes | None, background: tuple[int, int, int]
) -> tuple[np.ndarray, np.ndarray | None]:
    """Return the pixels of an image with 8 bits, (height, width) or (height, width, 3), and their opacity, or None."""
    import numpy as np

    if not _is_layered(image):
        return np.empty(0), None
    if key is not None:
        image.info["transparency"] = key
    grey = image.mode in GREY and len(set(background)) == 1
    layered = np.asarray(image.convert("LA" if grey else "RGBA"))
    return layered[..., 0] if grey else layered[..., :3], layered[..., -1]


def _composited(pixels: np.ndarray, alpha: np.ndarray, background: tuple[int, int, int]) -> Image:
    """Return pixels on a background.

    Args:
        pixels: uint8 (height, width) or (height, width, 3).
        alpha: (height, width), opacity from 0 to 255.
        background: red, green and blue.
    """
    import numpy as np

    if pixels.ndim == 2 and len(set(background)) > 1:
        pixels = np.repeat(pixels[..., None], 3, axis=2)
    ground = np.array(background[: 1 if pixels.ndim == 2 else 3], dtype="uint32")
    opacity = (alpha if pixels.ndim == 2 else alpha[..., None]).astype("uint32")
    mixed = pixels * opacity + ground * (255 - opacity)
    return _image(((mixed + 127) // 255).astype("uint8"))


def _image(pixels: np.ndarray) -> Image:
    from PIL import Image as Images

    return Images.fromarray(pixels)
