"""Small images as whole arrays, for data sets and pictures: no metadata, no streaming."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from aindnet.errors import ImageReadError, ImageWriteError
from aindnet.photo.atomic import AtomicFile
from aindnet.photo.decode import damaged, dtype_of, open_tiff_page, open_vips
from aindnet.photo.formats import AVIF, JPEG, PNG, TIFF, WEBP, format_for_output
from aindnet.photo.paths import shown
from aindnet.photo.pixels import Image, check_image
from aindnet.photo.source import SourceFile
from aindnet.photo.tiff_pages import read_directories

VIPS_FORMATS = {"uint8": "uchar", "uint16": "ushort", "float32": "float"}
_BY_VIPS = (JPEG, PNG, TIFF, WEBP, AVIF)
PLAIN_SUFFIXES = frozenset(suffix for kind in _BY_VIPS for suffix in kind.suffixes)
"""Of the files that `read_image` reads."""


def read_image(path: str | Path) -> Image:
    """The image as the file's own samples: (H, W) grey or (H, W, 3) RGB; uint8, uint16 or float.

    EXIF orientation is applied, alpha left out, palettes expanded; colour profiles are not
    applied. Raises `ImageReadError`.
    """
    import pyvips

    with SourceFile(Path(path)) as source:
        if source.format not in _BY_VIPS:
            raise ImageReadError(
                f"{shown(source.path)}: {source.format.name} is not read as a plain array; "
                "convert it to PNG or TIFF first"
            )
        try:
            image = _upright(
                open_tiff_page(source, read_directories(source).pages[0])
                if source.format is TIFF
                else open_vips(source)
            )
            dtype = dtype_of(image, source)
            colours = 1 if image.bands in (1, 2) else 3
            if image.interpretation == "cmyk" or image.bands not in (1, 2, 3, 4):
                raise ImageReadError(f"{shown(source.path)}: not grey or RGB; convert it first")
            if image.bands != colours:
                image = image.extract_band(0, n=colours)
            data = image.write_to_memory()
        except pyvips.Error as error:
            raise damaged(source, error) from error
        source.check_unchanged()
    pixels = np.frombuffer(data, dtype).reshape(image.height, image.width, colours)
    return pixels[..., 0].copy() if colours == 1 else pixels.copy()


def _upright(image: Any) -> Any:
    """A libvips image that is read top to bottom, turned as its EXIF orientation wants it shown."""
    turn = image.get("orientation") if image.get_typeof("orientation") else 1
    # Turning asks for rows in another order than they are decoded in.
    return image if turn == 1 else image.copy_memory().autorot()


def write_image(path: str | Path, image: Image, *, overwrite: bool = True) -> None:
    """Write (H, W) or (H, W, C) samples, uint8, uint16 or float32, by the suffix of `path`.

    JPEG and WebP are written at quality 95 without chroma subsampling, the others without loss.
    The file has its name only when whole. Raises `ImageWriteError`, `InvalidImageError`.
    """
    import pyvips

    check_image(image)
    path = Path(path)
    kind = format_for_output(path)
    if kind not in _BY_VIPS or image.dtype.name not in kind.depths:
        raise ImageWriteError(
            f"{shown(path)}: {image.dtype} samples are not written as {kind.name}; "
            "use .tif, with float32 for floats"
        )
    pixels = image[..., np.newaxis] if image.ndim == 2 else image
    options: dict[str, Any] = {"keep": "none"}
    if kind in (JPEG, WEBP, AVIF):
        options["Q"] = 95
    if kind in (JPEG, AVIF):
        options["subsample_mode"] = "off"
    if kind is TIFF:
        # Few readers know the floating-point predictor.
        predictor = "none" if image.dtype.kind == "f" else "horizontal"
        options |= {"compression": "deflate", "predictor": predictor}
    try:
        encoded: bytes = vips_image(pixels).write_to_buffer(kind.suffixes[0], **options)
    except pyvips.Error as error:
        detail = " ".join(str(error.detail).split())
        raise ImageWriteError(f"{shown(path)}: cannot be encoded ({detail})") from error
    with AtomicFile(path, overwrite=overwrite) as file:
        file.write(encoded)
        file.commit()


def vips_interpretation(channels: int, dtype: np.dtype[Any]) -> str:
    """libvips' name for what the samples mean."""
    if channels <= 2:
        return "grey16" if dtype == np.uint16 else "b-w"
    return "rgb16" if dtype == np.uint16 else "srgb"


def vips_image(pixels: Image) -> Any:
    """An (H, W, C) array as a libvips image of the fitting colour kind."""
    import pyvips

    pixels = np.ascontiguousarray(pixels)
    height, width, channels = pixels.shape
    image = pyvips.Image.new_from_memory(
        pixels.data, width, height, channels, VIPS_FORMATS[pixels.dtype.name]
    )
    return image.copy(interpretation=vips_interpretation(channels, pixels.dtype))
