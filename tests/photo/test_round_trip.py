"""What is not changed comes out bit for bit, in every kind that is coded without loss."""

from __future__ import annotations

import io
import struct
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image, ImageCms

from aindnet.errors import AindnetError, ImageReadError, ImageWriteError, MissingExtraError
from aindnet.photo import open_photo, write_image, writer
from photo_samples import HEIGHT, WIDTH, pass_through, picture, save_pillow, save_tiff

TIFFS: dict[str, Callable[[Path], Path]] = {
    "rgb 8": lambda p: save_tiff(p, picture()),
    "rgb 16": lambda p: save_tiff(p, picture("uint16")),
    "rgb float": lambda p: save_tiff(p, picture("float32")),
    "rgba 8": lambda p: save_tiff(p, picture(channels=4), extrasamples=["unassalpha"]),
    "rgba 16": lambda p: save_tiff(p, picture("uint16", 4), extrasamples=["unassalpha"]),
    "rgba float": lambda p: save_tiff(p, picture("float32", 4), extrasamples=["unassalpha"]),
    "grey 8": lambda p: save_tiff(p, picture(channels=1)),
    "grey 16": lambda p: save_tiff(p, picture("uint16", 1)),
    "grey float": lambda p: save_tiff(p, picture("float32", 1)),
    "grey alpha": lambda p: save_tiff(
        p, picture(channels=2), extrasamples=["unassalpha"], planarconfig="contig"
    ),
    "rgb infrared": lambda p: save_tiff(p, picture("uint16", 4), extrasamples=["unspecified"]),
    "grey mask": lambda p: save_tiff(p, picture(channels=2), planarconfig="contig"),
    "deflate": lambda p: save_tiff(p, picture("uint16"), compression="zlib", predictor=True),
    "lzw": lambda p: save_pillow(p, picture(), compression="tiff_lzw"),
    "packbits": lambda p: save_pillow(p, picture(), compression="packbits"),
    "tiled": lambda p: save_tiff(p, picture("uint16"), tile=(32, 32)),
    "big": lambda p: save_tiff(p, picture("uint16"), bigtiff=True),
    "big-endian": lambda p: save_tiff(p, picture("uint16"), byteorder=">"),
    "strips": lambda p: save_tiff(p, picture("uint16"), rowsperstrip=7),
}


@pytest.mark.parametrize("name", TIFFS)
def test_tiff(tmp_path: Path, name: str) -> None:
    source, output = TIFFS[name](tmp_path / "in.tif"), tmp_path / "out.tif"
    assert pass_through(source, output) == []
    with tifffile.TiffFile(source) as old, tifffile.TiffFile(output) as new:
        before, after = old.pages[0], new.pages[0]
        assert old.is_bigtiff == new.is_bigtiff
        for tag in ("compression", "predictor", "is_tiled", "extrasamples", "photometric"):
            assert getattr(before, tag) == getattr(after, tag), tag
        if before.is_tiled:
            assert before.tile == after.tile
        if before.compression in (1, 8):  # the witness has no LZW without a further package
            assert before.dtype == after.dtype
            np.testing.assert_array_equal(before.asarray(), after.asarray())
    if name in ("lzw", "packbits"):
        with Image.open(source) as old_picture, Image.open(output) as new_picture:
            np.testing.assert_array_equal(np.asarray(old_picture), np.asarray(new_picture))


def _interlaced(path: Path) -> Path:
    from aindnet.photo.arrays import vips_image

    vips_image(picture()).pngsave(str(path), interlace=True)
    return path


PNGS: dict[str, Callable[[Path], Path]] = {
    "rgb": lambda p: save_pillow(p, picture()),
    "rgba": lambda p: save_pillow(p, picture(channels=4)),
    "grey": lambda p: save_pillow(p, picture(channels=1)),
    "grey alpha": lambda p: save_pillow(p, picture(channels=2), "LA"),
    "grey 16": lambda p: save_pillow(p, picture("uint16", 1)),
    "interlaced": _interlaced,
}


