"""Image files and bytes as arrays, and the folders of them that data sets are made of."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import numpy as np

from aindnet.errors import DatasetError, ImageReadError
from aindnet.evaluation.datasets.sample import Image

IMAGE_SUFFIXES = frozenset(
    {".png", ".jpg", ".jpeg", ".tif", ".tiff", ".webp", ".bmp", ".ppm", ".pgm", ".avif", ".jxl"}
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


def decode_image(data: bytes, name: str) -> Image:
    """The bytes of an image file as uint8 or uint16, `(H, W)` or `(H, W, 3)`; `name` is for the
    error's text.
    """
    import pyvips

    try:
        picture = pyvips.Image.new_from_buffer(data, "")
        if picture.hasalpha():
            picture = picture.extract_band(0, n=picture.bands - 1)
        if picture.bands not in (1, 3):
            raise ImageReadError(f"{name}: {picture.bands} channels; a grey or RGB image is needed")
        array = cast(Image, picture.numpy())
    except pyvips.Error as error:
        reason = str(error).strip().splitlines()[0]
        raise ImageReadError(f"{name}: not a readable image ({reason})") from error
    if array.dtype not in (np.uint8, np.uint16):
        raise ImageReadError(f"{name}: pixels of type {array.dtype}; 8 or 16 bits are needed")
    return array[..., 0] if array.ndim == 3 and array.shape[2] == 1 else array
