"""Metadata comes out byte for byte: Pillow, tifffile and plain byte searches are the witnesses."""

from __future__ import annotations

import io
import itertools
import struct
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image, ImageOps

from aindnet.errors import ImageReadError
from aindnet.photo import exif, tiff
from aindnet.photo.photo import open_photo
from photo_samples import (
    XMP,
    exif_block,
    icc_profile,
    pass_through,
    picture,
    save_pillow,
    save_tiff,
)

BLOCKS = {"jpg": "JPEG", "png": "PNG", "webp": "WebP"}


def source_with_everything(path: Path, orientation: int = 1) -> Path:
    options = {"exif": b"Exif\0\0" + exif_block(orientation), "icc_profile": icc_profile()}
    if path.suffix == ".png":
        from PIL import PngImagePlugin

        text = PngImagePlugin.PngInfo()
        text.add_itxt("XML:com.adobe.xmp", XMP.decode())
        text.add_text("Comment", "made by hand", zip=True)
        options["pnginfo"] = text
    else:
        options["xmp"] = XMP
    if path.suffix == ".jpg":
        options["comment"] = b"made by hand"
    return save_pillow(path, picture(), **options)


@pytest.mark.parametrize("suffix", BLOCKS)
def test_blocks_are_the_same_bytes(tmp_path: Path, suffix: str) -> None:
    source = source_with_everything(tmp_path / f"in.{suffix}")
    assert pass_through(source, tmp_path / f"out.{suffix}") == []
    written = (tmp_path / f"out.{suffix}").read_bytes()
    assert exif_block() in written
    assert XMP in written
    with Image.open(tmp_path / f"out.{suffix}") as new:
        assert new.info["icc_profile"] == icc_profile()
        comment = {"jpg": b"made by hand", "png": "made by hand", "webp": None}[suffix]
        assert new.info.get("comment", new.info.get("Comment")) == comment


@pytest.mark.parametrize("into", ["jpg", "png", "webp", "tif"])
@pytest.mark.parametrize("suffix", BLOCKS)
def test_blocks_move_to_other_kinds(tmp_path: Path, suffix: str, into: str) -> None:
    source = source_with_everything(tmp_path / f"in.{suffix}", orientation=6)
    pass_through(source, tmp_path / f"out.{into}")
    with Image.open(tmp_path / f"out.{into}") as new:
        tags = new.getexif()
        assert (tags[0x010F], tags[0x0112]) == ("Maker", 6)
        assert tags.get_ifd(0x8769)[0x9003] == "2020:02:03 04:05:06"
        assert tags.get_ifd(0x8769)[0x927C] == bytes(range(1, 200))
        assert tags.get_ifd(0x8825)[1] == "N"
        assert new.info["icc_profile"] == icc_profile()
    assert XMP in (tmp_path / f"out.{into}").read_bytes()


@pytest.mark.parametrize("into", ["jpg", "png", "webp", "tif"])
def test_tiff_tags_move_to_every_kind(tmp_path: Path, into: str) -> None:
    tags = [
        (271, 2, 0, "Maker", True),
        (33432, 2, 0, "me", True),
        (700, 1, len(XMP), XMP, True),
        (33723, 7, 12, b"\x1c\x02\x78\0\5hello\0\0", True),
        (33550, 12, 3, (0.5, 0.5, 0.0), True),  # GeoTIFF: pixel scale
        (65001, 3, 4, (1, 2, 3, 4), True),  # a maker's own
    ]
    for order in "<>":
        tifffile.imwrite(
            tmp_path / "in.tif",
            picture(),
            photometric="rgb",
            byteorder=order,
            resolution=(240, 240),
            iccprofile=icc_profile(),
            metadata=None,
            extratags=tags,
        )
        output = tmp_path / f"out{ord(order)}.{into}"
        pass_through(tmp_path / "in.tif", output)
        if into == "tif":
            with tifffile.TiffFile(output) as file:
                page = file.pages[0]
                for code, _, _, value, _ in tags:
                    assert page.tags[code].value == value, code
                assert page.tags[34675].value == icc_profile()
                assert page.tags["XResolution"].value == (240, 1)
            continue
        with Image.open(output) as new:
            assert new.getexif()[271] == "Maker"
            assert new.getexif()[33432] == "me"
            assert new.info["icc_profile"] == icc_profile()
            if into != "webp":
                assert round(float(new.info["dpi"][0])) == 240
        assert XMP in output.read_bytes()
        if into == "jpg":
            assert b"\x1c\x02\x78\0\5hello" in output.read_bytes()