@pytest.mark.parametrize("name", PNGS)
def test_png(tmp_path: Path, name: str) -> None:
    source, output = PNGS[name](tmp_path / "in.png"), tmp_path / "out.png"
    assert pass_through(source, output) == []
    with Image.open(source) as old, Image.open(output) as new:
        assert (old.mode, old.info) == (new.mode, new.info)
        np.testing.assert_array_equal(np.asarray(old), np.asarray(new))


def test_png_of_16_bit_colour(tmp_path: Path) -> None:
    import cv2

    cv2.imwrite(str(tmp_path / "in.png"), picture("uint16"))
    pass_through(tmp_path / "in.png", tmp_path / "out.png")
    old, new = (cv2.imread(str(tmp_path / f"{n}.png"), cv2.IMREAD_UNCHANGED) for n in ("in", "out"))
    assert new.dtype == np.uint16
    np.testing.assert_array_equal(old, new)


def test_webp_without_loss_and_with_colour_under_clear_alpha(tmp_path: Path) -> None:
    image = picture(channels=4)
    image[:20, :, 3] = 0
    source = save_pillow(tmp_path / "in.webp", image, lossless=True, exact=True)
    pass_through(source, tmp_path / "out.webp")
    with Image.open(tmp_path / "out.webp") as new:
        np.testing.assert_array_equal(np.asarray(new), image)


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_jpeg_xl_without_loss(tmp_path: Path, channels: int) -> None:
    pytest.importorskip("pillow_jxl")
    image = picture(channels=channels)
    mode = {1: None, 2: "LA", 3: None, 4: None}[channels]
    options = {"lossless": True, "use_original_profile": True}
    source = save_pillow(tmp_path / "in.jxl", image, mode, **options)
    pass_through(source, tmp_path / "out.jxl")
    with Image.open(source) as old, Image.open(tmp_path / "out.jxl") as new:
        assert old.mode == new.mode
        np.testing.assert_array_equal(np.asarray(old), np.asarray(new))


LOSSY = {"jpg": 2.0, "webp": 2.5, "avif": 1.0, "heic": 1.0, "jxl": 1.0}


@pytest.mark.parametrize("suffix", LOSSY)
def test_lossy_kinds_lose_little(tmp_path: Path, suffix: str) -> None:
    if suffix == "heic":
        pytest.importorskip("pillow_heif").register_heif_opener()
    if suffix == "jxl":
        pytest.importorskip("pillow_jxl")
    source = save_pillow(tmp_path / f"in.{suffix}", picture(), quality=85)
    pass_through(source, tmp_path / f"out.{suffix}")
    with Image.open(source) as old, Image.open(tmp_path / f"out.{suffix}") as new:
        assert old.mode == new.mode
        difference = np.asarray(old).astype(float) - np.asarray(new)
    assert np.abs(difference).mean() < LOSSY[suffix]
    assert abs(difference.mean()) < 0.5


@pytest.mark.parametrize("suffix", ["webp", "avif", "heic", "jxl"])
def test_alpha_of_lossy_kinds(tmp_path: Path, suffix: str) -> None:
    if suffix == "heic":
        pytest.importorskip("pillow_heif").register_heif_opener()
    if suffix == "jxl":
        pytest.importorskip("pillow_jxl")
    source = save_pillow(tmp_path / f"in.{suffix}", picture(channels=4), quality=90)
    pass_through(source, tmp_path / f"out.{suffix}", lambda rows: rows * 0.5)
    with Image.open(source) as old, Image.open(tmp_path / f"out.{suffix}") as new:
        before, after = np.asarray(old)[..., 3], np.asarray(new)[..., 3]
    assert np.abs(before.astype(int) - after).max() <= 3


