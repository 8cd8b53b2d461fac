"""The kinds of image file: told apart by their first bytes, never by their name alone.

Only a named kind is handed to a decoder, so a file can't talk the program into a loader for
documents or drawings.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePath

from aindnet.errors import ImageReadError, ImageWriteError
from aindnet.photo.paths import shown


@dataclass(frozen=True)
class Format:
    """One kind of file: its name, usual suffixes, and what a written one can hold."""

    name: str
    suffixes: tuple[str, ...]
    depths: tuple[str, ...] = ("uint8",)
    """Sample types that a written file can hold, the deepest last; empty: never written."""
    alpha: bool = True
    lossless: bool = False
    side_limit: int = 2**31 - 1


JPEG = Format("JPEG", (".jpg", ".jpeg", ".jpe", ".jfif"), alpha=False, side_limit=65_500)
PNG = Format("PNG", (".png",), ("uint8", "uint16"), lossless=True)
TIFF = Format("TIFF", (".tif", ".tiff"), ("uint8", "uint16", "float32"), lossless=True)
WEBP = Format("WebP", (".webp",), side_limit=16_383)
AVIF = Format("AVIF", (".avif",), ("uint8", "uint16"), side_limit=16_384)
HEIC = Format("HEIC", (".heic", ".heif", ".hif"), ("uint8", "uint16"), side_limit=16_384)
JXL = Format("JPEG XL", (".jxl",), ("uint8", "uint16"))
RAW = Format(
    "RAW",
    (
        *(".dng", ".nef", ".nrw", ".cr2", ".cr3", ".crw", ".arw", ".sr2", ".srf", ".raf", ".orf"),
        *(".rw2", ".rwl", ".pef", ".srw", ".3fr", ".fff", ".iiq", ".erf", ".mef", ".mos", ".mrw"),
        *(".dcr", ".kdc", ".x3f"),
    ),
    depths=(),
)

FORMATS = (JPEG, PNG, TIFF, WEBP, AVIF, HEIC, JXL, RAW)
SUFFIXES = frozenset(suffix for each in FORMATS for suffix in each.suffixes)
HEADER_BYTES = 64

_TIFF_MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_RAW_MAGIC = (
    *(b"IIRO", b"IIRS", b"MMOR", b"IIU\0", b"FUJIFILMCCD-RAW", b"FOVb", b"\0MRM"),
    b"II\x1a\0\0\0HEAPCCDR",
)
_HEIC_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs"}
_AVIF_BRANDS = {b"avif", b"avis"}


def sniff(header: bytes, path: PurePath) -> Format:
    """The kind of the file that starts with `header` (its first 64 bytes).

    RAW files that are TIFFs by their first bytes are told by their suffix.
    Raises `ImageReadError` if the bytes are of no kind that is read here.
    """
    if not header:
        raise ImageReadError(f"{shown(path)}: the file is empty; copy it again from the camera")
    if header.startswith(b"\xff\xd8\xff"):
        return JPEG
    if header.startswith(b"\x89PNG\r\n\x1a\n"):
        return PNG
    if header.startswith(_RAW_MAGIC):
        return RAW
    if header.startswith(_TIFF_MAGIC):
        is_raw = header[8:10] == b"CR" or path.suffix.lower() in RAW.suffixes
        return RAW if is_raw else TIFF
    if header[:4] == b"RIFF" and header[8:12] == b"WEBP":
        return WEBP
    if header.startswith((b"\xff\x0a", b"\0\0\0\x0cJXL \r\n\x87\n")):
        return JXL
    if header[4:8] == b"ftyp":
        return _sniff_boxes(header, path)
    raise ImageReadError(
        f"{shown(path)}: not an image of a kind that is read here "
        f"({', '.join(each.name for each in FORMATS)}), or damaged at its start"
    )


def _sniff_boxes(header: bytes, path: PurePath) -> Format:
    brands = {header[8:12], *(header[i : i + 4] for i in range(16, len(header) - 3, 4))}
    if header[8:11] == b"crx":
        return RAW
    if brands & _AVIF_BRANDS:
        return AVIF
    if brands & (_HEIC_BRANDS | {b"mif1", b"msf1"}):
        return HEIC
    raise ImageReadError(f"{shown(path)}: a video or another kind of media file, not a photo")


def format_for_output(path: PurePath) -> Format:
    """The kind that a file of this name is written as; `ImageWriteError` if there is none."""
    suffix = path.suffix.lower()
    for each in FORMATS:
        if suffix in each.suffixes and each.depths:
            return each
    known = " ".join(each.suffixes[0] for each in FORMATS if each.depths)
    raise ImageWriteError(f"{shown(path)}: no image is written as {suffix!r}; use one of {known}")


OTHER = "other"
"""Developed by another program, by whatever settings: PNG, TIFF and the like."""


def file_kind(format: Format) -> str:
    """JPEG and HEIC are as the camera made them, RAW is developed here; or `OTHER`."""
    return format.name if format in (JPEG, HEIC, RAW) else OTHER
