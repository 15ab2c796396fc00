"""Decoding of image files: in parallel, once, into a memory-mapped cache keyed by content."""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from trainables.errors import InputError
from trainables.records.atomic import write_atomically

if TYPE_CHECKING:
    import numpy as np
    from PIL.Image import Image

Resize = Literal["stretch", "pad", "crop"]
Colour = Literal["auto", "grey", "colour"]
GREY_MODES = {"1", "L", "LA", "I", "I;16", "I;16B", "I;16L", "F"}
CACHE_FOLDER = "ASSAY_CACHE"
"""Environment variable of the cache for decoded images, by default `assay` in the user's cache folder."""
FORMAT = 1
"""Version of the cache's format."""
SHOWN = 10
"""Maximum number of files that a message lists."""
In = TypeVar("In")
Out = TypeVar("Out")


@dataclass(frozen=True)
class Shape:
    """Target shape of decoded images.

    Args:
        size: (height, width), or None if all images already have the same size.
        resize: how images get that size: `stretch`, `pad` (with black borders), or `crop` (to the centre).
        colour: `grey`, `colour`, or `auto`: colour if any image is in colour.
    """

    size: tuple[int, int] | None
    resize: Resize
    colour: Colour


@dataclass(frozen=True)
class Decoded:
    """Decoded images.

    Args:
        images: uint8 (n, height, width, channels), read-only, memory-mapped from the cache.
        kept: int64 (n,), indices of the files that were decoded.
        bad: reasons why the other files could not be decoded, by path.
    """

    images: np.ndarray
    kept: np.ndarray
    bad: dict[str, str]


@dataclass(frozen=True)
class _Header:
    digest: str
    size: tuple[int, int] = (0, 0)
    grey: bool = True
    fault: str = ""


def cache_folder() -> Path:
    """Return the folder of the cache for decoded images."""
    if CACHE_FOLDER in os.environ:
        return Path(os.environ[CACHE_FOLDER]).expanduser()
    if sys.platform == "win32" and "LOCALAPPDATA" in os.environ:
        return Path(os.environ["LOCALAPPDATA"]) / "assay" / "cache"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "assay"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "assay"


def decode(root: Path, files: Sequence[str], shape: Shape) -> Decoded:
    """Return the images of files, from the cache if files with the same contents were decoded before.

    Files whose names, sizes and modification times are those of an earlier call are assumed to be unchanged.

    Args:
        root: the folder that file names are relative to.
        files: distinct file names.
        shape: target shape of the images.

    Raises:
        InputError: If the images have different sizes and `shape` has none, or no file can be decoded.
    """
    stats = [(root / file).stat() for file in files]
    listing = [[file, stat.st_size, stat.st_mtime_ns] for file, stat in zip(files, stats, strict=True)]
    seen = cache_folder() / "seen" / _digest([FORMAT, str(root.resolve()), listing, asdict(shape)])
    key = seen.read_text() if seen.is_file() else ""
    if not key or not (cache_folder() / key / "images.npy").is_file():
        headers = _parallel(lambda file: _header(root / file), files, f"reading {len(files)} files")
        key = _digest([FORMAT, [header.digest for header in headers], list(files), asdict(shape)])
        if not (cache_folder() / key / "images.npy").is_file():
            _write(cache_folder() / key, root, files, headers, shape)
        write_atomically(seen, key)
    return _read(cache_folder() / key)


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value).encode()).hexdigest()[:40]


def _read(folder: Path) -> Decoded:
    import numpy as np

    images = np.load(folder / "images.npy", mmap_mode="r")
    facts = json.loads((folder / "files.json").read_text(encoding="utf-8"))
    return Decoded(images.view(np.ndarray), np.array(facts["kept"], dtype="int64"), facts["bad"])


