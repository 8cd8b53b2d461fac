"""RAW files are developed to 16-bit sRGB, upright, with their own metadata."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
import tifffile

from aindnet.errors import ImageReadError
from aindnet.photo import open_photo
from aindnet.photo.formats import RAW
from aindnet.photo.raw import _directory, _metadata
from aindnet.photo.source import SourceFile
from aindnet.photo.tiff import EXIF_IFD
from photo_samples import XMP, exif_block, pass_through, picture, save_dng

pytest.importorskip("rawpy")


def test_a_grey_ramp_comes_out_grey_and_as_bright_as_it_was(tmp_path: Path) -> None:
    with open_photo(save_dng(tmp_path / "a.dng")) as photo:
        assert (photo.height, photo.width, photo.pages[0].dtype) == (64, 96, np.uint16)
        rgb = photo.rows(0, 64)[16:48]
    light = np.clip(np.arange(96) / 96, 0.02, 0.9)
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4).mean(axis=0)
    middle = slice(10, 80)
    # The camera's white balance makes the three channels one; the brightness is not stretched.
    assert np.abs(linear - linear.mean(axis=1, keepdims=True))[middle].max() < 0.02
    ratio = linear[middle].mean(axis=1) / light[middle]
    assert ratio.std() / ratio.mean() < 0.03


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_output_is_an_upright_16_bit_tiff_with_the_metadata(
    tmp_path: Path, orientation: int
) -> None:
    save_dng(tmp_path / "a.dng", orientation)
    notices = pass_through(tmp_path / "a.dng", tmp_path / "a.tif")
    assert notices == []
    with tifffile.TiffFile(tmp_path / "a.tif") as file:
        page = file.pages[0]
        assert page.dtype == np.uint16
        assert page.shape == ((96, 64, 3) if orientation in (6, 8) else (64, 96, 3))
        assert page.tags["Make"].value == "Maker"
        assert page.tags["Orientation"].value == 1
        assert bytes(page.tags["XMP"].value) == XMP
        assert page.tags["InterColorProfile"].count > 100
        assert not {33421, 33422, 50706, 50714} & set(page.tags.keys())


def test_xmp_speaks_of_the_developed_picture(tmp_path: Path) -> None:
    settings = (
        b' xmlns:tiff="http://ns.adobe.com/tiff/1.0/" tiff:Orientation="%d"'
        b' xmlns:crs="http://ns.adobe.com/camera-raw-settings/1.0/"%b/></rdf:RDF>'
    )
    old, new = (
        XMP.replace(b"/></rdf:RDF>", settings % each) for each in ((6, b' crs:Tint="3"'), (1, b""))
    )
    save_dng(tmp_path / "a.dng", 6, old)
    (notice,) = pass_through(tmp_path / "a.dng", tmp_path / "a.tif")
    assert "Camera Raw's settings in the XMP left out" in notice
    with tifffile.TiffFile(tmp_path / "a.tif") as file:
        assert bytes(file.pages[0].tags["XMP"].value) == new


@pytest.mark.parametrize("half_size", [False, True])
def test_white_is_the_sensors_and_not_the_brightest_pixel(tmp_path: Path, half_size: bool) -> None:
    flat = []
    for brightest in (9000, 12500, 15900):
        path = save_dng(tmp_path / f"{brightest}.dng")
        mosaic = tifffile.memmap(path)
        mosaic[:], mosaic[40:44, 60:64] = 4000, brightest
        mosaic.flush()
        with open_photo(path, half_size=half_size) as photo:
            flat.append(photo.rows(0, photo.height)[:10, :15])
    for other in flat[1:]:
        np.testing.assert_array_equal(other, flat[0])


def test_half_size(tmp_path: Path) -> None:
    save_dng(tmp_path / "a.dng")
    with open_photo(tmp_path / "a.dng", half_size=True) as photo:
        assert (photo.height, photo.width) == (32, 48)


def test_a_dng_is_known_by_its_tags_too(tmp_path: Path) -> None:
    save_dng(tmp_path / "a.dng").rename(tmp_path / "a.tif")
    with open_photo(tmp_path / "a.tif") as photo:
        assert photo.pages[0].channels == 3


@pytest.mark.parametrize("keep", [0.02, 0.3, 0.9])
def test_cut_raw_files_are_named(tmp_path: Path, keep: float) -> None:
    data = save_dng(tmp_path / "a.dng").read_bytes()
    (tmp_path / "cut.dng").write_bytes(data[: int(len(data) * keep)])
    with pytest.raises(ImageReadError, match=r"cut\.dng"):
        open_photo(tmp_path / "cut.dng")


def test_canons_ciff_is_handed_to_libraw(tmp_path: Path) -> None:
    path = tmp_path / "a.crw"
    path.write_bytes(b"II\x1a\0\0\0HEAPCCDR" + bytes(2000))
    with SourceFile(path) as source:
        assert source.format is RAW
    with pytest.raises(ImageReadError, match=r"a\.crw: .* LibRaw does not know"):
        open_photo(path)


@pytest.mark.parametrize(
    ("name", "half_size", "told"),
    [
        ("LibRawFileUnsupportedError", False, "update rawpy, convert it to DNG"),
        ("LibRawUnsufficientMemoryError", False, "more memory .* or pass --half-size"),
        ("LibRawUnsufficientMemoryError", True, "more memory .* close other programs$"),
        ("LibRawDataError", False, r"cut short \(LibRaw's words\)"),
    ],
)
def test_what_libraw_cannot_do_is_said_as_it_is(
    tmp_path: Path, name: str, half_size: bool, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import rawpy

    def fail() -> None:
        raise getattr(rawpy, name)(b"LibRaw's words")

    monkeypatch.setattr(rawpy, "RawPy", fail)
    path = save_dng(tmp_path / "a.dng")
    with pytest.raises(ImageReadError, match=told):
        open_photo(path, half_size=half_size)


def test_endless_metadata_is_left_out_with_a_notice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("aindnet.photo.tiff._MAX_TOTAL_BYTES", 100)
    with open_photo(save_dng(tmp_path / "a.dng")) as photo:
        assert any("left out" in notice for notice in photo.notices)


def _box(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I4s", 8 + len(content), kind) + content


def test_metadata_of_canon_cr3_boxes(tmp_path: Path) -> None:
    block = exif_block()
    uuid = bytes.fromhex("85c0b687820f11e08111f4ce462b6a48")
    boxes = _box(b"CNCV", b"CanonCR3") + _box(b"CMT1", block) + _box(b"CMT2", block)
    boxes += _box(b"CMT3", block)
    content = _box(b"ftyp", b"crx \0\0\0\1crx isom")
    content += _box(b"moov", _box(b"free", b"") + _box(b"uuid", uuid + boxes))
    (tmp_path / "a.cr3").write_bytes(content)
    with SourceFile(tmp_path / "a.cr3") as source:
        directory = _directory(source)
        metadata = _metadata(source, 20, 30)
    assert directory is not None
    assert directory.blob(271) == b"Maker\0"
    assert directory.children[EXIF_IFD].blob(272) == b"Model 7\0"
    (notice,) = metadata.notices
    assert notice.startswith("Canon's maker note left out")


def test_metadata_of_fuji_raf_previews(tmp_path: Path) -> None:
    from PIL import Image

    Image.fromarray(picture()).save(tmp_path / "preview.jpg", exif=b"Exif\0\0" + exif_block())
    preview = (tmp_path / "preview.jpg").read_bytes()
    head = b"FUJIFILMCCD-RAW ".ljust(84, b"\0") + struct.pack(">II", 160, len(preview))
    (tmp_path / "a.raf").write_bytes(head.ljust(160, b"\0") + preview)
    with SourceFile(tmp_path / "a.raf") as source:
        directory = _directory(source)
    assert directory is not None
    assert directory.blob(271) == b"Maker\0"
