"""Image files and bytes as arrays, and the folders of them that data sets are made of."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import cast

import numpy as np

from aindnet.errors import DatasetError, ImageReadError
from aindnet.evaluation.datasets.sample import Image
from aindnet.photo import SUFFIXES, open_photo, read_image
from aindnet.photo.arrays import PLAIN_SUFFIXES
from aindnet.photo.formats import HEIC, JXL, RAW

OLD_SUFFIXES = frozenset({".bmp", ".ppm", ".pgm"})
IMAGE_SUFFIXES = OLD_SUFFIXES | SUFFIXES
TURNED = (HEIC, JXL, RAW)
"""Kinds of file that are decoded upright."""

Skip = Callable[[Path], bool]
"""Whether a file is no image of a data set."""


def skip_nothing(path: Path) -> bool:
    """No file."""
    return False


def image_files(folder: Path) -> dict[str, Path]:
    """The image files directly inside a folder by stem, sorted by name; two files of one stem are
    an error.
    """
    return _by_name(folder, folder.iterdir())


def image_files_under(folder: Path, skip: Skip = skip_nothing) -> dict[str, Path]:
    """As `image_files`, those in further folders too, by `FOLDER/STEM`."""
    return _by_name(folder, (path for path in _files_under(folder) if not skip(path)))


def is_visible(path: Path, root: Path) -> bool:
    """Whether neither a file of a folder nor a folder that it is in is hidden: macOS puts `._NAME`
    beside every file on a foreign disk, and `__MACOSX` into archives.
    """
    parts = path.relative_to(root).parts
    return not any(part.startswith(".") or part == "__MACOSX" for part in parts)


def _by_name(folder: Path, paths: Iterable[Path]) -> dict[str, Path]:
    files: dict[str, Path] = {}
    for path in sorted(paths):
        if path.suffix.lower() not in IMAGE_SUFFIXES or not is_visible(path, folder):
            continue
        name = path.relative_to(folder).with_suffix("").as_posix()
        if name in files:
            raise DatasetError(f"{path}: a second image named {name} beside {files[name].name}")
        files[name] = path
    return files


def _files_under(folder: Path) -> Iterator[Path]:
    def refuse(error: OSError) -> None:
        raise error

    for current, _, names in os.walk(folder, onerror=refuse):
        yield from (Path(current, name) for name in names)


def read_file(path: Path) -> Image:
    """An image file as `photo.read_image` reads it: its own samples, upright, alpha left out.

    HEIC, JPEG XL and RAW, which is developed, through `photo.open_photo`; BMP and PNM, which data
    sets use, through scikit-image.
    """
    suffix = path.suffix.lower()
    if suffix in PLAIN_SUFFIXES:
        return read_image(path)
    if suffix not in OLD_SUFFIXES:
        return _read_photo(path)
    from skimage.io import imread

    try:
        return check_layout(np.asarray(imread(path)), str(path))
    except (OSError, ValueError, SyntaxError) as error:
        raise ImageReadError(f"{path}: not a readable image ({error})") from error


def _read_photo(path: Path) -> Image:
    with open_photo(path) as photo:
        if photo.format in TURNED:
            page = photo.pages[0]
            samples = page.reader.read(0, page.height)
            return samples[..., 0] if page.grey else samples[..., :3]
    return read_image(path)  # of another kind than its name says


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