def test_long_profiles_are_split_over_jpeg_segments(tmp_path: Path) -> None:
    long = icc_profile() + np.random.default_rng(0).bytes(150_000)
    save_pillow(tmp_path / "in.png", picture(), icc_profile=icc_profile())
    save_pillow(tmp_path / "in.jpg", picture(), icc_profile=long)
    pass_through(tmp_path / "in.jpg", tmp_path / "out.jpg")
    with Image.open(tmp_path / "out.jpg") as new:
        assert new.info["icc_profile"] == long


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tif"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_pictures_are_shown_the_same_way_up(tmp_path: Path, suffix: str, orientation: int) -> None:
    tags = Image.Exif()
    tags[0x0112] = orientation
    source = save_pillow(tmp_path / f"in.{suffix}", picture(), exif=tags)
    pass_through(source, tmp_path / f"out.{suffix}")
    shown = []
    for path in (source, tmp_path / f"out.{suffix}"):
        with Image.open(path) as image:
            shown.append(np.asarray(ImageOps.exif_transpose(image)).astype(float))
    assert shown[0].shape == shown[1].shape
    assert np.abs(shown[0] - shown[1]).mean() < 3


@pytest.mark.parametrize("orientation", [3, 6, 7])
def test_kinds_whose_readers_ignore_exif_are_written_upright(
    tmp_path: Path, orientation: int
) -> None:
    tags = Image.Exif()
    tags[0x0112] = orientation
    source = save_pillow(tmp_path / "in.png", picture(), exif=tags)
    pass_through(source, tmp_path / "out.avif")
    with Image.open(source) as old, Image.open(tmp_path / "out.avif") as new:
        expected = np.asarray(ImageOps.exif_transpose(old)).astype(float)
        assert new.getexif().get(0x0112, 1) == 1
        assert np.abs(np.asarray(new) - expected).mean() < 3


def test_xmp_says_upright_where_pixels_are_turned(tmp_path: Path) -> None:
    attribute = b' xmlns:tiff="http://ns.adobe.com/tiff/1.0/" tiff:Orientation="%d"/></rdf:RDF>'
    old, new = (XMP.replace(b"/></rdf:RDF>", attribute % turn) for turn in (6, 1))
    tags = Image.Exif()
    tags[0x0112] = 6
    source = save_pillow(tmp_path / "in.jpg", picture(), exif=tags, xmp=old)
    for suffix, expected in (("jpg", old), ("avif", new)):
        assert pass_through(source, tmp_path / f"out.{suffix}") == []
        with Image.open(tmp_path / f"out.{suffix}") as image:
            assert image.info["xmp"] == expected
    damaged = save_pillow(tmp_path / "damaged.jpg", picture(), exif=tags, xmp=old[:-30])
    (notice,) = pass_through(damaged, tmp_path / "damaged.avif")
    assert "XMP left out: it is damaged" in notice
    # What other programs' decoders turn says so already, or is made to.
    save_pillow(tmp_path / "in.avif", picture(), exif=tags, xmp=old)
    pass_through(tmp_path / "in.avif", tmp_path / "out.tif")
    with tifffile.TiffFile(tmp_path / "out.tif") as file:
        assert bytes(file.pages[0].tags["XMP"].value) == new


@pytest.mark.parametrize("order", ["<", ">"])
def test_the_thumbnail_goes_and_nothing_else(order: str) -> None:
    plain, block = exif_block(3, order=order), exif_block(3, thumbnail=True, order=order)
    assert b"\xff\xd8\xff" in block
    without = exif.without_thumbnail(block)
    assert b"\xff\xd8\xff" not in without
    first = struct.unpack_from(f"{order}I", block, 4)[0]
    link = first + 2 + 12 * struct.unpack_from(f"{order}H", block, first)[0]
    assert without[:link] == block[:link] == plain[:link]
    assert without[link : link + 4] == bytes(4)
    assert without[link + 4 : len(plain)] == plain[link + 4 :]
    assert exif.orientation(without) == 3
    assert exif.orientation(exif.upright(without)) == 1


