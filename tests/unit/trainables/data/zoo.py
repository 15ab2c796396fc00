"""A zoo of image files: every depth, mode and orientation, with the values that they must give."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

HEIGHT, WIDTH = 6, 5
ORIENTATION = 0x0112
RNG = np.random.default_rng(0)
BYTES = RNG.integers(0, 256, (HEIGHT, WIDTH), dtype="uint8")
COLOURS = RNG.integers(0, 256, (HEIGHT, WIDTH, 3), dtype="uint8")
WORDS = RNG.integers(0, 65536, (HEIGHT, WIDTH), dtype="uint16")
WORDS[0, 0] = 65535
WIDE = RNG.integers(0, 65536, (HEIGHT, WIDTH, 3), dtype="uint16")
WIDE[0, 0] = 65535
ALPHA = RNG.integers(0, 256, (HEIGHT, WIDTH), dtype="uint8")
ALPHA[0, :2] = 0, 255
BITS = RNG.integers(0, 2, (HEIGHT, WIDTH), dtype="uint8")
NIBBLES = RNG.integers(0, 16, (HEIGHT, WIDTH), dtype="uint8")
PALETTE = RNG.integers(0, 256, (16, 3), dtype="uint8")


class Animal(NamedTuple):
    """A file and its pixels.

    Args:
        name: file name.
        write: writes it.
        pixels: (height, width) or (height, width, 3), what it must give.
    """

    name: str
    write: Callable[[Path], object]
    pixels: np.ndarray


def on(colours: np.ndarray, alpha: np.ndarray, ground: int = 255) -> np.ndarray:
    """Return colours on a background, in exact arithmetic, rounded to the nearest integer."""
    opacity = (alpha[..., None] if colours.ndim == 3 else alpha).astype("float64") / 255
    return np.floor(colours * opacity + ground * (1 - opacity) + 0.5 + 1e-9).astype("uint8")


def saved(pixels: np.ndarray, mode: str = "", **options: object) -> Callable[[Path], object]:
    image = Image.fromarray(pixels)
    return lambda path: (image.convert(mode) if mode else image).save(path, **options)


def png(path: Path, depth: int, colour: int, rows: bytes, *chunks: tuple[bytes, bytes]) -> None:
    """Write a PNG from rows of samples, without filters."""

    def chunk(name: bytes, content: bytes) -> bytes:
        checksum = zlib.crc32(name + content)
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", checksum)

    length = len(rows) // HEIGHT
    lines = b"".join(b"\0" + rows[row * length : (row + 1) * length] for row in range(HEIGHT))
    head = struct.pack(">IIBBBBB", WIDTH, HEIGHT, depth, colour, 0, 0, 0)
    parts = [(b"IHDR", head), *chunks, (b"IDAT", zlib.compress(lines)), (b"IEND", b"")]
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in parts))


def packed(values: np.ndarray, bits: int) -> bytes:
    """Return samples of fewer than eight or of 10 or 12 bits, most significant bit first, rows padded to bytes."""
    planes = (values[..., None] >> np.arange(bits - 1, -1, -1)) & 1
    return np.packbits(planes.reshape(len(values), -1).astype("uint8"), axis=1).tobytes()


def tiff(path: Path, bits: int, content: bytes, photometric: int = 1, kind: int = 1, samples: int = 1) -> None:
    """Write a little-endian TIFF of one strip; `kind` is 1 for unsigned, 2 for signed integers and 3 for floats."""
    depths = struct.pack("<H", bits) * samples
    entries = [
        (256, 3, 1, WIDTH), (257, 3, 1, HEIGHT), (258, 3, 1, bits), (259, 3, 1, 1), (262, 3, 1, photometric),
        (273, 4, 1, 8), (277, 3, 1, samples), (278, 3, 1, HEIGHT), (279, 4, 1, len(content)), (339, 3, 1, kind),
    ]  # fmt: skip
    if samples > 1:
        place = 8 + len(content)
        entries[2] = (258, 3, samples, place)
        content += depths + depths[: len(depths) % 2]
    table = b"".join(struct.pack("<HHII", *entry) for entry in entries)
    start = 8 + len(content) + len(content) % 2
    body = content + b"\0" * (len(content) % 2)
    path.write_bytes(struct.pack("<2sHI", b"II", 42, start) + body + struct.pack("<H", len(entries)) + table + bytes(4))


def cmyk(inks: np.ndarray) -> np.ndarray:
    """Return the colour of inks, (height, width, 4): each ink and black take away light."""
    light = 255 - inks.astype("float64")
    return np.clip(light[..., 3:] - np.rint(inks[..., :3] * light[..., 3:] / 255), 0, 255).astype("uint8")


def palette_image(transparency: bytes = b"") -> Image.Image:
    image = Image.fromarray(NIBBLES, "P")
    image.putpalette(PALETTE.tobytes())
    if transparency:
        image.info["transparency"] = transparency
    return image


INKS = RNG.integers(0, 256, (HEIGHT, WIDTH, 4), dtype="uint8")
WORDS_12 = WORDS >> 4
KEYED = np.where(BYTES[2, 2] == BYTES, 0, 255).astype("uint8")
CLEAR = bytes(range(0, 256, 16))
LAYERS = np.dstack([COLOURS, ALPHA])
GREY = [
    Animal("bits1.png", lambda path: png(path, 1, 0, packed(BITS, 1)), BITS * 255),
    Animal("bits1.tiff", saved(BITS * 255, "1"), BITS * 255),
    Animal("bits2.png", lambda path: png(path, 2, 0, packed(NIBBLES & 3, 2)), (NIBBLES & 3) * 85),
    Animal("bits4.png", lambda path: png(path, 4, 0, packed(NIBBLES, 4)), NIBBLES * 17),
    Animal("bits8.png", saved(BYTES), BYTES),
    Animal("bits8.bmp", saved(BYTES), BYTES),
    Animal("bits8.tiff", saved(BYTES), BYTES),
    Animal("white0_8.tiff", lambda path: tiff(path, 8, BYTES.tobytes(), photometric=0), 255 - BYTES),
    Animal("bits12.tiff", lambda path: tiff(path, 12, packed(WORDS_12, 12)), (WORDS_12 >> 4).astype("uint8")),
    Animal("bits16.png", saved(WORDS), (WORDS >> 8).astype("uint8")),
    Animal("bits16.tiff", saved(WORDS), (WORDS >> 8).astype("uint8")),
    Animal("bits16_lzw.tiff", saved(WORDS, compression="tiff_lzw"), (WORDS >> 8).astype("uint8")),
    Animal("big16.tiff", lambda path: Image.fromarray(WORDS.astype(">u2")).save(path), (WORDS >> 8).astype("uint8")),
    Animal(
        "white0_16.tiff",
        lambda path: tiff(path, 16, WORDS.astype("<u2").tobytes(), photometric=0),
        ((65535 - WORDS) >> 8).astype("uint8"),
    ),
    Animal(
        "bits16.pgm",
        lambda path: path.write_bytes(b"P5 %d %d 65535\n" % (WIDTH, HEIGHT) + WORDS.astype(">u2").tobytes()),
        (WORDS >> 8).astype("uint8"),
    ),
    Animal("alpha8.png", saved(np.dstack([BYTES, ALPHA])), on(BYTES, ALPHA)),
    Animal(
        "alpha16.png",
        lambda path: png(path, 16, 4, np.dstack([WORDS, ALPHA.astype("uint16") * 257]).astype(">u2").tobytes()),
        on((WORDS >> 8).astype("uint8"), ALPHA),
    ),
    Animal("key8.png", saved(BYTES, transparency=int(BYTES[2, 2])), on(BYTES, KEYED)),
    Animal(
        "key4.png",
        lambda path: png(path, 4, 0, packed(NIBBLES, 4), (b"tRNS", struct.pack(">H", int(NIBBLES[2, 2])))),
        np.where(NIBBLES[2, 2] == NIBBLES, 255, NIBBLES * 17).astype("uint8"),
    ),
    Animal(
        "key16.png",
        lambda path: png(path, 16, 0, WORDS.astype(">u2").tobytes(), (b"tRNS", struct.pack(">H", int(WORDS[2, 2])))),
        np.where(WORDS[2, 2] == WORDS, 255, WORDS >> 8).astype("uint8"),
    ),
]
COLOUR = [
    Animal("rgb8.png", saved(COLOURS), COLOURS),
    Animal("rgb8.bmp", saved(COLOURS), COLOURS),
    Animal("rgb8.tiff", saved(COLOURS), COLOURS),
    Animal("rgb8.webp", saved(COLOURS, lossless=True), COLOURS),
    Animal("rgb16.png", lambda path: png(path, 16, 2, WIDE.astype(">u2").tobytes()), (WIDE >> 8).astype("uint8")),
    Animal(
        "rgb16.tiff",
        lambda path: tiff(path, 16, WIDE.astype("<u2").tobytes(), photometric=2, samples=3),
        (WIDE >> 8).astype("uint8"),
    ),
    Animal("rgba8.png", saved(LAYERS), on(COLOURS, ALPHA)),
    Animal("rgba8.tiff", saved(LAYERS), on(COLOURS, ALPHA)),
    Animal("rgba8.webp", saved(LAYERS, lossless=True, exact=True), on(COLOURS, ALPHA)),
    Animal(
        "rgba16.png",
        lambda path: png(path, 16, 6, np.dstack([WIDE, ALPHA.astype("uint16") * 257]).astype(">u2").tobytes()),
        on((WIDE >> 8).astype("uint8"), ALPHA),
    ),
    Animal("opaque.png", saved(np.dstack([COLOURS, np.full_like(ALPHA, 255)])), COLOURS),
    Animal("palette.png", lambda path: palette_image().save(path), PALETTE[NIBBLES]),
    Animal("palette.gif", lambda path: palette_image().save(path), PALETTE[NIBBLES]),
    Animal(
        "palette_clear.png",
        lambda path: palette_image(CLEAR).save(path),
        on(PALETTE[NIBBLES], np.frombuffer(CLEAR, "uint8")[NIBBLES]),
    ),
    Animal(
        "key.png",
        saved(COLOURS, transparency=tuple(COLOURS[2, 2].tolist())),
        on(COLOURS, np.where((COLOURS[2, 2] == COLOURS).all(axis=-1), 0, 255)),
    ),
    Animal("cmyk.tiff", lambda path: Image.fromarray(INKS, "CMYK").save(path), cmyk(INKS)),
]
TURNS: dict[int, Callable[[np.ndarray], np.ndarray]] = {
    1: lambda pixels: pixels,
    2: lambda pixels: pixels[:, ::-1],
    3: lambda pixels: pixels[::-1, ::-1],
    4: lambda pixels: pixels[::-1],
    5: lambda pixels: np.swapaxes(pixels, 0, 1),
    6: lambda pixels: np.rot90(pixels, -1),
    7: lambda pixels: np.swapaxes(pixels[::-1, ::-1], 0, 1),
    8: np.rot90,
}
"""What an EXIF orientation does to the stored pixels."""


def turned(image: Image.Image, path: Path, orientation: int) -> None:
    """Write an image, without loss where its format allows, with an orientation."""
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    options: dict[str, object] = {".webp": {"lossless": True}, ".jpg": {"quality": 100}}.get(path.suffix, {})
    if path.suffix == ".tiff":
        image.save(path, tiffinfo={ORIENTATION: orientation})
    else:
        image.save(path, exif=exif, **options)
