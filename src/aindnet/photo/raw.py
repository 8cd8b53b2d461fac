"""RAW files developed by LibRaw to 16-bit sRGB, with their own metadata carried over."""

from __future__ import annotations

import io
import struct

import numpy as np

from aindnet.errors import ImageReadError, MissingExtraError
from aindnet.photo import jpeg, tiff
from aindnet.photo.decode import Rows, damaged
from aindnet.photo.formats import RAW
from aindnet.photo.heif_boxes import find_box
from aindnet.photo.metadata import Metadata
from aindnet.photo.paths import shown
from aindnet.photo.photo import LazyArray, Page, Photo, check_size
from aindnet.photo.source import SourceFile
from aindnet.photo.tiff import Directory

# What the first directory of a RAW file says about the photo; the rest is about the mosaic.
_DESCRIPTIVE = (270, 271, 272, tiff.ORIENTATION, 305, 306, 315, 316, 18246, 18249, 33432)
_PIXEL_WIDTH, _PIXEL_HEIGHT, _COLOUR_SPACE, _SRGB = 40962, 40963, 40961, 1
_LONG, _SHORT = 4, 3

_RAF_JPEG_AT = 84
_CR3_METADATA = bytes.fromhex("85c0b687820f11e08111f4ce462b6a48")


def open_raw(source: SourceFile, limit: int | None, *, half_size: bool) -> Photo:
    """A RAW file, developed: camera white balance, sRGB primaries and tone curve, upright.

    No automatic brightening, and white is the sensor's, not the frame's brightest pixel, so that
    two shots of one exposure stay alike. `half_size` makes one pixel of four, as a preview.
    Raises `ImageReadError`, `MissingExtraError`.
    """
    try:
        import rawpy
    except ImportError as error:
        raise MissingExtraError("rawpy", "raw") from error
    import pyvips

    try:
        # From memory: LibRaw reads a file that changes meanwhile without noticing.
        with rawpy.RawPy() as raw:
            raw.open_buffer(io.BytesIO(source.read_all()))
            sizes = raw.sizes
            check_size(source.path, [(sizes.raw_height, sizes.raw_width)], limit)
            raw.unpack()
            pixels = raw.postprocess(
                use_camera_wb=True,
                no_auto_bright=True,
                adjust_maximum_thr=0.0,
                output_bps=16,
                output_color=rawpy.ColorSpace.sRGB,
                gamma=(2.4, 12.92),
                half_size=half_size,
            )
    except rawpy.LibRawFileUnsupportedError as error:
        raise ImageReadError(
            f"{shown(source.path)}: a camera or kind of RAW that LibRaw does not know, or damaged "
            "at its start; update rawpy, convert it to DNG, or get a whole copy of it"
        ) from error
    except (rawpy.LibRawUnsufficientMemoryError, MemoryError) as error:
        less = "" if half_size else " or pass --half-size"
        raise ImageReadError(
            f"{shown(source.path)}: developing it takes more memory than there is; "
            f"close other programs{less}"
        ) from error
    except (rawpy.LibRawError, ValueError, RuntimeError) as error:
        raise damaged(source, _named(error)) from error
    if pixels.ndim != 3 or pixels.shape[2] != 3:
        raise ImageReadError(
            f"{shown(source.path)}: a RAW file without colour; convert it to TIFF first"
        )
    metadata = _metadata(source, pixels.shape[0], pixels.shape[1])
    metadata.icc = bytes(pyvips.Image.profile_load("srgb"))

    def load() -> Rows:
        return pixels

    def reader() -> LazyArray:
        return LazyArray((pixels.shape[0], pixels.shape[1], 3), np.uint16, load, source)

    return Photo(source, RAW, [Page(reader, icc=metadata.icc)], metadata)


def _named(error: Exception) -> Exception:
    """LibRaw's errors carry bytes as their text."""
    text = error.args[0] if error.args else type(error).__name__
    return ValueError(text.decode(errors="replace") if isinstance(text, bytes) else str(text))


def _metadata(source: SourceFile, height: int, width: int) -> Metadata:
    metadata = Metadata()
    directory = _directory(source)
    if directory is None:
        metadata.notice("the RAW file's metadata is not understood and was left out")
        return metadata
    if _cr3_box(source, b"CMT3"):
        metadata.notice("Canon's maker note left out: a CR3 keeps it apart from its EXIF")
    if tiff.CREDENTIALS in directory.tags:
        metadata.drop_credentials()
    metadata.set_xmp(directory.blob(tiff.XMP))
    metadata.drop_develop_settings()
    metadata.iptc = directory.blob(tiff.IPTC)
    kept = {code: directory.tags[code] for code in _DESCRIPTIVE if code in directory.tags}
    described = Directory(directory.order, kept, directory.children)
    if tiff.ORIENTATION in kept:
        described.put(tiff.ORIENTATION, _SHORT, [1])
    details = described.children.get(tiff.EXIF_IFD)
    if details is not None:
        for code, kind, value in (
            (_PIXEL_WIDTH, _LONG, width),
            (_PIXEL_HEIGHT, _LONG, height),
            (_COLOUR_SPACE, _SHORT, _SRGB),
        ):
            if code in details.tags:
                details.put(code, kind, [value])
    metadata.set_exif(tiff.serialise(described))
    return metadata


def _directory(source: SourceFile) -> Directory | None:
    """The directory that describes the photo, wherever the maker keeps it."""
    head = source.read_at(0, 16)
    if head[4:8] == b"ftyp":
        return _cr3_directory(source)
    if head.startswith(b"FUJIFILM"):
        offset, length = struct.unpack(">II", source.read_at(_RAF_JPEG_AT, 8))
        preview = source.read_at(offset, min(length, 1 << 24))
        return _jpeg_directory(source, preview)
    try:
        found = tiff.read_tiff(source.read_at)
    except tiff.TagsTooLargeError:
        return None  # said in a notice: the photo itself is whole
    return found.pages[0] if found else None


def _jpeg_directory(source: SourceFile, preview: bytes) -> Directory | None:
    try:
        header = jpeg.read_header(source, lambda at, length: preview[at : at + length])
    except ImageReadError:
        return None  # said in a notice: the photo itself is whole
    exif = jpeg.read_metadata(header).exif
    return tiff.parse_block(exif) if exif else None


def _cr3_directory(source: SourceFile) -> Directory | None:
    """Canon's CR3 keeps the directories apart, each as a TIFF of its own in a box."""
    parts: dict[bytes, Directory] = {}
    for name in (b"CMT1", b"CMT2", b"CMT4"):
        directory = tiff.parse_block(_cr3_box(source, name))
        if directory is not None:
            parts[name] = directory
    first = parts.get(b"CMT1")
    if first is None:
        return None
    for name, code in ((b"CMT2", tiff.EXIF_IFD), (b"CMT4", tiff.GPS_IFD)):
        if name in parts:
            first.children[code] = parts[name].swapped_to(first.order)
    return first


def _cr3_box(source: SourceFile, name: bytes) -> bytes:
    """What a box of a CR3's metadata holds; empty where there is none, or no CR3."""
    moov = find_box(source, 0, source.size, b"moov")
    uuid = moov and find_box(source, *moov, b"uuid", _CR3_METADATA)
    place = uuid and find_box(source, *uuid, name)
    return source.read_at(place[0], place[1] - place[0]) if place else b""
