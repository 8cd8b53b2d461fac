"""AVIF and HEIC whose boxes say more than the decoders tell: patched files are the samples."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from aindnet.errors import ImageReadError
from aindnet.photo import open_photo
from photo_samples import HEIGHT, WIDTH, pass_through, picture, save_pillow

ALPHA = b"urn:mpeg:mpegB:cicp:systems:auxiliary:alpha\0"
C2PA = bytes.fromhex("d8fec3d61b0e483c92975828877ec481")


def box(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I4s", 8 + len(body), kind) + body


def save_heif(path: Path, image: np.ndarray, **options: object) -> Path:
    if path.suffix == ".heic":
        pytest.importorskip("pillow_heif").register_heif_opener()
    return save_pillow(path, image, **options)


def save_film(path: Path) -> Path:
    """Several pictures: as an AVIF sequence by Pillow, or as a HEIC with a film's header."""
    frames = [Image.fromarray(image) for image in (picture(), picture()[::-1])]
    if path.suffix == ".avif":
        frames[0].save(path, save_all=True, append_images=frames[1:])
        return path
    save_heif(path, picture())
    path.write_bytes(path.read_bytes() + box(b"moov", bytes(50)))
    return path


@pytest.mark.parametrize("suffix", ["avif", "heic"])
def test_sequences_are_animations(tmp_path: Path, suffix: str) -> None:
    source = save_film(tmp_path / f"in.{suffix}")
    data = bytearray(source.read_bytes())
    data[8:12] = b"avis" if suffix == "avif" else b"hevc"
    source.write_bytes(data)
    with pytest.raises(ImageReadError, match="an animation, not a photo"):
        open_photo(source)


def test_a_photo_with_a_film_is_a_photo(tmp_path: Path) -> None:
    source = save_film(tmp_path / "in.avif")
    data = bytearray(source.read_bytes())
    data[8:12] = b"avif"
    source.write_bytes(data)
    (notice,) = pass_through(source, tmp_path / "out.png")
    assert "further pictures" in notice


@pytest.mark.parametrize("suffix", ["avif", "heic"])
def test_premultiplied_alpha_is_written_apart(tmp_path: Path, suffix: str) -> None:
    image = np.full((HEIGHT, WIDTH, 4), (200, 150, 100, 128), np.uint8)
    source = tmp_path / f"in.{suffix}"
    if suffix == "avif":
        save_pillow(source, image, quality=100, alpha_premultiplied=True)
    else:
        library = pytest.importorskip("pillow_heif")
        image[..., :3] = image[..., :3] * (128 / 255)
        library.encode("RGBa", (WIDTH, HEIGHT), image.tobytes(), source, quality=100, chroma=444)
    assert b"prem" in source.read_bytes()
    (notice,) = pass_through(source, tmp_path / "out.png")
    assert "alpha that was multiplied" in notice
    with Image.open(tmp_path / "out.png") as new:
        assert np.abs(np.asarray(new).astype(int) - (200, 150, 100, 128)).max() <= 4


def test_colour_is_that_of_the_primary_picture(tmp_path: Path) -> None:
    source = save_pillow(tmp_path / "in.avif", picture(channels=4))
    data = source.read_bytes()
    colour = data.index(b"av1C")
    alpha = data.index(b"av1C", colour + 1)
    start, end = data.index(b"ipma"), data.index(b"mdat") - 4
    # The two configurations, third and sixth, change places and the numbers that they go by.
    numbers = data[start:end].translate(bytes.maketrans(b"\x83\x86", b"\x86\x83"))
    swapped = bytearray(data)
    swapped[colour : colour + 8] = data[alpha : alpha + 8]
    swapped[alpha : alpha + 8] = data[colour : colour + 8]
    swapped[start:end] = numbers
    assert swapped != data
    source.write_bytes(swapped)
    with open_photo(tmp_path / "in.avif") as photo:
        assert photo.pages[0].channels == 4


def test_gain_maps_of_avif_are_named(tmp_path: Path) -> None:
    source = save_pillow(tmp_path / "in.avif", picture(channels=4))
    gain_map = b"urn:com:apple:photo:2020:aux:hdrgainmap"
    source.write_bytes(source.read_bytes().replace(ALPHA, gain_map.ljust(len(ALPHA), b"\0")))
    (notice,) = pass_through(source, tmp_path / "out.avif")
    assert "gain map) left out" in notice


@pytest.mark.parametrize("suffix", ["avif", "heic"])
def test_content_credentials_are_named(tmp_path: Path, suffix: str) -> None:
    source = save_heif(tmp_path / f"in.{suffix}", picture())
    source.write_bytes(source.read_bytes() + box(b"uuid", C2PA + b"manifest"))
    (notice,) = pass_through(source, tmp_path / f"out.{suffix}")
    assert "content credentials left out" in notice
    assert b"manifest" not in (tmp_path / f"out.{suffix}").read_bytes()