def test_every_page_of_a_tiff(tmp_path: Path) -> None:
    pages = [picture("uint16"), picture()[:30, :40], picture(channels=1), picture("float32")]
    for big, order in ((False, "<"), (True, ">")):
        with tifffile.TiffWriter(tmp_path / "in.tif", bigtiff=big, byteorder=order) as file:
            for number, page in enumerate(pages):
                kind = "minisblack" if page.ndim == 2 else "rgb"
                tile = (16, 16) if number == 1 else None
                file.write(
                    page, photometric=kind, tile=tile, metadata=None, description=f"page {number}"
                )
        pass_through(tmp_path / "in.tif", tmp_path / f"out-{big}.tif")
        with tifffile.TiffFile(tmp_path / f"out-{big}.tif") as file:
            assert file.is_bigtiff == big
            assert len(file.pages) == len(pages)
            for number, (page, expected) in enumerate(zip(file.pages, pages, strict=True)):
                np.testing.assert_array_equal(page.asarray(), expected)
                assert page.description == f"page {number}"


def test_pages_are_held_one_at_a_time(tmp_path: Path) -> None:
    import resource

    source, count = tmp_path / "many.tif", 300
    with tifffile.TiffWriter(source) as file:
        for number in range(count):
            file.write(np.full((16, 24), number % 256, np.uint8), photometric="minisblack")
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(200, limits[0]), limits[1]))
    most = 0
    try:
        with open_photo(source) as photo, writer(photo, tmp_path / "out.tif") as out:
            for page in photo.pages:
                out.write(page.rows(0, page.height))
                held = sum(len(each.reader._kept) > 0 for each in photo.pages)  # type: ignore[attr-defined]
                most = max(most, held)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    assert most <= 2
    with tifffile.TiffFile(tmp_path / "out.tif") as file:
        assert [int(page.asarray()[0, 0]) for page in file.pages] == [n % 256 for n in range(count)]


def disordered(path: Path, page: int = 0) -> Path:
    """The same TIFF with the tags of a page the other way round."""
    with tifffile.TiffFile(path) as file:
        order, big = file.byteorder, file.is_bigtiff
        place = file.pages[page].offset
    data = bytearray(path.read_bytes())
    (count,) = struct.unpack_from(order + ("Q" if big else "H"), data, place)
    start, size = place + (8 if big else 2), 20 if big else 12
    tags = [data[start + size * i : start + size * (i + 1)] for i in range(count)]
    data[start : start + size * count] = b"".join(reversed(tags))
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("name", ["rgb 16", "strips", "tiled", "big", "big-endian", "deflate"])
def test_tags_out_of_order_are_no_damage(tmp_path: Path, name: str) -> None:
    source = TIFFS[name](tmp_path / "in.tif")
    before = tifffile.imread(source)
    assert pass_through(disordered(source), tmp_path / "out.tif") == []
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "out.tif"), before)


def test_tags_out_of_order_on_another_page_are_no_damage(tmp_path: Path) -> None:
    pages = np.stack([picture(), picture()[::-1], picture()[:, ::-1]])
    tifffile.imwrite(tmp_path / "in.tif", pages, photometric="rgb")
    pass_through(disordered(tmp_path / "in.tif", 1), tmp_path / "out.tif")
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "out.tif"), pages)


@pytest.mark.parametrize("compression", ["packbits", "lzw", "deflate", "jpeg", "none"])
@pytest.mark.parametrize("tile", [False, True])
def test_strips_and_tiles_that_are_damaged_or_missing_are_named(
    tmp_path: Path, compression: str, tile: bool
) -> None:
    from aindnet.photo.arrays import vips_image

    options = {"tile": True, "tile_width": 32, "tile_height": 32} if tile else {}
    whole = vips_image(picture()).tiffsave_buffer(compression=compression, **options)
    with tifffile.TiffFile(io.BytesIO(whole)) as file:
        page = file.pages[0]
        place, length = page.dataoffsets[-1], page.databytecounts[-1]
        offsets = page.tags["TileOffsets" if tile else "StripOffsets"].valueoffset
    missing = bytearray(whole)
    struct.pack_into("<I", missing, offsets, len(whole) + 1000)
    damaged = [missing]
    if compression != "none":  # where black is as good as anything
        damaged.append(bytearray(whole))
        damaged[-1][place : place + length] = bytes(length)
    for number, data in enumerate(damaged):
        (tmp_path / f"{number}.tif").write_bytes(data)
        with pytest.raises(ImageReadError, match="damaged or cut short"):
            pass_through(tmp_path / f"{number}.tif", tmp_path / "out.tif")


