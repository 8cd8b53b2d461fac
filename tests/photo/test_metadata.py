"""Metadata comes out byte for byte: Pillow, tifffile and plain byte searches are the witnesses."""

from __future__ import annotations

import io
import itertools
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image, ImageOps, PngImagePlugin

from aindnet.errors import ImageReadError, ImageWriteError
from aindnet.photo import exif, jpeg, maker_note, output_checks, tiff
from aindnet.photo.photo import open_photo
from aindnet.photo.short_exif import shortened
from photo_samples import (
    XMP,
    exif_block,
    icc_profile,
    pass_through,
    picture,
    save_dng,
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


@pytest.mark.parametrize("kind", [2, 129])
@pytest.mark.parametrize(
    ("stored", "name"), [("小米手机".encode(), "小米手机"), ("Café".encode("latin-1"), "Café")]
)
def test_cameras_names_are_read_in_any_script(kind: int, stored: bytes, name: str) -> None:
    directory = tiff.Directory()
    directory.tags[0x0110] = tiff.Tag(2, len(stored) + 1, stored + b"\0")
    block = bytearray(tiff.serialise(directory))
    block[block.index(struct.pack("<HH", 0x0110, 2)) + 2] = kind
    assert exif.camera(bytes(block)).model == name


@pytest.mark.parametrize(
    ("others", "iso"),
    [
        ({}, 65535),
        ({0x8832: 102400}, 102400),
        ({0x8830: 1, 0x8831: 204800, 0x8832: 102400}, 204800),
        ({0x8830: 2, 0x8831: 204800, 0x8832: 102400}, 102400),
        ({0x8830: 2, 0x8831: 204800}, 204800),
        ({0x8830: 3, 0x8832: 102400, 0x8833: 409600}, 409600),
    ],
)
def test_an_iso_above_16_bits_stands_in_another_tag(others: dict[int, int], iso: int) -> None:
    inner = tiff.Directory()
    inner.put(0x8827, 3, [65535])
    for tag, value in others.items():
        inner.put(tag, 3 if tag == 0x8830 else 4, [value])
    directory = tiff.Directory()
    directory.children[tiff.EXIF_IFD] = inner
    assert exif.camera(tiff.serialise(directory)).iso == iso


def test_exif_that_avif_cannot_hold_is_named(tmp_path: Path) -> None:
    tags = Image.Exif()
    tags[0x010F] = "Maker"
    tags[0xFDE8] = "private"
    details = tags.get_ifd(0x8769)
    details[0xA434] = "a lens"
    details[0xFDE9] = "private too"
    source = save_pillow(tmp_path / "in.jpg", picture(), exif=tags)
    (notice,) = pass_through(source, tmp_path / "out.avif")
    assert "does not know left out: tag 65000, tag 65001" in notice
    with Image.open(tmp_path / "out.avif") as image:
        assert image.getexif()[0x010F] == "Maker"
        assert image.getexif().get_ifd(0x8769)[0xA434] == "a lens"
    assert pass_through(source, tmp_path / "out.webp") == []


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
def test_an_orientation_may_be_a_long_integer(order: str) -> None:
    block = struct.pack(order + "HHHIII", 1, 0x0112, 4, 1, 6, 0)
    block = {"<": b"II*\0\x08\0\0\0", ">": b"MM\0*\0\0\0\x08"}[order] + block
    assert exif.orientation(block) == 6
    assert exif.orientation(exif.upright(block)) == 1


@pytest.mark.parametrize("turn", [3, 6])
@pytest.mark.parametrize("suffix", ["avif", "jxl"])
def test_the_size_in_exif_turns_with_the_pixels(tmp_path: Path, suffix: str, turn: int) -> None:
    if suffix == "jxl":
        pytest.importorskip("pillow_jxl")
    height, width = picture().shape[:2]
    tags = Image.Exif()
    tags[0x0112] = turn
    tags.get_ifd(0x8769).update({0xA002: width, 0xA003: height})
    source = save_pillow(tmp_path / "in.jpg", picture(), exif=tags)
    pass_through(source, tmp_path / f"out.{suffix}")
    with Image.open(tmp_path / f"out.{suffix}") as new:
        inner = new.getexif().get_ifd(0x8769)
        assert (inner[0xA002], inner[0xA003]) == new.size
        assert new.size == ((height, width) if turn == 6 else (width, height))


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


def test_what_a_thumbnail_s_offset_points_to_by_mistake_stays() -> None:
    block = exif_block(3, thumbnail=True)
    damaged = block.replace(b"\xff\xd8\xff", b"NOT")
    without = exif.without_thumbnail(damaged)
    assert without[damaged.index(b"NOT") :] == damaged[damaged.index(b"NOT") :]
    assert exif.without_thumbnail(without) == without  # it is unlinked


def test_a_jpeg_loses_its_thumbnail_but_not_its_tags(tmp_path: Path) -> None:
    block = exif_block(thumbnail=True)
    source = save_pillow(tmp_path / "in.jpg", picture(), exif=b"Exif\0\0" + block)
    pass_through(source, tmp_path / "out.jpg")
    data = (tmp_path / "out.jpg").read_bytes()
    assert data.count(b"\xff\xd8\xff") == 1
    with Image.open(tmp_path / "out.jpg") as new:
        assert new.getexif()[0x0110] == "Model 7"


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tif", "avif"])
def test_thumbnails_in_xmp_are_not_carried_over(tmp_path: Path, suffix: str) -> None:
    small = b"><xmp:Thumbnails>/9j/4AAQ</xmp:Thumbnails></rdf:Description></rdf:RDF>"
    old, new = (XMP.replace(b"/></rdf:RDF>", part) for part in (small, small[:1] + small[-28:]))
    source = tmp_path / f"in.{suffix}"
    if suffix == "tif":
        save_tiff(source, picture(), extratags=[(700, 1, len(old), old, True)])
    elif suffix == "png":
        text = PngImagePlugin.PngInfo()
        text.add_itxt("XML:com.adobe.xmp", old.decode(), zip=True)
        save_pillow(source, picture(), pnginfo=text)
    else:
        save_pillow(source, picture(), xmp=old)
    assert pass_through(source, tmp_path / f"out.{suffix}") == []
    assert new in (tmp_path / f"out.{suffix}").read_bytes()


@pytest.mark.parametrize("suffix", ["png", "webp"])
def test_content_credentials_are_left_out(tmp_path: Path, suffix: str) -> None:
    options = {"exif": b"Exif\0\0" + exif_block(order="<")}  # WebP: for the long header
    source = save_pillow(tmp_path / f"in.{suffix}", picture(), **options)
    data = source.read_bytes()
    if suffix == "png":
        crc = struct.pack(">I", zlib.crc32(b"caBXmanifest"))
        data = data[:33] + struct.pack(">I", 8) + b"caBXmanifest" + crc + data[33:]
    else:
        data += b"C2PA" + struct.pack("<I", 8) + b"manifest"
        data = data[:4] + struct.pack("<I", len(data) - 8) + data[8:]
    source.write_bytes(data)
    for into in (suffix, "tif"):
        (notice,) = pass_through(source, tmp_path / f"out.{into}")
        assert "content credentials left out" in notice
        assert b"manifest" not in (tmp_path / f"out.{into}").read_bytes()


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


@pytest.mark.parametrize("mode", ["P", "RGB", "L"])
@pytest.mark.parametrize("transparent", [False, True])
def test_significant_bits_of_a_png_are_of_all_its_channels(
    tmp_path: Path, mode: str, transparent: bool
) -> None:
    channels = 1 if mode == "L" else 3
    options = {"transparency": (1, 2, 3) if mode == "RGB" else 1} if transparent else {}
    source = tmp_path / "in.png"
    Image.fromarray(picture()).convert(mode).save(source, **options)
    body = b"sBIT" + bytes([5] * channels)
    chunk = struct.pack(">I", channels) + body + struct.pack(">I", zlib.crc32(body))
    whole = source.read_bytes()
    source.write_bytes(whole[:33] + chunk + whole[33:])
    pass_through(source, tmp_path / "out.png")
    assert (chunk in (tmp_path / "out.png").read_bytes()) is not transparent
    with Image.open(tmp_path / "out.png") as new:
        assert new.mode.endswith("A") is transparent


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


def test_an_offset_beyond_all_files_is_named(tmp_path: Path) -> None:
    entry = struct.pack("<HHQQ", 270, 2, 100, 2**64 - 1)
    head = struct.pack("<2sHHHQ", b"II", 43, 8, 0, 16)
    (tmp_path / "a.tif").write_bytes(head + struct.pack("<Q", 1) + entry + bytes(200))
    with pytest.raises(ImageReadError, match=r"a\.tif"):
        open_photo(tmp_path / "a.tif")


LENS = b"24-70 mm".ljust(32, b"\0")


def block_with_note(
    order: str = "<", header: bytes = b"", size: int = 0, **tags: bytes
) -> tuple[bytes, bytes, int]:
    """An EXIF block, its maker note, and where that is: its lens stands at an offset from there.

    `tags`: others of the EXIF directory, by hexadecimal number.
    """
    block = Image.Exif()
    block.endian = order
    block[0x010F], block[0x0112] = "Maker", 6
    inner = block.get_ifd(0x8769)
    inner[0x9003], inner[0xA434] = "2020:02:03 04:05:06", "EF 24-70"
    inner |= {int(code, 16): value for code, value in tags.items()}
    block.get_ifd(0x8825)[1] = "N"
    filler = header + bytes(range(1, 51)) + bytes(size)
    inner[0x927C] = filler
    data = block.tobytes().removeprefix(b"Exif\0\0")
    place = data.index(filler)
    lens_at = place + len(header) + 18
    entry = struct.pack(f"{order}HHHIII", 1, 0x95, 2, len(LENS), lens_at, 0)
    note = header + entry + LENS + bytes(size)
    return data[:place] + note + data[place + len(note) :], note, place


def has_note(path: Path, note: bytes, place: int) -> bool:
    """Whether a TIFF has a maker note, once, and where its offsets find their data."""
    data = path.read_bytes()
    with Image.open(path) as image:
        found = image.getexif().get_ifd(0x8769)[0x927C]
    return found == note and data.count(note) == 1 and data.index(note) == place


@pytest.mark.parametrize("suffix", BLOCKS)
def test_maker_notes_keep_their_place(tmp_path: Path, suffix: str) -> None:
    block, note, place = block_with_note(size=3000)
    save_pillow(tmp_path / f"in.{suffix}", picture(), exif=b"Exif\0\0" + block)
    for source, output in ((f"in.{suffix}", "one.tif"), ("one.tif", "two.tif")):
        assert pass_through(tmp_path / source, tmp_path / output) == []
        assert has_note(tmp_path / output, note, place)
        difference = tifffile.imread(tmp_path / output).astype(float) - picture()
        assert np.abs(difference).mean() < 3
    for output in ("out.jpg", "out.png", "out.webp"):
        assert pass_through(tmp_path / "two.tif", tmp_path / output) == []
        with open_photo(tmp_path / output) as photo:
            assert photo.metadata.exif is not None
            assert photo.metadata.exif[place:].startswith(note)


def test_maker_notes_that_must_move_say_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def notices(into: str, order: str = "<", header: bytes = b"") -> list[str]:
        block, note, _ = block_with_note(order, header)
        save_pillow(tmp_path / "in.jpg", picture(), exif=b"Exif\0\0" + block)
        (tmp_path / f"out.{into}").unlink(missing_ok=True)
        told = pass_through(tmp_path / "in.jpg", tmp_path / f"out.{into}")
        with Image.open(tmp_path / f"out.{into}") as image:
            assert image.getexif().get_ifd(0x8769)[0x927C] == note
        return told

    assert notices("tif", ">") == [maker_note.MISREAD]
    assert notices("avif") == [maker_note.MISREAD]
    for header in (b"Nikon\0\x02\x10\0\0", b"OLYMPUS\0II\3\0", b"Apple iOS\0\0\1MM"):
        assert notices("tif", ">", header) == []
    monkeypatch.setattr(maker_note, "FARTHEST", 20)
    assert notices("tif") == [maker_note.MISREAD]
    assert notices("png") == []
    assert pass_through(tmp_path / "out.tif", tmp_path / "two.png") == [maker_note.MISREAD]


def dng_with_note(path: Path) -> tuple[bytes, int]:
    """A DNG with a maker note behind its pixels, the note, and where that is."""
    dng = save_dng(path).read_bytes()
    directory = struct.unpack_from("<I", dng, 4)[0]
    count = struct.unpack_from("<H", dng, directory)[0]
    entries = [dng[at : at + 12] for at in range(directory + 2, directory + 2 + 12 * count, 12)]
    start = len(dng) + len(dng) % 2
    details = start + 2 + 12 * (count + 1) + 4
    entries.append(struct.pack("<HHII", 34665, 4, 1, details))
    entries.sort(key=lambda entry: struct.unpack_from("<H", entry))
    place = details + 2 + 12 + 4
    note = struct.pack("<HHHIII", 1, 0x95, 2, len(LENS), place + 18, 0) + LENS
    path.write_bytes(
        dng[:4]
        + struct.pack("<I", start)
        + dng[8:].ljust(start - 8, b"\0")
        + struct.pack("<H", count + 1)
        + b"".join(entries)
        + struct.pack("<IHHHIII", 0, 1, 0x927C, 7, len(note), place, 0)
        + note
    )
    return note, place


def test_maker_notes_of_raw_files_keep_their_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("rawpy")
    note, place = dng_with_note(tmp_path / "in.dng")
    for suffix in ("tif", "jpg", "png"):
        told = pass_through(tmp_path / "in.dng", tmp_path / f"out.{suffix}")
        assert maker_note.MISREAD not in told
    assert has_note(tmp_path / "out.tif", note, place)
    for suffix in ("jpg", "png"):
        with open_photo(tmp_path / f"out.{suffix}") as photo:
            assert photo.metadata.exif is not None
            assert photo.metadata.exif[place:].startswith(note)
    monkeypatch.setattr(maker_note, "FARTHEST", place - 100)
    for suffix in ("tif", "jpg"):
        told = pass_through(tmp_path / "in.dng", tmp_path / f"moved.{suffix}")
        assert maker_note.MISREAD in told


def test_pages_may_share_a_maker_note(tmp_path: Path) -> None:
    block, note, place = block_with_note()
    save_pillow(tmp_path / "in.jpg", picture(), exif=b"Exif\0\0" + block)
    pass_through(tmp_path / "in.jpg", tmp_path / "one.tif")
    one = (tmp_path / "one.tif").read_bytes()
    directory = struct.unpack_from("<I", one, 4)[0]
    link = directory + 2 + 12 * struct.unpack_from("<H", one, directory)[0]
    copy = one[directory:link]  # a second page of the same tags and pixels
    both = one[:link] + struct.pack("<I", len(one)) + one[link + 4 :] + copy + bytes(4)
    (tmp_path / "two.tif").write_bytes(both)
    assert pass_through(tmp_path / "two.tif", tmp_path / "out.tif") == []
    assert has_note(tmp_path / "out.tif", note, place)
    pages = tifffile.imread(tmp_path / "out.tif", key=[0, 1])
    np.testing.assert_array_equal(pages, [tifffile.imread(tmp_path / "one.tif")] * 2)


def test_exif_that_is_too_long_for_a_jpeg_is_shortened(tmp_path: Path) -> None:
    text = b"ASCII\0\0\0" + b"said by a person" * 40
    block, note, _ = block_with_note("<", b"", 40_000, **{"fe00": bytes(50_000), "9286": text})
    save_pillow(tmp_path / "in.png", picture(), exif=b"Exif\0\0" + block)
    for suffix in ("jpg", "avif"):
        notice, *others = pass_through(tmp_path / "in.png", tmp_path / f"out.{suffix}")
        assert others == ([] if suffix == "jpg" else [maker_note.MISREAD])
        assert notice.startswith("EXIF is over the 64 KB")
        assert notice.endswith("holds: tag 65024 left out")
        with Image.open(tmp_path / f"out.{suffix}") as new:
            inner = new.getexif().get_ifd(0x8769)
            assert new.getexif()[0x0112] == (6 if suffix == "jpg" else 1)
            assert new.getexif().get_ifd(0x8825)[1] == "N"
        assert (inner[0x9003], inner[0xA434]) == ("2020:02:03 04:05:06", "EF 24-70")
        assert (inner[0x9286], inner[0x927C]) == (text, note)
    block, note, _ = block_with_note("<", b"", 70_000, **{"9286": text})
    short, left_out = shortened(block, jpeg.EXIF_LIMIT)
    assert left_out == ["maker note"]
    assert len(short) < 1500
    far = {"1000": bytes(70_000), "8000": bytes(70_000)}  # those before the note go, but not it
    block, note, place = block_with_note("<", b"", 100, **far)
    assert place > jpeg.EXIF_LIMIT
    short, left_out = shortened(block, jpeg.EXIF_LIMIT)
    assert left_out == ["maker note", "tag 4096", "tag 32768"]
    assert note not in short
    block, note, _ = block_with_note("<", b"", 100, **{"9286": text * 120})
    short, left_out = shortened(block, jpeg.EXIF_LIMIT)
    assert left_out == ["user comment"]
    assert note in short


def test_of_exif_that_cannot_be_shortened_the_orientation_is_kept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    block, _, _ = block_with_note("<", b"", 70_000)
    monkeypatch.setattr(tiff, "_MAX_TOTAL_BYTES", 100)
    short, left_out = shortened(block, jpeg.EXIF_LIMIT)
    assert left_out == ["all but the orientation"]
    assert exif.orientation(short) == 6


def jpeg_with(*segments: tuple[int, bytes]) -> bytes:
    """A JPEG with further segments at its start."""
    saved = io.BytesIO()
    Image.fromarray(picture()).save(saved, "JPEG")
    parts = (struct.pack(">BBH", 0xFF, kind, 2 + len(body)) + body for kind, body in segments)
    return b"\xff\xd8" + b"".join(parts) + saved.getvalue()[2:]


def test_exif_in_several_segments_is_kept(tmp_path: Path) -> None:
    parts = [b"Exif\0\0" + exif_block(), b"Exif\0\0" + b"and so on"]
    (tmp_path / "in.jpg").write_bytes(jpeg_with(*((0xE1, part) for part in parts)))
    assert pass_through(tmp_path / "in.jpg", tmp_path / "out.jpg") == []
    with Image.open(tmp_path / "out.jpg") as new:
        assert [body for kind, body in new.applist if kind == "APP1"] == parts


def test_of_two_exif_blocks_the_first_is_taken(tmp_path: Path) -> None:
    parts = [b"Exif\0\0" + exif_block(turn, thumbnail=turn == 3) for turn in (6, 3)]
    (tmp_path / "in.jpg").write_bytes(jpeg_with(*((0xE1, part) for part in parts)))
    with open_photo(tmp_path / "in.jpg") as photo, Image.open(tmp_path / "in.jpg") as shown:
        assert photo.metadata.orientation == 6 == shown.getexif()[0x0112]
    pass_through(tmp_path / "in.jpg", tmp_path / "out.jpg")
    data = (tmp_path / "out.jpg").read_bytes()
    assert parts[0] in data
    assert data.count(b"\xff\xd8\xff") == 1


@pytest.mark.parametrize("into", ["tif", "png", "webp", "avif"])
def test_what_only_jpegs_hold_is_named_elsewhere(tmp_path: Path, into: str) -> None:
    note = b' xmlns:n="http://ns.adobe.com/xmp/note/" n:HasExtendedXMP="0123"'
    packet = XMP.replace(b"/></rdf:RDF>", note + b"/></rdf:RDF>")
    more = b"http://ns.adobe.com/xmp/extension/\0" + b"0" * 40 + b"<x/>"
    source = tmp_path / "in.jpg"
    source.write_bytes(
        jpeg_with(
            (0xFE, b"made by hand"),
            (0xE1, b"http://ns.adobe.com/xap/1.0/\0" + packet),
            (0xE1, more),
            (0xED, b"Photoshop 3.0\0" + b"".join(RESOURCES)),
        )
    )
    assert pass_through(source, tmp_path / "out.jpg") == []
    assert packet in (tmp_path / "out.jpg").read_bytes()
    told = "; ".join(pass_through(source, tmp_path / f"out.{into}"))
    assert "comment left out: it goes from JPEG to JPEG only" in told
    assert "extended XMP left out" in told
    assert ("Photoshop's blocks left out" in told) == (into != "tif")
    assert ("IPTC left out" in told) == (into != "tif")
    written = (tmp_path / f"out.{into}").read_bytes()
    assert b"HasExtendedXMP" not in written
    assert b'xmp:Rating="4"' in written
    if into == "tif":
        with Image.open(tmp_path / "out.tif") as new:
            assert new.tag_v2[34377] == b"".join(RESOURCES)
        assert pass_through(tmp_path / "out.tif", tmp_path / "back.jpg") == []
        assert b"Photoshop 3.0\0" + b"".join(RESOURCES) in (tmp_path / "back.jpg").read_bytes()


@pytest.mark.parametrize("into", ["jpg", "tif", "webp", "avif"])
def test_text_of_a_png_is_named_elsewhere(tmp_path: Path, into: str) -> None:
    from PIL import PngImagePlugin

    text = PngImagePlugin.PngInfo()
    text.add_itxt("XML:com.adobe.xmp", XMP.decode())
    text.add_text("Title", "a caption")
    text.add_text("Copyright", "me", zip=True)
    text.add_itxt("Author", "m\u00e9")
    save_pillow(tmp_path / "in.png", picture(), pnginfo=text)
    assert pass_through(tmp_path / "in.png", tmp_path / "out.png") == []
    (notice,) = pass_through(tmp_path / "in.png", tmp_path / f"out.{into}")
    assert notice.startswith("text (Title, Copyright, Author) left out")


def test_long_iptc_is_split_over_jpeg_segments(tmp_path: Path) -> None:
    records = b"".join(b"\x1c\x02\x19" + struct.pack(">H", 9999) + b"k" * 9999 for _ in range(15))
    tags = [(33723, 7, len(records), records, True)]
    save_tiff(tmp_path / "in.tif", picture(), extratags=tags)
    assert pass_through(tmp_path / "in.tif", tmp_path / "out.jpg") == []
    with open_photo(tmp_path / "out.jpg") as photo:
        assert photo.metadata.iptc == records
    with Image.open(tmp_path / "out.jpg") as new:
        parts = [body for kind, body in new.applist if kind == "APP13"]
    assert len(parts) == 3
    data = b"".join(part.removeprefix(b"Photoshop 3.0\0") for part in parts)
    assert data == resource(0x0404, records)
    endless = records * 15
    tags = [(33723, 7, len(endless), endless, True)]
    save_tiff(tmp_path / "endless.tif", picture(), extratags=tags)
    (notice,) = pass_through(tmp_path / "endless.tif", tmp_path / "endless.jpg")
    assert notice.startswith("IPTC and Photoshop's blocks left out: too long")


def test_a_profile_longer_than_a_jpeg_holds_is_refused_before_the_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert len(jpeg.with_profile([], bytes(jpeg.PROFILE_LIMIT))) == 255  # numbered in a byte
    profile = icc_profile()
    save_tiff(tmp_path / "in.tif", picture(), iccprofile=profile)
    monkeypatch.setattr(output_checks, "PROFILE_LIMIT", len(profile) - 1)
    with pytest.raises(ImageWriteError, match=r"profile is too long for JPEG; write it as \.tif"):
        pass_through(tmp_path / "in.tif", tmp_path / "out.jpg")
    assert not (tmp_path / "out.jpg").exists()
    pass_through(tmp_path / "in.tif", tmp_path / "out.png")


GAIN_MAP = (
    b' xmlns:h="http://ns.adobe.com/hdr-gain-map/1.0/" h:Version="1.0"'
    b' xmlns:c="http://ns.google.com/photos/1.0/camera/" c:MotionPhoto="1"/></rdf:RDF>'
)
WITHOUT_GAIN_MAP = GAIN_MAP.replace(b' h:Version="1.0"', b"").replace(b' c:MotionPhoto="1"', b"")


def test_xmp_does_not_speak_of_pictures_that_are_left_out(tmp_path: Path) -> None:
    old, new = (XMP.replace(b"/></rdf:RDF>", part) for part in (GAIN_MAP, WITHOUT_GAIN_MAP))
    packet = (0xE1, b"http://ns.adobe.com/xap/1.0/\0" + old)
    promise = (0xE2, b"urn:iso:std:iso:ts:21496:-1\0\0\0\0\0")
    behind = b"\xff\xd8 a gain map or a video"
    index = (0xE2, b"MPF\0II*\0\x08\0\0\0\0\0\0\0\0\0")
    source = tmp_path / "in.jpg"
    for segments, kept in (((packet, promise, index), False), ((packet, promise), True)):
        source.write_bytes(jpeg_with(*segments) + behind)
        for suffix in ("jpg", "png"):
            output = tmp_path / f"out-{kept}.{suffix}"
            stays = kept and suffix == "jpg"
            assert len(pass_through(source, output)) == (not stays)
            written = output.read_bytes()
            assert written.endswith(behind) == stays
            assert (old if stays else new) in written
            assert (promise[1] in written) == stays


def test_xmp_of_a_heic_does_not_speak_of_a_gain_map(tmp_path: Path) -> None:
    pytest.importorskip("pillow_heif").register_heif_opener()
    old, new = (XMP.replace(b"/></rdf:RDF>", part) for part in (GAIN_MAP, WITHOUT_GAIN_MAP))
    save_pillow(tmp_path / "in.heic", picture(), xmp=old)
    (notice,) = pass_through(tmp_path / "in.heic", tmp_path / "out.heic")
    assert "gain map or video left out" in notice
    assert new in (tmp_path / "out.heic").read_bytes()
