"""Contact sheets."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from search.plan.preview import draw_sheet
from trainables.augmentation import make_policy
from trainables.config import RunConfig
from trainables.contact_sheet import COLUMNS, augmentation_rows, method_rows, sample_images, write_sheet
from trainables.errors import InputError


def test_sample_images_are_ten_different_colour_images() -> None:
    images = sample_images()
    assert (images.shape, images.dtype) == ((COLUMNS, 64, 64, 3), np.uint8)
    assert len({image.tobytes() for image in images}) == COLUMNS
    assert np.array_equal(images, sample_images())


def test_a_row_shows_one_image_repeatedly_and_then_others() -> None:
    images = sample_images(side=16)
    rows = augmentation_rows(images, {"crop": make_policy("crop"), "no": make_policy("none")})
    assert np.array_equal(rows["no"], rows["(as they are)"])
    assert len({image.tobytes() for image in rows["no"][: COLUMNS // 2]}) == 1
    assert len({image.tobytes() for image in rows["crop"]}) == COLUMNS


def test_methods_are_shown_in_an_epoch_in_which_they_are_on() -> None:
    images, labels = sample_images(side=16), np.arange(COLUMNS, dtype="int32")
    plain = {"data": "digits", "augmentation": "none", "epochs": 40}
    methods = ("baseline", "sample_pairing", "cutmix", "maxup+mixup")
    configs = {name: RunConfig.from_plain({**plain, "method": name}) for name in methods}
    rows = method_rows(images, labels, configs)
    assert {len(row) for row in rows.values()} == {COLUMNS}
    assert rows["baseline"] == pytest.approx(images, abs=0.01)
    doubled = 2 * rows["sample_pairing"] - images
    assert all(any(np.allclose(each, image, atol=0.5) for image in images) for each in doubled)
    assert not np.allclose(rows["cutmix"], images, atol=1)
    assert not np.allclose(rows["maxup+mixup"][0], rows["maxup+mixup"][1], atol=1)


def test_a_sheet_has_one_row_per_label(tmp_path: Path) -> None:
    grey = np.full((4, 8, 8, 1), 200, dtype="uint8")
    write_sheet(tmp_path / "a.png", {"one": grey, "a name that is long+and is broken into lines": grey / 2})
    with Image.open(tmp_path / "a.png") as opened:
        picture = np.asarray(opened)
    assert picture.shape[2] == 3
    assert {tuple(pixel) for pixel in picture[:, 195]} >= {(200, 200, 200), (100, 100, 100)}
    with pytest.raises(InputError, match="cannot be written"):
        write_sheet(tmp_path / "none" / "a.png", {"one": grey})


def test_a_sheet_can_show_the_images_and_settings_of_a_study(tmp_path: Path) -> None:
    draw_sheet("augmentations", tmp_path / "a.png", "quickstart")
    with Image.open(tmp_path / "a.png") as picture:
        assert picture.size[0] > 500
    with pytest.raises(InputError, match="there is no sheet of `models`"):
        draw_sheet("models", tmp_path / "b.png")
    with pytest.raises(InputError, match="there is no folder"):
        draw_sheet("methods", tmp_path / "none" / "b.png")


@pytest.mark.parametrize("name", ["study.yaml", "photo.png"])
def test_a_sheet_replaces_an_earlier_sheet_and_no_other_file(tmp_path: Path, name: str) -> None:
    grey, path = np.full((4, 8, 8, 1), 200, dtype="uint8"), tmp_path / name
    write_sheet(path, {"one": grey})
    first = path.read_bytes()
    write_sheet(path, {"one": grey // 2})
    assert path.read_bytes() != first
    path.write_text("mine")
    for write in (lambda: write_sheet(path, {"one": grey}), lambda: draw_sheet("methods", path)):
        with pytest.raises(InputError, match="is not a contact sheet of Assay; choose another file"):
            write()
    assert {each.name: each.read_text() for each in tmp_path.iterdir()} == {name: "mine"}
