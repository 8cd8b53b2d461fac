"""Tone curves: read as LittleCMS reads them, gone through and back without loss."""

from __future__ import annotations

import io
import struct
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image, ImageCms

from aindnet.errors import ImageWriteError
from aindnet.photo import open_photo
from aindnet.photo.encoding import (
    LINEAR,
    SRGB,
    choose_encoding,
    encoding_of_curve,
    linear_from_srgb,
    srgb_from_linear,
)
from aindnet.photo.icc import CURVE_POINTS, is_srgb, tone_curve
from photo_samples import icc_profile, pass_through, picture, save_pillow, save_tiff


def profile_with(curve: bytes) -> bytes:
    """A profile of sRGB's primaries and a tone curve of one's own."""
    plain = icc_profile()
    (count,) = struct.unpack_from(">I", plain, 128)
    tags = [struct.unpack_from(">4sII", plain, 132 + 12 * i) for i in range(count)]
    curve = curve.ljust(-(-len(curve) // 4) * 4, b"\0")
    body, table, place = b"", b"", 132 + 12 * count
    for name, offset, size in tags:
        data = curve if name.endswith(b"TRC") else plain[offset : offset + size]
        table += struct.pack(">4sII", name, place + len(body), len(data))
        body += data.ljust(-(-len(data) // 4) * 4, b"\0")
    whole = plain[:128] + struct.pack(">I", count) + table + body
    return struct.pack(">I", len(whole)) + whole[4:]


def gamma_curve(gamma: float) -> bytes:
    return b"curv\0\0\0\0" + struct.pack(">IH", 1, round(gamma * 256))


def parametric(kind: int, *numbers: float) -> bytes:
    values = [round(number * 65536) for number in numbers]
    return b"para\0\0\0\0" + struct.pack(f">HH{len(values)}i", kind, 0, *values)


SRGB_NUMBERS = (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)
TABLE = np.rint(np.linspace(0, 1, 64) ** 1.8 * 65535).astype(">u2")
CURVES = {
    "gamma 1.8": gamma_curve(1.8),
    "gamma 2.2": gamma_curve(2.2),
    "linear": b"curv\0\0\0\0\0\0\0\0",
    "table": b"curv\0\0\0\0" + struct.pack(">I", 64) + TABLE.tobytes(),
    "parametric 0": parametric(0, 1.9),
    "parametric 1": parametric(1, 2.2, 0.9, 0.1),
    "parametric 2": parametric(2, 2.2, 0.9, 0.05, 0.02),
    "parametric 3": parametric(3, *SRGB_NUMBERS),
    "parametric 4": parametric(4, *SRGB_NUMBERS, 0.0, 0.0),
}


@pytest.mark.parametrize("name", CURVES)
def test_curves_are_what_littlecms_makes_of_them(name: str) -> None:
    profile = profile_with(CURVES[name])
    ours = tone_curve(profile)
    assert ours is not None
    levels = np.arange(256, dtype=np.uint8)
    grey = Image.fromarray(np.repeat(levels[None, :, None], 3, axis=2))
    there = ImageCms.profileToProfile(
        grey,
        ImageCms.ImageCmsProfile(io.BytesIO(profile)),
        ImageCms.ImageCmsProfile(io.BytesIO(icc_profile())),
        renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
    )
    witness = np.asarray(there)[0, :, 1] / 255
    light = np.interp(levels / 255, np.linspace(0, 1, CURVE_POINTS), ours).astype(np.float32)
    assert np.abs(srgb_from_linear(np.clip(light, 0, 1)) - witness).max() < 1.5 / 255


@pytest.mark.parametrize("cut", [0, 100, 131, 140, 300])
def test_damaged_profiles_have_no_curve(cut: int) -> None:
    assert tone_curve(icc_profile()[:cut]) is None
    assert choose_encoding("auto", icc_profile()[:cut]) is SRGB


def test_srgb_is_known() -> None:
    assert is_srgb(icc_profile())
    assert not is_srgb(profile_with(gamma_curve(1.8)))


def test_which_files_are_worked_on_as_they_are() -> None:
    for curve, expected in (("gamma 2.2", SRGB), ("parametric 3", SRGB), ("linear", LINEAR)):
        assert choose_encoding("auto", profile_with(CURVES[curve])) is expected
    prophoto = choose_encoding("auto", profile_with(CURVES["gamma 1.8"]))
    assert not prophoto.identity
    assert choose_encoding("srgb", profile_with(CURVES["linear"])) is SRGB
    assert choose_encoding("linear", None) is LINEAR
    assert choose_encoding("auto", None) is SRGB


@pytest.mark.parametrize(
    "encoding", [LINEAR, encoding_of_curve(np.linspace(0, 1, 4096) ** 1.8, "gamma 1.8"), SRGB]
)
def test_there_and_back(encoding: object) -> None:
    samples = np.linspace(-0.5, 3.0, 2001, dtype=np.float32)
    back = encoding.backward(encoding.forward(samples))  # type: ignore[attr-defined]
    np.testing.assert_allclose(back, samples, atol=2e-5)


def table_curve(gamma: float, entries: int) -> bytes:
    table = np.rint(np.linspace(0, 1, entries) ** gamma * 65535).astype(">u2")
    return b"curv\0\0\0\0" + struct.pack(">I", entries) + table.tobytes()


@pytest.mark.parametrize(("gamma", "entries"), [(1.8, 1024), (1.8, 4096), (2.6, 256)])
def test_tables_whose_darkest_entries_are_rounded_to_black(gamma: float, entries: int) -> None:
    encoding = choose_encoding("auto", profile_with(table_curve(gamma, entries)))
    samples = np.linspace(0.0, 1.0, 2001, dtype=np.float32)
    seen = encoding.forward(samples)
    expected = srgb_from_linear(samples**gamma)
    np.testing.assert_allclose(seen, expected, atol=3e-4)
    np.testing.assert_allclose(encoding.backward(seen), samples, atol=2e-5)


def test_a_curve_that_falls_is_not_gone_through() -> None:
    light = np.linspace(0, 1, CURVE_POINTS) ** 1.8
    light[2000:2100] = light[2000:2100][::-1]
    assert encoding_of_curve(light, "falls") is SRGB


def test_srgb_curve_is_the_standards() -> None:
    light = np.array([0.0, 0.001, 0.0031308, 0.18, 0.5, 1.0], np.float32)
    expected = [0.0, 0.01292, 0.040450, 0.461356, 0.735357, 1.0]
    np.testing.assert_allclose(srgb_from_linear(light), expected, atol=1e-5)
    np.testing.assert_allclose(linear_from_srgb(srgb_from_linear(light)), light, atol=1e-6)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
@pytest.mark.parametrize("curve", ["linear", "gamma 1.8", "gamma 2.2"])
def test_unchanged_files_come_out_bit_for_bit(tmp_path: Path, dtype: str, curve: str) -> None:
    image = picture(dtype)
    save_tiff(tmp_path / "in.tif", image, iccprofile=profile_with(CURVES[curve]))
    pass_through(tmp_path / "in.tif", tmp_path / "out.tif")
    after = tifffile.imread(tmp_path / "out.tif")
    assert after.dtype == image.dtype
    np.testing.assert_array_equal(after, image)
    with tifffile.TiffFile(tmp_path / "out.tif") as file:
        assert file.pages[0].tags[34675].value == profile_with(CURVES[curve])


def test_a_linear_file_is_shown_to_the_network_as_srgb_and_comes_back_linear(
    tmp_path: Path,
) -> None:
    image = np.full((20, 30, 3), 0.18, np.float32)
    save_tiff(tmp_path / "in.tif", image, iccprofile=profile_with(CURVES["linear"]))
    with open_photo(tmp_path / "in.tif") as photo:
        assert photo.rows(0, 20).mean() == pytest.approx(0.461356, abs=1e-5)
    pass_through(tmp_path / "in.tif", tmp_path / "out.tif", lambda rows: rows + np.float32(0.1))
    expected = ((0.561356 + 0.055) / 1.055) ** 2.4
    np.testing.assert_allclose(tifffile.imread(tmp_path / "out.tif"), expected, atol=1e-5)


def test_the_user_can_say_that_a_file_is_linear(tmp_path: Path) -> None:
    save_tiff(tmp_path / "in.tif", np.full((4, 4, 3), 0.18, np.float32))
    with open_photo(tmp_path / "in.tif", encoding="linear") as photo:
        assert photo.rows(0, 4).mean() == pytest.approx(0.461356, abs=1e-5)


def test_a_png_that_says_it_is_linear(tmp_path: Path) -> None:
    import zlib

    path = save_pillow(tmp_path / "in.png", np.full((4, 4, 3), 46, np.uint8))
    data = path.read_bytes()
    chunk = b"gAMA" + struct.pack(">I", 100_000)
    chunk = struct.pack(">I", 4) + chunk + struct.pack(">I", zlib.crc32(chunk))
    path.write_bytes(data[:33] + chunk + data[33:])
    with open_photo(path) as photo:
        assert photo.rows(0, 4).mean() == pytest.approx(0.4614, abs=0.002)


def test_linear_samples_are_not_cut_to_eight_bit(tmp_path: Path) -> None:
    save_tiff(tmp_path / "in.tif", picture("uint16"), iccprofile=profile_with(CURVES["linear"]))
    with pytest.raises(ImageWriteError, match="band"):
        pass_through(tmp_path / "in.tif", tmp_path / "out.jpg")


@pytest.mark.parametrize(
    ("dtype", "curve", "suffix"),
    [("uint16", "gamma 1.8", "jpg"), ("float32", "linear", "png"), ("uint8", "linear", "jpg")],
)
def test_samples_that_do_not_band_are_written(
    tmp_path: Path, dtype: str, curve: str, suffix: str
) -> None:
    image = picture(dtype)
    save_tiff(tmp_path / "in.tif", image, iccprofile=profile_with(CURVES[curve]))
    pass_through(tmp_path / "in.tif", tmp_path / f"out.{suffix}")
    with Image.open(tmp_path / f"out.{suffix}") as new:
        assert new.info["icc_profile"] == profile_with(CURVES[curve])
        written = np.asarray(new.convert("RGB")) / 255
    white = 1.0 if dtype == "float32" else np.iinfo(dtype).max
    assert np.abs(written - np.clip(image / white, 0, 1)).mean() < 0.02
