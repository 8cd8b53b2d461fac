"""Pages of a TIFF that are more, or less, than pictures; floats with alpha. By tifffile."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile

from aindnet.errors import ImageReadError
from aindnet.photo import lone_page, open_photo, read_image
from photo_samples import HEIGHT, WIDTH, pass_through, picture, save_tiff

STACK = np.stack([picture("uint16", 1)] * 5)


@pytest.mark.parametrize("options", [{"imagej": True}, {"photometric": "minisblack"}])
def test_frames_without_pages_are_named(tmp_path: Path, options: dict[str, object]) -> None:
    for name, truncate in (("whole", False), ("single", True)):
        tifffile.imwrite(tmp_path / f"{name}.tif", STACK, truncate=truncate, **options)
    with open_photo(tmp_path / "whole.tif") as photo:
        assert len(photo.pages) == 5
    with pytest.raises(ImageReadError, match="save each frame as a page first"):
        open_photo(tmp_path / "single.tif")
    tifffile.imwrite(tmp_path / "one.tif", STACK[:1], truncate=True, **options)
    with open_photo(tmp_path / "one.tif") as photo:
        assert len(photo.pages) == 1


@pytest.mark.parametrize("options", [{"imagej": True}, {"photometric": "minisblack"}])
def test_a_page_that_was_taken_out_of_a_stack_is_a_photo(
    tmp_path: Path, options: dict[str, object]
) -> None:
    tifffile.imwrite(tmp_path / "stack.tif", STACK, truncate=True, **options)
    with tifffile.TiffFile(tmp_path / "stack.tif") as stack:
        said = stack.pages[0].description
    tifffile.imwrite(tmp_path / "page.tif", STACK[0], description=said, metadata=None)
    with open_photo(tmp_path / "page.tif") as photo:
        assert len(photo.pages) == 1


def test_xmp_of_another_type_without_thumbnails_stays_as_it_is(tmp_path: Path) -> None:
    packet = b"<x:xmpmeta xmlns:x='adobe:ns:meta/'></x:xmpmeta>".ljust(80)
    tag = (700, 4, 20, np.frombuffer(packet, "<u4"), True)
    tifffile.imwrite(tmp_path / "in.tif", picture(), extratags=[tag], metadata=None)
    pass_through(tmp_path / "in.tif", tmp_path / "out.tif")
    with tifffile.TiffFile(tmp_path / "out.tif") as file:
        assert file.pages[0].tags[700].dtype == tifffile.DATATYPE.LONG
        assert np.asarray(file.pages[0].tags[700].value, "<u4").tobytes() == packet


def test_masks_are_left_out(tmp_path: Path) -> None:
    pictures = [picture(), picture()[::-1]]
    with tifffile.TiffWriter(tmp_path / "in.tif") as file:
        for page in pictures:
            file.write(page, photometric="rgb", metadata=None)
            file.write(page[..., 0] > 128, photometric=4, subfiletype=4, metadata=None)
    assert pass_through(tmp_path / "in.tif", tmp_path / "out.tif") == [
        "pages that are masks of others left out"
    ]
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "out.tif", key=[0, 1]), pictures)
    tifffile.imwrite(tmp_path / "mask.tif", picture()[..., 0] > 128, photometric=4, subfiletype=4)
    with pytest.raises(ImageReadError, match="a mask of another picture"):
        open_photo(tmp_path / "mask.tif")


@pytest.mark.parametrize("photometric", ["minisblack", "miniswhite"])
def test_grey_floats_are_taken_apart_from_their_alpha(tmp_path: Path, photometric: str) -> None:
    straight = np.abs(picture("float32", 1))
    alpha = np.linspace(0.25, 1.0, WIDTH, dtype=np.float32) * np.ones((HEIGHT, 1), np.float32)
    image = np.stack([straight * alpha, alpha], axis=2)
    options = {"photometric": photometric, "planarconfig": "contig"}
    save_tiff(tmp_path / "in.tif", image, extrasamples=["assocalpha"], **options)
    (notice,) = pass_through(tmp_path / "in.tif", tmp_path / "out.tif")
    assert "alpha that was multiplied" in notice
    expected = straight if photometric == "minisblack" else 1 - straight
    after = tifffile.imread(tmp_path / "out.tif")
    np.testing.assert_allclose(after[..., 0], expected, atol=1e-6)
    np.testing.assert_array_equal(after[..., 1], alpha)
    np.testing.assert_array_equal(read_image(tmp_path / "in.tif"), after[..., 0])


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_plain_arrays_have_white_where_the_photo_has(tmp_path: Path, dtype: str) -> None:
    image = picture(dtype, 1)
    save_tiff(tmp_path / "in.tif", image, photometric="miniswhite")
    white = 1 if dtype == "float32" else 255
    np.testing.assert_array_equal(read_image(tmp_path / "in.tif"), white - image)


def test_floats_that_become_integers_get_their_predictor(tmp_path: Path) -> None:
    from aindnet.photo.arrays import vips_image

    lab = vips_image(picture()).colourspace("lab")
    lab.tiffsave(str(tmp_path / "in.tif"), compression="deflate", predictor="float")
    assert tifffile.TiffFile(tmp_path / "in.tif").pages[0].predictor == 3
    (notice,) = pass_through(tmp_path / "in.tif", tmp_path / "out.tif")
    assert "converted to sRGB" in notice
    with tifffile.TiffFile(tmp_path / "out.tif") as file:
        assert file.pages[0].predictor == 2
        assert np.abs(file.asarray() / 257 - picture()).max() < 1


def test_a_page_is_opened_without_a_walk_to_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pages = np.arange(40, dtype=np.uint8)[:, None, None] * np.ones((1, 16, 16), np.uint8)
    tifffile.imwrite(tmp_path / "in.tif", pages, photometric="minisblack")
    read: list[int] = []
    plain = lone_page.LonePage._directory

    def counted(self: lone_page.LonePage, place: int) -> list[tuple[int, bytes]]:
        read.append(place)
        return plain(self, place)

    monkeypatch.setattr(lone_page.LonePage, "_directory", counted)
    with open_photo(tmp_path / "in.tif") as photo:
        assert len(read) <= 3 * len(pages)
        assert [int(page.reader.read(0, 1)[0, 0, 0]) for page in photo.pages] == list(range(40))


def test_content_credentials_are_left_out(tmp_path: Path) -> None:
    tag = (52545, 7, 8, b"manifest", True)
    save_tiff(tmp_path / "in.tif", picture(), extratags=[tag])
    for suffix in ("tif", "jpg"):
        (notice,) = pass_through(tmp_path / "in.tif", tmp_path / f"out.{suffix}")
        assert "content credentials left out" in notice
        assert b"manifest" not in (tmp_path / f"out.{suffix}").read_bytes()