def test_a_jpeg_loses_its_thumbnail_but_not_its_tags(tmp_path: Path) -> None:
    block = exif_block(thumbnail=True)
    source = save_pillow(tmp_path / "in.jpg", picture(), exif=b"Exif\0\0" + block)
    pass_through(source, tmp_path / "out.jpg")
    data = (tmp_path / "out.jpg").read_bytes()
    assert data.count(b"\xff\xd8\xff") == 1
    with Image.open(tmp_path / "out.jpg") as new:
        assert new.getexif()[0x0110] == "Model 7"


def resource(kind: int, data: bytes, name: bytes = b"") -> bytes:
    """One of Photoshop's image resource blocks."""
    label = bytes([len(name)]) + name
    label += bytes(len(label) % 2)
    return (
        struct.pack(">4sH", b"8BIM", kind)
        + label
        + struct.pack(">I", len(data))
        + data.ljust(len(data) + len(data) % 2, b"\0")
    )


NOISY = b"\xff\xd8\xff noisy"
THUMBNAILS = resource(0x040C, NOISY), resource(0x0409, NOISY * 3, b"old")
RESOURCES = resource(0x03ED, b"resolution"), resource(0x0404, b"\x1c\x02\x78\0\5hello")


def test_photoshops_layers_and_thumbnails_are_not_carried_over(tmp_path: Path) -> None:
    blocks = RESOURCES[0] + THUMBNAILS[0] + RESOURCES[1] + THUMBNAILS[1]
    layers = b"Adobe Photoshop Document Data Block\0" + NOISY
    tags = [(34377, 7, len(blocks), blocks, True), (37724, 7, len(layers), layers, True)]
    save_tiff(tmp_path / "in.tif", picture(), extratags=tags)
    for suffix in ("tif", "jpg"):
        (notice,) = pass_through(tmp_path / "in.tif", tmp_path / f"out.{suffix}")
        assert "layers left out" in notice
        assert NOISY not in (tmp_path / f"out.{suffix}").read_bytes()
    with tifffile.TiffFile(tmp_path / "out.tif") as file:
        assert 37724 not in file.pages[0].tags
    with Image.open(tmp_path / "out.tif") as new:
        assert new.tag_v2[34377][0] == b"".join(RESOURCES)