def _write(folder: Path, root: Path, files: Sequence[str], headers: Sequence[_Header], shape: Shape) -> None:
    """Decode all files into a new folder of the cache, which appears once it is complete."""
    import numpy as np

    size = shape.size or _common_size(root, files, headers)
    grey = shape.colour == "grey" or (shape.colour == "auto" and all(header.grey for header in headers))
    folder.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(dir=folder.parent, prefix="decoding-"))
    try:
        target = np.lib.format.open_memmap(
            scratch / "images.npy", mode="w+", dtype=np.uint8, shape=(len(files), *size, 1 if grey else 3)
        )

        def put(place: int) -> str:
            if headers[place].fault:
                return headers[place].fault
            try:
                target[place] = _pixels(root / files[place], size, shape.resize, grey)
            except Exception as error:  # decoders raise various exceptions for damaged files
                return _reason(error)
            return ""

        faults = _parallel(put, range(len(files)), f"decoding {len(files)} images")
        kept = [place for place, fault in enumerate(faults) if not fault]
        if not kept:
            raise InputError(f"{root}: none of {len(files)} files can be read as an image; {files[0]}: {faults[0]}")
        if len(kept) < len(files):
            _compact(scratch / "images.npy", target, kept)
        target.flush()
        bad = {file: fault for file, fault in zip(files, faults, strict=True) if fault}
        (scratch / "files.json").write_text(json.dumps({"kept": kept, "bad": bad}), encoding="utf-8")
        if not folder.exists():
            scratch.rename(folder)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _compact(path: Path, images: np.ndarray, kept: list[int]) -> None:
    """Rewrite the file with only the images that were decoded."""
    import numpy as np

    good = np.lib.format.open_memmap(
        path.with_suffix(".good"), mode="w+", dtype=np.uint8, shape=(len(kept), *images.shape[1:])
    )
    for new, old in enumerate(kept):
        good[new] = images[old]
    good.flush()
    path.with_suffix(".good").replace(path)


def _header(path: Path) -> _Header:
    """Return the digest of a file, and the size and colour of its image or the reason why it has none."""
    content = path.read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    from PIL import Image

    try:
        with Image.open(io.BytesIO(content)) as image:
            turned = image.getexif().get(0x0112, 1) >= 5
            width, height = image.size
            return _Header(digest, (width, height) if turned else (height, width), image.mode in GREY_MODES)
    except Exception as error:
        return _Header(digest, fault=_reason(error))


def _reason(error: Exception) -> str:
    from PIL import UnidentifiedImageError

    return "not an image" if isinstance(error, UnidentifiedImageError) else f"damaged: {error}"[:200]


def _common_size(root: Path, files: Sequence[str], headers: Sequence[_Header]) -> tuple[int, int]:
    sizes = Counter(header.size for header in headers if not header.fault)
    if not sizes:
        raise InputError(f"{root}: none of {len(files)} files can be read as an image; {files[0]}: {headers[0].fault}")
    if len(sizes) > 1:
        common = ", ".join(f"{height} x {width} ({count})" for (height, width), count in sizes.most_common(3))
        raise InputError(
            f"{root}: the images have {len(sizes)} different sizes (height x width), most often {common}; set `size`, "
            "and `resize` to stretch, pad or crop"
        )
    return next(iter(sizes))


def _pixels(path: Path, size: tuple[int, int], resize: Resize, grey: bool) -> np.ndarray:
    """Return an image as uint8 (height, width, channels)."""
    import numpy as np
    from PIL import Image, ImageOps

    with Image.open(path) as opened:
        image = ImageOps.exif_transpose(_eight_bits(opened)).convert("L" if grey else "RGB")
    pixels = np.asarray(resized(image, size, resize))
    return pixels[..., None] if grey else pixels


def _eight_bits(image: Image) -> Image:
    """Return an image with 16-bit grey values, if it has them, reduced to 8 bits."""
    import numpy as np
    from PIL import Image as Images

    if not image.mode.startswith("I"):
        return image
    values = np.asarray(image)
    return Images.fromarray((values >> 8 if values.max(initial=0) > 255 else values).astype("uint8"))


def resized(image: Image, size: tuple[int, int], resize: Resize) -> Image:
    """Return a resized image; bilinear with antialiasing.

    Args:
        image: a Pillow image.
        size: (height, width).
        resize: see `Shape`.
    """
    from PIL import Image as Images
    from PIL import ImageOps

    wanted, smooth = (size[1], size[0]), Images.Resampling.BILINEAR
    if image.size == wanted:
        return image
    if resize == "pad":
        return ImageOps.pad(image, wanted, smooth)
    if resize == "crop":
        return ImageOps.fit(image, wanted, smooth)
    return image.resize(wanted, smooth)


def _parallel(function: Callable[[In], Out], items: Iterable[In], title: str) -> list[Out]:
    """Apply a function to all items in parallel, with a progress bar if stderr is a terminal; keep the order."""
    from rich.console import Console
    from rich.progress import track

    items = list(items)
    console = Console(stderr=True)
    with ThreadPoolExecutor(max_workers=min(32, (os.cpu_count() or 1) + 1)) as pool:
        results = pool.map(function, items, chunksize=16)
        shown = track(results, title, len(items), console=console, transient=True, disable=not console.is_terminal)
        return list(shown)
