"""Plain reading and writing of arrays, with tifffile and Pillow as witnesses."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from aindnet.errors import ImageReadError, ImageWriteError
from aindnet.photo import read_image, write_image
from aindnet.photo.pixels import oriented


def noise(shape: tuple[int, ...], dtype: str) -> np.ndarray:
    generator = np.random.default_rng(5)
    if np.dtype(dtype).kind == "u":
        return generator.integers(0, np.iinfo(dtype).max + 1, shape).astype(dtype)
    return generator.uniform(-0.1, 1.1, shape).astype(dtype)


@pytest.mark.parametrize("shape", [(9, 14), (9, 14, 3)])
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_tiff_holds_every_kind(tmp_path: Path, shape: tuple[int, ...], dtype: str) -> None:
    image = noise(shape, dtype)
    write_image(tmp_path / "a.tif", image)
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "a.tif"), image)
    back = read_image(tmp_path / "a.tif")
    assert back.dtype == image.dtype
    np.testing.assert_array_equal(back, image)


@pytest.mark.parametrize("shape", [(9, 14), (9, 14, 3)])
@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_png_is_exact(tmp_path: Path, shape: tuple[int, ...], dtype: str) -> None:
    image = noise(shape, dtype)
    write_image(tmp_path / "a.png", image)
    np.testing.assert_array_equal(read_image(tmp_path / "a.png"), image)


@pytest.mark.parametrize("suffix", [".jpg", ".webp", ".avif"])
def test_lossy_kinds_stay_close(tmp_path: Path, suffix: str) -> None:
    y, x = np.mgrid[:64, :80]
    image = np.stack([2 * y, 3 * x, y + x], 2).astype(np.uint8)
    write_image(tmp_path / f"a{suffix}", image)
    with Image.open(tmp_path / f"a{suffix}") as witness:
        assert witness.size == (80, 64)
    error = np.abs(read_image(tmp_path / f"a{suffix}").astype(int) - image)
    assert error.mean() < 1.5


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_applied(tmp_path: Path, orientation: int) -> None:
    from PIL import ImageOps

    picture = Image.fromarray(noise((6, 9, 3), "uint8"))
    exif = Image.Exif()
    exif[0x0112] = orientation
    picture.save(tmp_path / "a.png", exif=exif)
    with Image.open(tmp_path / "a.png") as opened:
        expected = np.asarray(ImageOps.exif_transpose(opened))
    np.testing.assert_array_equal(read_image(tmp_path / "a.png"), expected)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_applied_to_pictures_of_many_rows(tmp_path: Path, orientation: int) -> None:
    from PIL import ImageOps

    y, x = np.mgrid[:600, :900]
    exif = Image.Exif()
    exif[0x0112] = orientation
    picture = Image.fromarray((np.stack([x, y, x + y], axis=2) // 6).astype(np.uint8))
    picture.save(tmp_path / "a.jpg", exif=exif)
    with Image.open(tmp_path / "a.jpg") as opened:
        expected = np.asarray(ImageOps.exif_transpose(opened)).astype(int)
    assert np.abs(read_image(tmp_path / "a.jpg") - expected).mean() < 0.5


@pytest.mark.parametrize("orientation", range(10))
@pytest.mark.parametrize("order", ["<", ">"])
def test_orientation_of_tiffs_is_applied_if_there_is_such_a_one(
    tmp_path: Path, orientation: int, order: str
) -> None:
    image = noise((6, 9, 3), "uint8")
    tag = (274, 3, 1, orientation, True)
    tifffile.imwrite(tmp_path / "a.tif", image, extratags=[tag], byteorder=order)
    expected = oriented(image, orientation if 1 <= orientation <= 8 else 1)
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif"), expected)


def test_white_of_deep_avif_is_white(tmp_path: Path) -> None:
    import pyvips

    white = pyvips.Image.new_from_array(np.full((9, 14, 3), 65535, np.uint16))
    deep = white.copy(interpretation="rgb16")
    deep.heifsave(str(tmp_path / "a.avif"), compression="av1", bitdepth=10, lossless=True)
    assert read_image(tmp_path / "a.avif").min() == 65535


def test_alpha_is_left_out(tmp_path: Path) -> None:
    image = noise((5, 6, 4), "uint8")
    Image.fromarray(image).save(tmp_path / "a.png")
    np.testing.assert_array_equal(read_image(tmp_path / "a.png"), image[..., :3])


@pytest.mark.parametrize(
    ("name", "content"),
    [("a.png", b""), ("a.png", b"\x89PNG\r\n\x1a\n\0\0"), ("a.jpg", b"hello"), ("a.tif", b"II*\0")],
)
def test_what_is_no_image_is_a_named_error(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ImageReadError, match=name) as caught:
        read_image(tmp_path / name)
    assert "\n" not in str(caught.value)


def test_missing_file_and_folder(tmp_path: Path) -> None:
    with pytest.raises(ImageReadError, match="nowhere"):
        read_image(tmp_path / "nowhere.png")
    with pytest.raises(ImageReadError, match="not a file"):
        read_image(tmp_path)
    with pytest.raises(ImageWriteError, match="cannot be written"):
        write_image(tmp_path / "no" / "a.png", noise((4, 4), "uint8"))


def test_depth_that_a_kind_lacks_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ImageWriteError, match="uint16"):
        write_image(tmp_path / "a.jpg", noise((4, 4, 3), "uint16"))
    assert list(tmp_path.iterdir()) == []


def test_existing_file_is_kept_unless_told(tmp_path: Path) -> None:
    write_image(tmp_path / "a.png", np.zeros((4, 4), np.uint8))
    with pytest.raises(ImageWriteError, match="--overwrite"):
        write_image(tmp_path / "a.png", np.ones((4, 4), np.uint8), overwrite=False)
    assert read_image(tmp_path / "a.png").max() == 0
    write_image(tmp_path / "a.png", np.ones((4, 4), np.uint8))
    assert read_image(tmp_path / "a.png").max() == 1
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]