@pytest.mark.parametrize("tile", [None, (32, 32)])
def test_tiffs_that_are_cut_within_their_metadata_are_named(
    tmp_path: Path, tile: tuple[int, int] | None
) -> None:
    source = save_tiff(tmp_path / "in.tif", picture(), tile=tile)
    with tifffile.TiffFile(source, mode="r+") as file:
        file.pages[0].tags["Software"].overwrite("a long text at the end of the file")
    assert source.read_bytes().rstrip(b"\0").endswith(b"of the file")
    assert pass_through(source, tmp_path / "whole.tif") == []
    source.write_bytes(source.read_bytes()[:-10])
    with pytest.raises(ImageReadError, match=r"cut short \(tag 305 lies behind its end\)"):
        open_photo(source)


def test_what_a_decoder_lacks_is_no_damage(tmp_path: Path) -> None:
    for number, tile in enumerate((None, (32, 32))):
        path = tmp_path / f"{number}.tif"
        save_tiff(path, picture(), compression="lzma", tile=tile)
        with pytest.raises(ImageReadError, match=r"not read here \(.*LZMA.*\); save it as"):
            pass_through(path, tmp_path / "out.tif")


@pytest.mark.parametrize(("at", "value"), [(4, 12), (1, 0xC3)])
def test_a_jpeg_that_the_decoder_lacks_is_no_damage(tmp_path: Path, at: int, value: int) -> None:
    source = save_pillow(tmp_path / "in.jpg", picture())
    data = bytearray(source.read_bytes())
    data[data.index(b"\xff\xc0") + at] = value  # 12 bits a sample, or coded without loss
    source.write_bytes(data)
    with pytest.raises(ImageReadError, match=r"not read here \(.*Unsupported.*\); save it as"):
        pass_through(source, tmp_path / "out.tif")


def test_several_pages_need_a_tiff(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "in.tif", np.stack([picture()] * 2), photometric="rgb")
    with pytest.raises(ImageWriteError, match=r"\.tif"):
        pass_through(tmp_path / "in.tif", tmp_path / "out.png")
    assert not (tmp_path / "out.png").exists()


def refused_at_once(source: Path, output: Path, error: type[AindnetError], match: str) -> None:
    with open_photo(source) as photo, pytest.raises(error, match=match):
        writer(photo, output)
    assert not output.exists()


def test_what_jpeg_xl_cannot_hold_is_refused_at_once(tmp_path: Path) -> None:
    pytest.importorskip("pillow_jxl")
    import pyvips

    deep = save_tiff(tmp_path / "deep.tif", picture("uint16"))
    refused_at_once(deep, tmp_path / "out.jxl", ImageWriteError, "16-bit")
    profile = bytes(pyvips.Image.profile_load("p3"))
    wide = save_pillow(tmp_path / "wide.png", picture(), icc_profile=profile)
    refused_at_once(wide, tmp_path / "out.jxl", ImageWriteError, "colour profile")


