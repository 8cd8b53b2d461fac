"""Photos as training reads them: depths, what is no photo, and how much is held at once."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from aindnet.errors import DatasetError
from aindnet.photo import write_image
from aindnet.training import photos
from aindnet.training.photos import load_photos, load_tiles, read_photo

RAMP = np.tile(np.linspace(0, 1, 256), (256, 1))


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_deep_grey_photos_keep_their_tones(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"deep{suffix}"
    write_image(path, (RAMP * 65535).round().astype(np.uint16))
    photo = read_photo(path, str(path))
    assert photo.dtype == np.uint8
    assert np.abs(photo - (RAMP * 255)[..., None]).max() <= 0.51
    floats = tmp_path / "float.tif"
    write_image(floats, RAMP.astype(np.float32))
    assert np.abs(read_photo(floats, "float") - (RAMP * 255)[..., None]).max() <= 0.51
    write_image(floats, 100 * RAMP.astype(np.float32))
    with pytest.raises(DatasetError, match="x: neither 8 nor 16 bit"):
        read_photo(floats, "x")


def test_what_is_no_photo_is_left_out_or_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Image.new("RGB", (256, 256)).save(tmp_path / "a.png")
    (tmp_path / "._a.png").write_bytes(b"a Mac's")
    (tmp_path / "folder.jpg").mkdir()
    assert len(load_tiles([tmp_path])) == 1
    (tmp_path / "link.jpg").symlink_to(tmp_path / "nowhere.jpg")
    with pytest.raises(DatasetError, match=r"link\.jpg: a broken link"):
        load_tiles([tmp_path])
    (tmp_path / "link.jpg").unlink()
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    with pytest.raises(DatasetError, match=r"a\.png: not readable as a photo"):
        load_tiles([tmp_path])


def test_damaged_photos_are_named_whatever_the_reader_says(tmp_path: Path) -> None:
    turned = struct.pack("<HHIHH", 0x112, 3, 1, 6, 0)
    described = struct.pack("<HHIf", 0x10E, 11, 1, 1.5)  # by a number, where text belongs
    exif = b"Exif\0\0II*\0" + struct.pack("<IH", 8, 2) + described + turned + bytes(4)
    Image.new("RGB", (16, 16)).save(tmp_path / "a.jpg", exif=exif)
    Image.new("RGB", (16, 16)).save(tmp_path / "b.avif")
    content = (tmp_path / "b.avif").read_bytes()
    (tmp_path / "b.avif").write_bytes(content.replace(b"pitm", b"none"))
    for name in ("a.jpg", "b.avif"):
        with pytest.raises(DatasetError, match=f"{name}: not readable as a photo"):
            read_photo(tmp_path / name, name)


def test_few_photos_are_read_ahead(tmp_path: Path) -> None:
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    content = (tmp_path / "a.png").read_bytes()
    read = 0

    def files() -> Iterator[tuple[str, bytes]]:
        nonlocal read
        for read in range(1, 101):  # noqa: B007
            yield "a.png", content

    decoded = photos._decoded(files())
    next(decoded)
    assert read == photos.DECODED_AHEAD
    assert len(list(decoded)) == 99


def test_every_tile_is_of_the_photo_that_its_number_says(tmp_path: Path) -> None:
    for number in range(3):
        Image.fromarray(np.full((64, 96, 3), 50 * number, np.uint8)).save(
            tmp_path / f"{number}.png"
        )
    tiles = load_photos([tmp_path], 32)
    assert tiles.photos.tolist() == [0] * 6 + [1] * 6 + [2] * 6
    assert (tiles.pixels == 50 * tiles.photos[:, None, None, None]).all()


def test_tiles_of_one_photo_lie_together_whatever_the_shards(tmp_path: Path) -> None:
    def save(folder: str, name: str, grey: int, side: int = 256) -> None:
        (tmp_path / folder).mkdir(exist_ok=True)
        Image.new("L", (side, side), grey).save(tmp_path / folder / name)

    for folder, name, grey in (
        ("one", "sea_0_0.png", 1), ("one", "sky_0_0.png", 2), ("one", "sky_0_1.png", 3),
        ("two", "sea_0_1.png", 4), ("two", "sun_3_0.png", 5), ("two", "sea.png", 6),
    ):  # fmt: skip
        save(folder, name, grey)
    for number in (1, 2):  # a camera's names, of whole photos
        save("two", f"IMG_2024_{number}.png", 6 + number, 300)
    found = load_photos([tmp_path / "one", tmp_path / "two"])
    greys = found.pixels[:, 0, 0, 0].tolist()
    assert greys == [1, 4, 2, 3, 7, 8, 6, 5]
    assert found.photos.unique_consecutive(return_counts=True)[1].tolist() == [2, 2, 1, 1, 1, 1]
