"""Colours that files state without a profile come out as the same colours, or not at all."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms

from aindnet.errors import ImageWriteError
from aindnet.photo import heif_boxes
from aindnet.photo.colour_codes import SRGB_PRIMARIES, ColourCodes, make_profile
from aindnet.photo.icc import is_srgb
from aindnet.photo.source import SourceFile
from photo_samples import HEIGHT, WIDTH, pass_through, picture, save_pillow

P3, PQ, P709 = ColourCodes(12, 13), ColourCodes(9, 16), ColourCodes(1, 1)


def in_srgb(rgb: np.ndarray, profile: bytes) -> np.ndarray:
    """Colours of a profile as littleCMS turns them to sRGB."""
    image = Image.fromarray(rgb)
    source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
    return np.asarray(
        ImageCms.profileToProfile(image, source, ImageCms.createProfile("sRGB")), dtype=float
    )


def test_made_profiles_mean_what_known_ones_do() -> None:
    import pyvips

    known = bytes(pyvips.Image.profile_load("p3"))
    made = P3.profile(grey=False)
    assert made is not None
    colours = picture()
    assert np.abs(in_srgb(colours, made) - in_srgb(colours, known)).max() <= 1
    plain = make_profile(SRGB_PRIMARIES, None)
    assert plain is not None
    assert is_srgb(plain)
    assert np.abs(in_srgb(colours, plain) - colours).max() <= 1
    gamma = make_profile(SRGB_PRIMARIES, 1.0)
    assert gamma is not None
    assert in_srgb(np.full((1, 1, 3), 55, np.uint8), gamma)[0, 0, 1] == pytest.approx(128, abs=1)
    grey = make_profile(SRGB_PRIMARIES, 1.8, grey=True)
    assert ImageCms.ImageCmsProfile(io.BytesIO(grey)).profile.xcolor_space.strip() == "GRAY"


@pytest.mark.parametrize("primaries", [(0.0,) * 8, (0.3, 0.3) * 4, (1e9, 1e-5) * 4])
def test_chromaticities_that_are_no_colours_make_no_profile(primaries: tuple[float, ...]) -> None:
    assert make_profile(primaries, 2.2) is None


def save_heic(path: Path, codes: ColourCodes) -> Path:
    library = pytest.importorskip("pillow_heif")
    with path.open("wb") as file:
        library.encode(
            *("RGB;16", (WIDTH, HEIGHT), picture("uint16").tobytes(), file),
            **{"quality": 95, "chroma": 444, "color_primaries": codes.primaries},
            **{"transfer_characteristics": codes.transfer, "matrix_coefficients": 9},
            full_range_flag=1,
            content_light_level={"max_content_light_level": 900, "max_pic_average_light_level": 90},
        )
    return path


def save_avif(path: Path, codes: ColourCodes) -> Path:
    save_pillow(path, picture(), quality=95)
    data = bytearray(path.read_bytes())
    at = data.index(b"colrnclx") + 8
    data[at : at + 4] = struct.pack(">HH", codes.primaries, codes.transfer)
    path.write_bytes(data)
    return path


def with_chunk(path: Path, kind: bytes, data: bytes) -> Path:
    """The PNG with a chunk after its header."""
    whole = path.read_bytes()
    chunk = struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    path.write_bytes(whole[:33] + chunk + whole[33:])
    return path


@pytest.mark.parametrize("codes", [P3, P709])
def test_heic_keeps_its_code_points(tmp_path: Path, codes: ColourCodes) -> None:
    library = pytest.importorskip("pillow_heif")
    pass_through(save_heic(tmp_path / "in.heic", codes), tmp_path / "out.heic")
    old, new = (library.open_heif(tmp_path / f"{name}.heic") for name in ("in", "out"))
    stated = new.info["nclx_profile"]
    assert ColourCodes(stated["color_primaries"], stated["transfer_characteristics"]) == codes
    assert new.info["content_light_level"]["max_content_light_level"] == 900
    assert np.abs(np.asarray(old[0]) / 65535 - np.asarray(new[0]) / 65535).mean() < 0.005


@pytest.mark.parametrize("suffix", ["heic", "avif"])
def test_code_points_become_a_profile(tmp_path: Path, suffix: str) -> None:
    save = save_heic if suffix == "heic" else save_avif
    source = save(tmp_path / f"in.{suffix}", P3)
    for into in ("tif", "png") if suffix == "heic" else ("avif", "png"):
        pass_through(source, tmp_path / f"out.{into}")
        with Image.open(tmp_path / f"out.{into}") as new:
            assert new.info["icc_profile"] == P3.profile(grey=False)
    assert b"cICP\x0c\x0d\0\1" in (tmp_path / "out.png").read_bytes()
    plain = save(tmp_path / f"plain.{suffix}", P709)
    pass_through(plain, tmp_path / "plain.png")
    with Image.open(tmp_path / "plain.png") as new:
        assert "icc_profile" not in new.info


@pytest.mark.parametrize("suffix", ["heic", "avif", "png"])
def test_hdr_goes_where_it_can_be_stated_and_nowhere_else(tmp_path: Path, suffix: str) -> None:
    library = pytest.importorskip("pillow_heif")
    source = tmp_path / f"in.{suffix}"
    if suffix == "png":
        with_chunk(save_pillow(source, picture()), b"cICP", bytes([9, 16, 0, 1]))
    else:
        (save_heic if suffix == "heic" else save_avif)(source, PQ)
    for into in ("tif", "jpg", "avif"):
        with pytest.raises(ImageWriteError, match=r"PQ.*\.png"):
            pass_through(source, tmp_path / f"out.{into}")
    pass_through(source, tmp_path / "out.png")
    assert b"cICP\x09\x10\0\1" in (tmp_path / "out.png").read_bytes()
    pass_through(source, tmp_path / "out.heic")
    stated = library.open_heif(tmp_path / "out.heic").info["nclx_profile"]
    assert (stated["color_primaries"], stated["transfer_characteristics"]) == (9, 16)


def test_code_points_of_a_png_go_before_its_profile(tmp_path: Path) -> None:
    library = pytest.importorskip("pillow_heif")
    profile = P3.profile(grey=False)
    for name, codes in (("hdr", PQ), ("plain", ColourCodes(1, 13))):
        source = save_pillow(tmp_path / f"{name}.png", picture(), icc_profile=profile)
        with_chunk(source, b"cICP", bytes([codes.primaries, codes.transfer, 0, 1]))
        pass_through(source, tmp_path / f"out-{name}.png")
        assert (tmp_path / f"out-{name}.png").read_bytes()[:61] == source.read_bytes()[:61]
    with pytest.raises(ImageWriteError, match=r"PQ.*\.png"):
        pass_through(tmp_path / "hdr.png", tmp_path / "out.jpg")
    pass_through(tmp_path / "hdr.png", tmp_path / "out.heic")
    stated = library.open_heif(tmp_path / "out.heic").info["nclx_profile"]
    assert (stated["color_primaries"], stated["transfer_characteristics"]) == (9, 16)
    pass_through(tmp_path / "plain.png", tmp_path / "out.webp")
    with Image.open(tmp_path / "out.webp") as new:
        assert "icc_profile" not in new.info


def test_a_profile_beside_unknown_code_points_is_taken(tmp_path: Path) -> None:
    profile = P3.profile(grey=False)
    source = save_pillow(tmp_path / "in.png", picture(), icc_profile=profile)
    with_chunk(source, b"cICP", bytes([3, 0, 0, 1]))
    pass_through(source, tmp_path / "out.jpg")
    with Image.open(tmp_path / "out.jpg") as new:
        assert new.info["icc_profile"] == profile


@pytest.mark.parametrize("codes", [(1, 13), (2, 2), (9, 16)])
def test_samples_of_narrow_range_stay_in_a_png(tmp_path: Path, codes: tuple[int, int]) -> None:
    source = with_chunk(save_pillow(tmp_path / "in.png", picture()), b"cICP", bytes([*codes, 0, 0]))
    assert pass_through(source, tmp_path / "out.png") == []
    assert bytes([*codes, 0, 0]) in (tmp_path / "out.png").read_bytes()
    for into in ("heic", "jpg", "tif"):
        with pytest.raises(ImageWriteError, match=r"narrow range.*\.png"):
            pass_through(source, tmp_path / f"out.{into}")


ADOBE = (31270, 32900, 64000, 33000, 21000, 71000, 15000, 6000)
ADOBE_PRIMARIES = (0.64, 0.33, 0.21, 0.71, 0.15, 0.06, 0.3127, 0.329)
PLAIN = (31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000)


@pytest.mark.parametrize(
    ("gamma", "primaries", "expected"),
    [
        (45455, None, None),
        (45455, PLAIN, None),
        (100_000, PLAIN, make_profile(SRGB_PRIMARIES, 1.0)),
        (55556, None, make_profile(SRGB_PRIMARIES, 100_000 / 55556)),
        (45455, ADOBE, make_profile(ADOBE_PRIMARIES, 100_000 / 45455)),
    ],
)
def test_gamma_of_a_png_becomes_a_profile(
    tmp_path: Path,
    gamma: int,
    primaries: tuple[int, ...] | None,
    expected: bytes | None,
) -> None:
    source = with_chunk(
        save_pillow(tmp_path / "in.png", picture()), b"gAMA", struct.pack(">I", gamma)
    )
    if primaries is not None:
        with_chunk(source, b"cHRM", struct.pack(">8I", *primaries))
    pass_through(source, tmp_path / "out.png")
    with Image.open(tmp_path / "out.png") as new:
        assert "icc_profile" not in new.info
        assert new.info["gamma"] == gamma / 100_000
    pass_through(source, tmp_path / "out.webp")
    with Image.open(tmp_path / "out.webp") as new:
        made = new.info.get("icc_profile")
    assert made == expected


def test_grey_pngs_get_a_grey_profile(tmp_path: Path) -> None:
    source = save_pillow(tmp_path / "in.png", picture(channels=1))
    with_chunk(source, b"gAMA", struct.pack(">I", 100_000))
    pass_through(source, tmp_path / "out.tif")
    with Image.open(tmp_path / "out.tif") as new:
        assert new.info["icc_profile"] == make_profile(SRGB_PRIMARIES, 1.0, grey=True)


def test_grey_profiles_are_not_put_on_three_colours(tmp_path: Path) -> None:
    for gamma, name in ((1.0, "linear"), (2.2, "usual")):
        profile = make_profile(SRGB_PRIMARIES, gamma, grey=True)
        save_pillow(tmp_path / f"{name}.png", picture(channels=1), icc_profile=profile)
    with pytest.raises(ImageWriteError, match=r"grey.*\.tif"):
        pass_through(tmp_path / "linear.png", tmp_path / "out.webp")
    (notice,) = pass_through(tmp_path / "usual.png", tmp_path / "out.webp")
    assert "profile of grey left out" in notice
    with Image.open(tmp_path / "out.webp") as new:
        assert "icc_profile" not in new.info


def test_damaged_boxes_state_nothing(tmp_path: Path) -> None:
    data = save_avif(tmp_path / "in.avif", P3).read_bytes()
    for end in (len(data), *range(12, data.index(b"mdat"), 7)):
        (tmp_path / "cut.avif").write_bytes(data[:end])
        with SourceFile(tmp_path / "cut.avif") as source:
            codes = heif_boxes.read_boxes(source).codes
        assert codes == P3 or (codes is None and end < len(data))
