"""Maker notes: what can be told of an EXIF tag that each camera maker fills in a way of its own.

Most hold offsets that count from the start of the TIFF or of the EXIF block, and numbers in its
byte order: such a note is bound to its place. Some have both within themselves.
Source: the lists of notes' headers of Exiv2 and of ExifTool (MakerNotes.pm).
"""

from __future__ import annotations

MAKER_NOTE = 37500
FARTHEST = 1 << 20
"""Bytes that may be left empty so that a bound note keeps its place."""
MISREAD = (
    "maker note (lens, focus and the like) may be misread: its bytes are kept, "
    "but not the place or the byte order that it was written for"
)

_SELF_CONTAINED = (
    b"Apple iOS\0",
    b"FUJIFILM",
    b"Nikon\0\x02",
    b"OLYMPUS\0",
    b"OM SYSTEM\0",
    b"PENTAX \0",
)


def is_bound(note: bytes) -> bool:
    """Whether a note may be readable at its place only; True for makers that are not known."""
    return not note.startswith(_SELF_CONTAINED)
