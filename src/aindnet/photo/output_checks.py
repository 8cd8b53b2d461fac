"""What a kind of file cannot hold, said before the work and not after it."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np

from aindnet.errors import ImageWriteError
from aindnet.photo import maker_note, tiff
from aindnet.photo.decode import IN_MEMORY_BYTES
from aindnet.photo.encoding import choose_encoding
from aindnet.photo.formats import AVIF, HEIC, JPEG, JXL, PNG, RAW, TIFF, WEBP, Format
from aindnet.photo.heic import check_heic
from aindnet.photo.jpeg import PROFILE_LIMIT
from aindnet.photo.jxl import check_jxl
from aindnet.photo.paths import reason, shown
from aindnet.photo.photo import Page, Photo

_LOSSLESS = (TIFF, PNG)
_WITHOUT_GREY = (AVIF, WEBP)
_KNOW_COLOUR_CODES = (HEIC, PNG)


def dtype_in(kind: Format, page: Page) -> np.dtype[Any]:
    """The sample type that a page is written with."""
    return np.dtype(page.dtype if page.dtype.name in kind.depths else kind.depths[-1])


def channels_in(kind: Format, page: Page) -> int:
    """How many channels of a page are written."""
    kept = kind is TIFF or (kind.alpha and not page.traits.extra_unspecified)
    return page.channels - 1 if page.has_extra and not kept else page.channels


def puts_grey_profile_on_colours(photo: Photo, kind: Format) -> bool:
    """Whether a profile for one channel would be put on three."""
    return photo.pages[0].grey and photo.metadata.icc is not None and kind in _WITHOUT_GREY


def check_output(photo: Photo, kind: Format, path: Path) -> None:
    """Raise `ImageWriteError` or `MissingExtraError` for a photo that can't be written so."""
    name = shown(path)
    if len(photo.pages) > 1 and kind is not TIFF:
        raise ImageWriteError(
            f"{name}: {kind.name} holds one picture and the source has "
            f"{len(photo.pages)}; write it as .tif"
        )
    if max(photo.height, photo.width) > kind.side_limit:
        raise ImageWriteError(
            f"{name}: {kind.name} ends at {kind.side_limit} pixels a side; use .tif"
        )
    for page in photo.pages:
        cut = page.dtype != np.uint8 and dtype_in(kind, page) == np.uint8
        if cut and page.encoding.linear:
            raise ImageWriteError(
                f"{name}: linear samples would band in {kind.name}; write it as .tif"
            )
    _check_colours(photo, kind, name)
    _check_codec(photo, kind, path)
    _check_disk(photo, kind, path)


def leave_behind(photo: Photo, kind: Format) -> None:
    """Say in notices what of the metadata does not go into a file of another kind."""
    metadata = photo.metadata
    metadata.leave_own(photo.format.name)
    if metadata.photoshop and kind not in (JPEG, TIFF):
        metadata.notice("Photoshop's blocks left out: JPEG and TIFF alone hold them")
    if _note_has_moved(photo):
        metadata.notice(maker_note.MISREAD)


def _note_has_moved(photo: Photo) -> bool:
    """Whether the EXIF block, made of a TIFF's or RAW file's tags, has its maker note elsewhere."""
    block = tiff.parse_block(photo.metadata.exif) if photo.metadata.exif else None
    if photo.format not in (TIFF, RAW) or block is None or block.bound_note is None:
        return False
    whole = tiff.read_tiff(photo.source.read_at)
    return whole is not None and tiff.note_moved(whole.pages[0], block)


def _check_colours(photo: Photo, kind: Format, name: str) -> None:
    codes, icc = photo.metadata.codes, photo.metadata.icc
    if codes and codes.narrow and kind is not PNG:
        raise ImageWriteError(
            f"{name}: {kind.name} cannot state the narrow range of this file's samples; "
            "write it as .png"
        )
    if codes and not codes.srgb and icc is None and kind not in _KNOW_COLOUR_CODES:
        raise ImageWriteError(
            f"{name}: {kind.name} cannot state this file's colours ({codes.name}); "
            "write it as .png or .heic"
        )
    if kind is JPEG and icc is not None and len(icc) > PROFILE_LIMIT:
        raise ImageWriteError(f"{name}: its colour profile is too long for JPEG; write it as .tif")
    far = not choose_encoding("auto", icc).identity
    if puts_grey_profile_on_colours(photo, kind) and far:
        raise ImageWriteError(
            f"{name}: {kind.name} takes no profile of grey, and would show other tones; "
            "write it as .png or .tif"
        )


def _check_codec(photo: Photo, kind: Format, path: Path) -> None:
    page = photo.pages[0]
    if kind is HEIC:
        check_heic()
    elif kind is JXL:
        check_jxl(channels_in(kind, page), dtype_in(kind, page), photo.metadata.icc, path)


def _check_disk(photo: Photo, kind: Format, path: Path) -> None:
    sizes = [page.height * page.width * page.channels * page.dtype.itemsize for page in photo.pages]
    work = max(sizes) if max(sizes) > IN_MEMORY_BYTES else 0
    compressed = kind is photo.format and photo.pages[0].traits.compression != "none"
    plain = kind is TIFF and not compressed
    grows = kind in _LOSSLESS and photo.source.format not in _LOSSLESS
    # A clean picture packs tighter than its noisy source did, unless that was lossy.
    output = sum(sizes) if plain or grows else photo.source.size
    if kind is not TIFF:
        output *= 2  # encoded first, then put together with the metadata
    try:
        free = shutil.disk_usage(path.parent).free
    except OSError as error:
        raise ImageWriteError(
            f"{shown(path)}: cannot be written ({reason(error)}); check the folder"
        ) from error
    if work + output > free:
        raise ImageWriteError(
            f"{shown(path)}: needs {(work + output) / 1e6:.0f} MB and "
            f"{free / 1e6:.0f} MB are free; free some space or choose another --output"
        )