@pytest.mark.parametrize("size", [20, 100_000])
@pytest.mark.parametrize("ends", [(), (4,), (25,), (60,), (60, 70)])
def test_photoshops_thumbnails_in_jpegs_are_not_carried_over(
    tmp_path: Path, ends: tuple[int, ...], size: int
) -> None:
    noisy = NOISY * (size // len(NOISY))
    blocks = RESOURCES[0] + resource(0x040C, noisy) + RESOURCES[1]
    places = [0, *ends, *range(60_000, len(blocks), 60_000), len(blocks)]
    saved = io.BytesIO()
    Image.fromarray(picture()).save(saved, "JPEG")
    parts = [blocks[start:end] for start, end in itertools.pairwise(places)]
    segments = b"".join(
        struct.pack(">2sH", b"\xff\xed", 16 + len(part)) + b"Photoshop 3.0\0" + part
        for part in parts
    )
    (tmp_path / "in.jpg").write_bytes(b"\xff\xd8" + segments + saved.getvalue()[2:])
    assert pass_through(tmp_path / "in.jpg", tmp_path / "out.jpg") == []
    written = (tmp_path / "out.jpg").read_bytes()
    assert NOISY not in written
    with open_photo(tmp_path / "in.jpg") as photo:
        assert photo.metadata.iptc == b"\x1c\x02\x78\0\5hello"
    assert b"Photoshop 3.0\0" + b"".join(RESOURCES) in written


@pytest.mark.parametrize(
    "block", [b"", b"II*\0", b"II*\0\xff\xff\xff\xff", b"MM\0*\0\0\0\x08\xff\xff"]
)
def test_damaged_exif_blocks_are_left_as_they_are(block: bytes) -> None:
    assert exif.orientation(block) == 1
    assert exif.upright(block) == block
    assert exif.without_thumbnail(block) == block
    assert not exif.is_block(block)


@pytest.mark.parametrize("quality", [30, 75, 92, 97, 100])
@pytest.mark.parametrize("subsampling", [0, 1, 2])
def test_jpeg_tables_and_chroma_are_at_least_as_fine(
    tmp_path: Path, quality: int, subsampling: int
) -> None:
    source = save_pillow(tmp_path / "in.jpg", picture(), quality=quality, subsampling=subsampling)
    with open_photo(source) as photo:
        assert photo.pages[0].traits.quality == quality
    pass_through(source, tmp_path / "out.jpg")
    with Image.open(source) as old, Image.open(tmp_path / "out.jpg") as new:
        for table, before in old.quantization.items():
            assert (np.array(new.quantization[table]) <= np.array(before)).all()
        before, after = (image.layer[0][1:3] for image in (old, new))
        assert after <= before


def test_png_of_another_program_keeps_its_resolution_and_no_other(tmp_path: Path) -> None:
    save_pillow(tmp_path / "with.png", picture(), dpi=(300, 300))
    save_pillow(tmp_path / "without.png", picture())
    for name in ("with", "without"):
        pass_through(tmp_path / f"{name}.png", tmp_path / f"out-{name}.png")
        with Image.open(tmp_path / f"out-{name}.png") as new:
            assert ("dpi" in new.info) == (name == "with")


@pytest.mark.parametrize("progressive", [False, True])
def test_the_video_of_a_motion_photo_is_kept(tmp_path: Path, progressive: bool) -> None:
    video = b"\0\0\0\x18ftypmp42" + b"\xff\xd9\xff\xda" * 5000
    source = tmp_path / "motion.jpg"
    Image.fromarray(picture()).save(source, progressive=progressive, restart_marker_rows=1)
    source.write_bytes(source.read_bytes() + video)
    assert pass_through(source, tmp_path / "out.jpg") == []
    assert (tmp_path / "out.jpg").read_bytes().endswith(b"\xff\xd9" + video)
    (notice,) = pass_through(source, tmp_path / "out.png")
    assert "what follows the picture in the file (video) left out" in notice
    assert not (tmp_path / "out.png").read_bytes().endswith(video)


def test_zeros_behind_a_jpeg_are_nothing(tmp_path: Path) -> None:
    source = tmp_path / "padded.jpg"
    Image.fromarray(picture()).save(source)
    source.write_bytes(source.read_bytes() + bytes(3000))
    assert pass_through(source, tmp_path / "out.png") == []


def tiff_of_shared_tags(tags: int, size: int, pages: int = 1) -> bytes:
    """Directories without pixels whose private tags all point to one stretch of bytes."""
    body, place = b"", 8
    step = 2 + 12 * tags + 4
    shared = place + pages * step
    for page in range(pages):
        entries = (struct.pack("<HHII", 65535 - tags + n, 7, size, shared) for n in range(tags))
        following = place + (page + 1) * step if page + 1 < pages else 0
        body += struct.pack("<H", tags) + b"".join(entries) + struct.pack("<I", following)
    return struct.pack("<2sHI", b"II", 42, place) + body + bytes(size)


@pytest.mark.parametrize(("tags", "size", "pages"), [(40, 2000, 1), (10, 2000, 4), (900, 4, 1)])
def test_tags_that_are_a_memory_bomb_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tags: int, size: int, pages: int
) -> None:
    bomb = tiff_of_shared_tags(tags, size, pages)
    assert tiff.parse_block(bomb) is not None
    monkeypatch.setattr(tiff, "_MAX_TOTAL_BYTES", 60_000)
    (tmp_path / "bomb.tif").write_bytes(bomb)
    with pytest.raises(ImageReadError, match=r"bomb\.tif: over .* MB of tags"):
        open_photo(tmp_path / "bomb.tif")
    assert tiff.parse_block(bomb) is None
