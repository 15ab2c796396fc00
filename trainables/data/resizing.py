"""Resizing of images in memory, by the rules of image files."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from trainables.data.base import Dataset, Source
from trainables.data.pixels import Resize, resized

if TYPE_CHECKING:
    import numpy as np

Side = Annotated[int, Field(ge=1, le=4096)]
Size = Side | tuple[Side, Side]


class ResizableSource(Source):
    """Base class of sources whose images can be resized when they are loaded."""

    size: Annotated[Size | None, Field(description="pixels: one side of a square, or [height, width]")] = None
    resize: Annotated[Resize, Field(description="how images get that size")] = "stretch"

    @property
    def height_and_width(self) -> tuple[int, int] | None:
        """The size that images get, or None if they keep theirs."""
        return (self.size, self.size) if isinstance(self.size, int) else self.size

    def at_size(self, data: Dataset) -> Dataset:
        """Return a data set whose images have the source's size."""
        size = self.height_and_width
        if size is None or size == data.images.shape[1:3]:
            return data
        return replace(
            data,
            images=resized_images(data.images, size, self.resize),
            test_images=resized_images(data.test_images, size, self.resize),
        )


def resized_images(images: np.ndarray, size: tuple[int, int], resize: Resize) -> np.ndarray:
    """Return resized images, uint8 (n, *size, channels): bilinear with antialiasing, as for image files.

    Args:
        images: uint8 (n, height, width, channels), with 1 or 3 channels.
        size: (height, width).
        resize: `stretch`, `pad` or `crop`.

    Examples:
        >>> import numpy as np
        >>> resized_images(np.full((2, 28, 28, 1), 7, "uint8"), (14, 14), "stretch").shape
        (2, 14, 14, 1)
    """
    import numpy as np
    from PIL import Image

    made = np.empty((len(images), *size, images.shape[3]), dtype="uint8")
    for place, image in enumerate(images):
        picture = Image.fromarray(image[..., 0] if image.shape[2] == 1 else image)
        made[place] = np.asarray(resized(picture, size, resize)).reshape(made.shape[1:])
    return made
