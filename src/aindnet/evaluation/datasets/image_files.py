"""Image files and bytes as arrays, and the folders of them that data sets are made of."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import numpy as np

from aindnet.errors import DatasetError, ImageReadError
from aindnet.evaluation.datasets.sample import Image
from aindnet.photo import read_image

PLAIN_SUFFIXES = frozenset({".bmp", ".ppm", ".pgm"})
IMAGE_SUFFIXES = PLAIN_SUFFIXES | frozenset(
    {".png", ".jpg", ".jpeg", ".tif", ".tiff", ".webp", ".avif"}
)


def image_files(folder: Path) -> dict[str, Path]:
    """The image files directly inside a folder by stem, sorted by name; two files of one stem are
    an error.
    """
    files: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() not in IMAGE_SUFFIXES or path.name.startswith("."):
            continue
        if path.stem in files:
            raise DatasetError(
                f"{path}: a second image named {path.stem} beside {files[path.stem].name}"
            )
        files[path.stem] = path
    return files


def read_file(path: Path) -> Image:
    """An image file as `photo.read_image` reads it; BMP and PNM, which data sets use, through
    scikit-image.
    """
    if path.suffix.lower() not in PLAIN_SUFFIXES:
        return read_image(path)
    from skimage.io import imread

    try:
        return check_layout(np.asarray(imread(path)), str(path))
    except (OSError, ValueError, SyntaxError) as error:
        raise ImageReadError(f"{path}: not a readable image ({error})") from error


def decode_image(data: bytes, name: str) -> Image:
    """The bytes of an image file as uint8 or uint16, `(H, W)` or `(H, W, 3)`; `name` is for the
    error's text.
    """
    import pyvips

    try:
        picture = pyvips.Image.new_from_buffer(data, "")
        return check_layout(cast(Image, picture.numpy()), name)
    except pyvips.Error as error:
        reason = str(error).strip().splitlines()[0]
        raise ImageReadError(f"{name}: not a readable image ({reason})") from error


def check_layout(image: Image, name: str) -> Image:
    """Grey as `(H, W)`, colour as `(H, W, 3)`, alpha left out; anything else than 8 or 16 bits is
    an error.
    """
    if image.dtype not in (np.uint8, np.uint16):
        raise ImageReadError(f"{name}: pixels of type {image.dtype}; 8 or 16 bits are needed")
    if image.ndim == 2:
        return image
    if image.ndim != 3 or image.shape[2] > 4:
        raise ImageReadError(f"{name}: an array of shape {image.shape}; grey or RGB is needed")
    return image[..., 0] if image.shape[2] <= 2 else image[..., :3]
