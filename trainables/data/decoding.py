"""Decoding of image files: one size, number of channels and scale of values for a whole data set."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from operator import getitem
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from trainables.data.pixels import ImageFacts, Picture, Resize, Target, read_picture, reason, survey
from trainables.data.text import listed, printable
from trainables.errors import InputError
from trainables.records.descriptions import number_of

if TYPE_CHECKING:
    import numpy as np

Colour = Literal["auto", "grey", "colour"]
Each = Callable[[Callable[[Any], Any], Iterable[Any], str], Iterable[Any]]
"""Applies a function to items, in order; the text describes the purpose."""


@dataclass(frozen=True)
class TargetFormat:
    """Format that decoded images get: size, colour and scale.

    Args:
        size: (height, width), or None if all images already have the same size.
        resize: how images get that size: `stretch`, `pad` (with black borders), or `crop` (to the centre).
        colour: `grey`, `colour`, or `auto`: colour if any image is in colour.
        background: red, green and blue that replace transparency.
        value_range: values of images with more than eight bits that become 0 and 255; None for all of their bits.
    """

    size: tuple[int, int] | None
    resize: Resize
    colour: Colour
    background: tuple[int, int, int] = (255, 255, 255)
    value_range: tuple[float, float] | None = None


@dataclass(frozen=True)
class Decoded:
    """Decoded images.

    Args:
        images: uint8 (n, height, width, channels).
        kept: int64 (n,), indices of the files that were decoded.
        bad: reasons why the other files could not be decoded, by path.
        notes: messages for the user.
    """

    images: np.ndarray
    kept: np.ndarray
    bad: dict[str, str]
    notes: tuple[str, ...] = ()


def one_by_one(function: Callable[[Any], Any], items: Iterable[Any], title: str) -> Iterable[Any]:
    """Apply a function to each item."""
    return map(function, items)


def survey_files(root: Path, files: Sequence[str], each: Each = one_by_one) -> list[ImageFacts]:
    """Return the facts about each file."""
    return list(each(lambda file: survey(root / file), files, f"reading {number_of(len(files), 'file')}"))


def new_array(shape: tuple[int, ...]) -> np.ndarray:
    """Return an array of bytes, uint8 of the given shape."""
    import numpy as np

    return np.zeros(shape, dtype="uint8")


def decode_files(
    root: Path,
    files: Sequence[str],
    target_format: TargetFormat,
    facts: Sequence[ImageFacts] | None = None,
    each: Each = one_by_one,
    make: Callable[[tuple[int, ...]], np.ndarray] = new_array,
    pick: Callable[[Any, Any], Any] = getitem,
) -> Decoded:
    """Return the images of files.

    Args:
        root: the folder that file names are relative to.
        files: distinct file names.
        target_format: size, colour and scale of the images.
        facts: what is known about the files, if they have been surveyed.
        each: applies a function to all files.
        make: makes the array of all images. Those that cannot be decoded are left out of the result.
        pick: returns those that are not left out, given all images and their positions.

    Raises:
        InputError: the images have different sizes and `target_format` has none, values have no certain scale, or no
            file can be decoded.
    """
    import numpy as np

    facts = survey_files(root, files, each) if facts is None else facts
    target = choose_target(root, files, facts, target_format)
    images = make((len(files), *target.size, 1 if target.grey else 3))

    def put(place: int) -> tuple[str, bool]:
        if facts[place].fault:
            return facts[place].fault, False
        try:
            picture: Picture = read_picture(root / files[place], target)
        except Exception as error:  # decoders raise various exceptions for damaged files
            return reason(error), False
        images[place] = picture.pixels
        return "", picture.transparent

    results = list(each(put, range(len(files)), f"decoding {number_of(len(files), 'image')}"))
    kept = np.flatnonzero([not fault for fault, _ in results])
    if not len(kept):
        raise InputError(_unreadable(root, files, results[0][0]))
    bad = {file: fault for file, (fault, _) in zip(files, results, strict=True) if fault}
    transparent = sum(is_transparent for _, is_transparent in results)
    return Decoded(pick(images, kept) if bad else images, kept, bad, notes_on(files, facts, target, transparent))


def choose_target(root: Path, files: Sequence[str], facts: Sequence[ImageFacts], target_format: TargetFormat) -> Target:
    """Return what all images become: their size, channels and scale.

    Raises:
        InputError: see `decode_files`.
    """
    if all(each.fault for each in facts):
        raise InputError(_unreadable(root, files, facts[0].fault))
    check_scale(root, files, facts, target_format.value_range)
    is_tinted = len(set(target_format.background)) > 1
    grey = all(each.grey and not (each.alpha and is_tinted) for each in facts if not each.fault)
    grey = target_format.colour == "grey" or (target_format.colour == "auto" and grey)
    size = target_format.size or common_size(root, facts)
    return Target(size, target_format.resize, grey, target_format.background, target_format.value_range)


def common_size(root: Path, facts: Sequence[ImageFacts]) -> tuple[int, int]:
    """Return the size of all images.

    Raises:
        InputError: there are several.
    """
    sizes = Counter(each.size for each in facts if not each.fault)
    if len(sizes) > 1:
        common = ", ".join(f"{height} x {width} ({count})" for (height, width), count in sizes.most_common(3))
        raise InputError(
            f"{printable(root)}: the images have {len(sizes)} different sizes (height x width), most often {common}; "
            "set `size`, and `resize` to stretch, pad or crop"
        )
    return next(iter(sizes))


def check_scale(
    root: Path, files: Sequence[str], facts: Sequence[ImageFacts], value_range: tuple[float, float] | None
) -> None:
    """Refuse images whose values have no certain scale; it is the same for all images of a data set.

    Raises:
        InputError: there are some.
    """
    known = [(file, each) for file, each in zip(files, facts, strict=True) if not each.fault]
    deep = [(file, each) for file, each in known if each.bits != 8]
    if value_range is not None:
        other = [file for file, each in known if not each.deep]
        if other:
            raise InputError(
                f"{printable(root)}: `value_range` applies to grey images with more than eight bits, but others are "
                f"among them: {listed(other)}. Convert these, or remove `value_range`"
            )
        return
    if not deep:
        return
    low, high = min(each.low for _, each in deep), max(each.high for _, each in deep)
    uncertain = [file for file, each in deep if each.bits == 0]
    found = f"their values are from {low:g} to {high:g}"
    if uncertain:
        raise InputError(
            f"{printable(root)}: {len(uncertain)} image(s) have floating-point or 32-bit values, which have no certain "
            f"scale ({found}): {listed(uncertain)}. Set `value_range` to the values that are black and white"
        )
    highest = max((each.high for _, each in deep if each.bits == 16), default=65535)
    if highest < 32768:
        bits = max(8, int(highest).bit_length())
        wanted = (
            f"Set `value_range: [0, {2**bits - 1}]` if they have {bits} bits, or `[0, 65535]`"
            if all(each.deep for _, each in deep)
            else "Convert them to images with 8 bits"
        )
        raise InputError(
            f"{printable(root)}: {len(deep)} image(s) have 16 bits, but use only the lower {bits} ({found}), so "
            f"their scale is not certain: {listed([file for file, _ in deep])}. {wanted}"
        )


def notes_on(files: Sequence[str], facts: Sequence[ImageFacts], target: Target, transparent: int) -> tuple[str, ...]:
    """Return messages about images that were changed in ways that the user may not expect."""
    found = []
    if transparent:
        ground = ", ".join(str(value) for value in target.background)
        found.append(
            f"{transparent} image(s) have transparent pixels, which are shown on the background ({ground}); "
            "`background` changes it"
        )
    several = [file for file, each in zip(files, facts, strict=True) if each.frames > 1]
    if several:
        found.append(f"{len(several)} file(s) contain several images, of which the first is used: {listed(several)}")
    profiled = [file for file, each in zip(files, facts, strict=True) if each.profiled]
    if profiled:
        found.append(
            f"{len(profiled)} file(s) have a colour profile other than sRGB, which is not applied: {listed(profiled)}; "
            "convert them to sRGB if colours matter"
        )
    depths = Counter(each.bits for each in facts if not each.fault)
    if target.value_range is None and len(depths) > 1:
        parts = " and ".join(f"{count} with {bits} bits" for bits, count in sorted(depths.items()))
        found.append(f"the images have different depths, {parts} per value; each is reduced to 8 bits by its own depth")
    if target.value_range is not None:
        low, high = target.value_range
        beyond = sum(not low <= each.low <= each.high <= high for each in facts if not each.fault)
        if beyond:
            found.append(f"{beyond} image(s) have values outside of `value_range`, which are black or white")
    return tuple(found)


def _unreadable(root: Path, files: Sequence[str], fault: str) -> str:
    return f"{printable(root)}: none of {len(files)} files can be read as an image; {printable(files[0])}: {fault}"