@pytest.mark.parametrize(("package", "suffix"), [("pillow_heif", "heic"), ("pillow_jxl", "jxl")])
def test_a_missing_codec_is_named_at_once(
    tmp_path: Path, package: str, suffix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    source = save_pillow(tmp_path / "in.png", picture())
    refused_at_once(source, tmp_path / f"out.{suffix}", MissingExtraError, "formats")


@pytest.mark.parametrize(
    ("name", "notice"),
    [("palette.png", "palette"), ("bits.png", "1 bit"), ("cmyk.jpg", "CMYK"), ("cmyk.tif", "CMYK")],
)
def test_converted_kinds_say_so(tmp_path: Path, name: str, notice: str) -> None:
    image = Image.fromarray(picture())
    image = {
        "palette": image.quantize(32),
        "bits": image.convert("1"),
        "cmyk": image.convert("CMYK"),
    }[name.split(".", maxsplit=1)[0]]
    image.save(tmp_path / name)
    notices = pass_through(tmp_path / name, tmp_path / f"out-{name}")
    assert [notice in text for text in notices] == [True]
    with Image.open(tmp_path / f"out-{name}") as new:
        assert new.mode == ("L" if "bits" in name else "RGB")
        if "cmyk" not in name:
            np.testing.assert_array_equal(
                np.asarray(new), np.asarray(image.convert(new.mode)).reshape(np.asarray(new).shape)
            )
        else:
            assert new.info.get("icc_profile")


def test_cmyk_of_16_bit_keeps_its_depth_and_its_alpha(tmp_path: Path) -> None:
    ramp = np.linspace(0, 65535, 1000).astype(np.uint16)
    inks = np.zeros((8, 1000, 5), np.uint16)
    inks[..., 3], inks[..., 4] = ramp, ramp
    for name, image in (("deep", inks), ("flat", (inks >> 8).astype(np.uint8))):
        source = tmp_path / f"{name}.tif"
        extra = {"photometric": "separated", "extrasamples": ["unassalpha"]}
        save_tiff(source, image, **extra)
        pass_through(source, tmp_path / f"out-{name}.tif")
    deep, flat = (tifffile.imread(tmp_path / f"out-{name}.tif") for name in ("deep", "flat"))
    assert (deep.dtype, deep.shape) == (np.uint16, (8, 1000, 4))
    assert len(np.unique(deep[..., 1])) > 900
    assert np.abs(deep[..., :3] / 65535 - flat[..., :3] / 255).max() < 2 / 255
    np.testing.assert_array_equal(deep[..., 3], inks[..., 4])


def as_lab(image: np.ndarray) -> np.ndarray:
    """An 8-bit sRGB picture as TIFF's 8-bit CIELAB."""
    profiles = [ImageCms.createProfile(name) for name in ("sRGB", "LAB")]
    return np.asarray(
        ImageCms.profileToProfile(Image.fromarray(image), *profiles, outputMode="LAB")
    )


@pytest.mark.parametrize(("deep", "alpha"), [(False, False), (False, True), (True, False)])
def test_lab_becomes_srgb(tmp_path: Path, deep: bool, alpha: bool) -> None:
    # Within sRGB, where 8-bit Lab has its steps closest.
    image = (picture() // 2 + 64).astype(np.uint8)
    lab = as_lab(image)
    if deep:
        lightness, hues = lab[..., :1].astype(np.uint16) * 257, lab[..., 1:].astype(np.uint16) << 8
        lab = np.concatenate([lightness, hues], axis=2)
    extra = {"photometric": "cielab"}
    if alpha:
        lab = np.concatenate([lab, image[..., :1]], axis=2)
        extra["extrasamples"] = ["unassalpha"]
    save_tiff(tmp_path / "in.tif", lab, **extra)
    assert pass_through(tmp_path / "in.tif", tmp_path / "out.tif") == ["Lab converted to sRGB"]
    after = tifffile.imread(tmp_path / "out.tif")
    assert after.dtype == (np.uint16 if deep or alpha else np.uint8)
    error = np.abs(after[..., :3] * (255 / np.iinfo(after.dtype).max) - image)
    assert error.mean() < 1
    assert error.max() < 5
    if alpha:
        np.testing.assert_array_equal(after[..., 3], image[..., 0] * np.uint16(257))


def test_colours_of_another_kind_are_named(tmp_path: Path) -> None:
    save_tiff(tmp_path / "in.tif", as_lab(picture()), photometric="icclab")
    with pytest.raises(ImageReadError, match="convert it to RGB"):
        open_photo(tmp_path / "in.tif")


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
@pytest.mark.parametrize("channels", [1, 2])
def test_where_white_is_zero_it_is_white(tmp_path: Path, dtype: str, channels: int) -> None:
    image = picture(dtype, channels)
    white = 1.0 if dtype == "float32" else np.iinfo(dtype).max
    extra = {"extrasamples": ["unassalpha"], "planarconfig": "contig"} if channels == 2 else {}
    save_tiff(tmp_path / "in.tif", image, photometric="miniswhite", **extra)
    assert pass_through(tmp_path / "in.tif", tmp_path / "out.tif") == []
    with tifffile.TiffFile(tmp_path / "out.tif") as file:
        assert file.pages[0].photometric.name == "MINISBLACK"
        after = file.pages[0].asarray().reshape(HEIGHT, WIDTH, channels)
    before = image.reshape(HEIGHT, WIDTH, channels)
    np.testing.assert_array_equal(after[..., 0], white - before[..., 0])
    np.testing.assert_array_equal(after[..., 1:], before[..., 1:])


def test_values_outside_0_to_1_of_floats_are_kept(tmp_path: Path) -> None:
    image = picture("float32") * 8 - 2
    save_tiff(tmp_path / "in.tif", image)
    pass_through(tmp_path / "in.tif", tmp_path / "out.tif", lambda rows: rows + np.float32(0.01))
    after = tifffile.imread(tmp_path / "out.tif")
    np.testing.assert_allclose(after, image + 0.01, atol=1e-5)
    assert after.max() > 5
    assert after.min() < -1


def test_integers_are_clipped_at_their_ends_only(tmp_path: Path) -> None:
    image = np.tile(np.arange(256, dtype=np.uint8)[:, None, None], (1, 5, 3))
    write_image(tmp_path / "in.png", image)
    pass_through(tmp_path / "in.png", tmp_path / "out.png", lambda rows: rows + np.float32(3 / 255))
    with Image.open(tmp_path / "out.png") as new:
        np.testing.assert_array_equal(np.asarray(new), np.minimum(image.astype(int) + 3, 255))


@pytest.mark.parametrize("dtype", ["float16", "float64", "uint32"])
def test_samples_that_no_photo_has_are_named(tmp_path: Path, dtype: str) -> None:
    save_tiff(tmp_path / "in.tif", (picture("float32") * 10).astype(dtype))
    with pytest.raises(ImageReadError, match="convert it"):
        open_photo(tmp_path / "in.tif")


def test_float_files_with_nan_are_named(tmp_path: Path) -> None:
    image = picture("float32")
    image[HEIGHT // 2, WIDTH // 2] = np.nan
    save_tiff(tmp_path / "in.tif", image)
    with pytest.raises(ImageReadError, match="NaN"):
        pass_through(tmp_path / "in.tif", tmp_path / "out.tif")
    assert not (tmp_path / "out.tif").exists()


CONVERSIONS = [("uint16", ".jpg", "uint8"), ("uint16", ".webp", "uint8"), ("float32", ".png", "16")]


@pytest.mark.parametrize(("dtype", "suffix", "told"), CONVERSIONS)
def test_another_kind_of_output_says_what_it_costs(
    tmp_path: Path, dtype: str, suffix: str, told: str
) -> None:
    save_tiff(tmp_path / "in.tif", picture(dtype, 4), extrasamples=["unassalpha"])
    notices = pass_through(tmp_path / "in.tif", tmp_path / f"out{suffix}")
    assert any(told in notice for notice in notices)
    assert any("alpha" in notice for notice in notices) == (suffix == ".jpg")
    with Image.open(tmp_path / f"out{suffix}") as new:
        red = np.asarray(new.convert("RGB"))[..., 0] / 255
    expected = picture(dtype, 4)[..., 0] / (65535 if dtype == "uint16" else 1)
    assert np.abs(red - np.clip(expected, 0, 1)).mean() < 0.02


def test_a_channel_that_is_not_said_to_be_alpha_becomes_none(tmp_path: Path) -> None:
    image = picture(channels=4)
    save_tiff(tmp_path / "in.tif", image, extrasamples=["unspecified"])
    for suffix in ("png", "jpg"):
        (notice,) = pass_through(tmp_path / "in.tif", tmp_path / f"out.{suffix}")
        assert "not said to be alpha left out" in notice
    with Image.open(tmp_path / "out.png") as new:
        np.testing.assert_array_equal(np.asarray(new), image[..., :3])


@pytest.mark.parametrize("extra", ["assocalpha", "unassalpha"])
def test_alpha_is_said_to_be_apart_from_the_colours(tmp_path: Path, extra: str) -> None:
    save_tiff(tmp_path / "in.tif", picture(channels=4), extrasamples=[extra])
    pass_through(tmp_path / "in.tif", tmp_path / "out.tif")
    with tifffile.TiffFile(tmp_path / "out.tif") as file:
        assert [kind.name for kind in file.pages[0].extrasamples] == ["UNASSALPHA"]


@pytest.mark.parametrize(("suffix", "bits"), [("tif", 12), ("heic", 10), ("avif", 10)])
def test_avif_keeps_the_depth_that_it_can(
    tmp_path: Path, suffix: str, bits: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    import pyvips

    ramp = np.linspace(0, 65535, 256 * 64).astype(np.uint16).reshape(64, 256)
    image = np.repeat(ramp[..., np.newaxis], 3, axis=2)
    source = save_tiff(tmp_path / "in.tif", image)
    if suffix == "heic":
        library = pytest.importorskip("pillow_heif")
        monkeypatch.setattr(library.options, "SAVE_HDR_TO_12_BIT", False)
        with (tmp_path / "in.heic").open("wb") as file:
            library.encode("RGB;16", (256, 64), image.tobytes(), file, quality=100, chroma=444)
    elif suffix == "avif":
        deep = pyvips.Image.new_from_array(image).copy(interpretation="rgb16")
        deep.heifsave(str(tmp_path / "in.avif"), compression="av1", bitdepth=bits, Q=95)
    notices = pass_through(source.with_suffix(f".{suffix}"), tmp_path / "out.avif")
    expected = ["16 bit written as 12 bit: AVIF has no deeper"] if suffix == "tif" else []
    assert notices == expected
    written = pyvips.Image.new_from_file(str(tmp_path / "out.avif"))
    assert written.get("bits-per-sample") == bits
    error = np.abs(written.numpy().astype(float) - image) * (2**bits / 65536)
    assert error.mean() < 1


@pytest.mark.parametrize("bits", [10, 12])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_white_of_deep_avif_is_white(tmp_path: Path, bits: int, channels: int) -> None:
    from aindnet.photo.arrays import vips_image

    levels = np.linspace(0, 2**bits - 1, 4).repeat(64) * (65535 / (2**bits - 1))
    image = np.rint(levels[:, None, None] * np.ones((1, 64, channels))).astype(np.uint16)
    vips_image(image).heifsave(
        str(tmp_path / "in.avif"), compression="av1", bitdepth=bits, lossless=True
    )
    pass_through(tmp_path / "in.avif", tmp_path / "out.avif")
    for name, error in (("in", 1), ("out", 0.5 * 65535 / 255)):
        with open_photo(tmp_path / f"{name}.avif") as photo:
            samples = photo.pages[0].reader.read(0, 256)
        assert np.abs(samples.astype(int) - image).max() <= error


@pytest.mark.parametrize("name", ["rgb 16", "grey 16", "tiled", "big-endian"])
def test_streamed_files_come_out_the_same(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("decode", "store", "output_checks"):
        monkeypatch.setattr(f"aindnet.photo.{module}.IN_MEMORY_BYTES", 100)
    monkeypatch.setattr("aindnet.photo.decode._CHUNK_BYTES", 2000)
    source = TIFFS[name](tmp_path / "in.tif")
    pass_through(source, tmp_path / "out.tif")
    np.testing.assert_array_equal(tifffile.imread(source), tifffile.imread(tmp_path / "out.tif"))


@pytest.mark.parametrize("suffix", ["png", "jpg", "tif", "webp"])
def test_streamed_rows_in_any_order(
    tmp_path: Path, suffix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = save_pillow(tmp_path / f"in.{suffix}", picture())
    with open_photo(source) as photo:
        whole = photo.rows(0, HEIGHT)
    monkeypatch.setattr("aindnet.photo.decode.IN_MEMORY_BYTES", 100)
    monkeypatch.setattr("aindnet.photo.decode._CHUNK_BYTES", 1000)
    with open_photo(source) as photo:
        assert not photo.pages[0].reader.in_memory
        for y0, y1 in ((0, 20), (15, 40), (16, 20), (30, 61), (0, 5), (50, 61), (3, 4)):
            np.testing.assert_array_equal(photo.rows(y0, y1), whole[y0:y1])
