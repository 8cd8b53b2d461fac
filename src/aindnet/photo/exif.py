"""EXIF blocks (a TIFF file without pixels): read and patched in place, never rewritten.

A maker note holds offsets that count from the block's start, so a block that is taken apart and
put together again is a damaged one. Every byte stays where it is here.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

_PREFIX = b"Exif\0\0"
_MAKE, _MODEL, _ORIENTATION = 0x010F, 0x0110, 0x0112
_EXIF_DIRECTORY, _ISO = 0x8769, 0x8827
_HIGHEST_ISO = 65_535
"""Of a tag of 16 bits; where it has this, others say the true one."""
_ISO_KIND = 0x8830
_HIGH_ISO = {1: 0x8831, 2: 0x8832, 3: 0x8833}
"""By what `_ISO_KIND` says: standard output sensitivity, recommended exposure index, ISO speed."""
_PIXEL_WIDTH, _PIXEL_HEIGHT = 0xA002, 0xA003
_THUMBNAIL_OFFSET = 0x0201
_THUMBNAIL_LENGTH = 0x0202
_JPEG = b"\xff\xd8"
_ASCII, _SHORT, _LONG, _UTF8 = 2, 3, 4, 129
_ENTRY = 12


@dataclass(frozen=True)
class _Directory:
    order: str  # "<" or ">"
    entries: dict[int, int]  # tag → where its entry starts
    next_at: int  # where the offset of the next directory stands


@dataclass(frozen=True)
class Camera:
    """What took a photo, as its EXIF block says; empty or None where it does not."""

    make: str = ""
    model: str = ""
    iso: int | None = None

    @property
    def name(self) -> str:
        """Make and model, the make not twice.

        >>> Camera("NIKON CORPORATION", "NIKON D800").name, Camera("Canon", "Canon EOS 5D").name
        ('NIKON D800', 'Canon EOS 5D')
        >>> Camera("SONY", "ILCE-7M3").name
        'SONY ILCE-7M3'
        """
        first = self.make.split(" ")[0]
        if not first or self.model.lower().startswith(first.lower()):
            return self.model
        return f"{first} {self.model}".strip()


def camera(block: bytes | None) -> Camera:
    """The camera and its ISO; what is missing or damaged stays empty."""
    if not block or (first := _directory(block, _first_offset(block))) is None:
        return Camera()
    inner = _inner(block, first)
    iso = None if inner is None else _iso(block, inner)
    return Camera(_text(block, first, _MAKE), _text(block, first, _MODEL), iso or None)


def _iso(block: bytes, inner: _Directory) -> int | None:
    def value(tag: int) -> int | None:
        at = inner.entries.get(tag)
        return None if at is None else _whole(block, inner.order, at)

    iso = value(_ISO)
    if iso != _HIGHEST_ISO:
        return iso
    named = _HIGH_ISO.get(value(_ISO_KIND) or 0, _HIGH_ISO[2])
    return next(filter(None, map(value, (named, *_HIGH_ISO.values()))), iso)


def _inner(block: bytes, first: _Directory) -> _Directory | None:
    """The directory of what is EXIF's own."""
    at = first.entries.get(_EXIF_DIRECTORY)
    if at is None:
        return None
    return _directory(block, int(struct.unpack_from(first.order + "I", block, at + 8)[0]))


def _text(block: bytes, directory: _Directory, tag: int) -> str:
    if (at := directory.entries.get(tag)) is None:
        return ""
    kind, length = struct.unpack_from(directory.order + "HI", block, at + 2)
    if kind not in (_ASCII, _UTF8):
        return ""
    start = at + 8
    if length > 4:
        (start,) = struct.unpack_from(directory.order + "I", block, start)
    text = block[start : start + length].split(b"\0")[0]
    try:  # as EXIF 3.0 has it, and cameras long before
        return text.decode("utf-8").strip()
    except UnicodeDecodeError:
        return text.decode("latin-1").strip()


def _whole(block: bytes, order: str, at: int) -> int | None:
    (kind,) = struct.unpack_from(order + "H", block, at + 2)
    if kind not in (_SHORT, _LONG):
        return None
    return int(struct.unpack_from(order + ("H" if kind == _SHORT else "I"), block, at + 8)[0])


def bare(block: bytes | None) -> bytes | None:
    """The block without the prefix that JPEG puts before it; None for none or an empty one."""
    if not block:
        return None
    return block[len(_PREFIX) :] if block.startswith(_PREFIX) else block


def orientation(block: bytes) -> int:
    """The orientation tag, 1 to 8; 1 where it is missing or the block is damaged."""
    directory = _directory(block, _first_offset(block))
    if directory is None or _ORIENTATION not in directory.entries:
        return 1
    value = _whole(block, directory.order, directory.entries[_ORIENTATION])
    return value if value is not None and 1 <= value <= 8 else 1


def upright(block: bytes) -> bytes:
    """The block with orientation 1, and its width and height for pixels that were turned so."""
    directory = _directory(block, _first_offset(block))
    if directory is None or _ORIENTATION not in directory.entries:
        return block
    patched = bytearray(block)
    at = directory.entries[_ORIENTATION]
    struct.pack_into(directory.order + "HIHH", patched, at + 2, _SHORT, 1, 1, 0)
    inner = _inner(block, directory)
    if inner is not None and orientation(block) >= 5:
        width, height = (inner.entries.get(tag) for tag in (_PIXEL_WIDTH, _PIXEL_HEIGHT))
        if width is not None and height is not None:
            for to, source in ((width, height), (height, width)):  # all but the tag
                patched[to + 2 : to + _ENTRY] = block[source + 2 : source + _ENTRY]
    return bytes(patched)


def without_thumbnail(block: bytes) -> bytes:
    """The block without the small picture inside, which would still show the noise.

    The directory that describes it is unlinked, and the bytes of a JPEG where it should be are
    blanked, or cut off if they are the block's last.
    """
    first = _directory(block, _first_offset(block))
    if first is None:
        return block
    (second_at,) = struct.unpack_from(first.order + "I", block, first.next_at)
    second = _directory(block, second_at)
    if second is None:
        return block
    patched = bytearray(block)
    struct.pack_into(first.order + "I", patched, first.next_at, 0)
    start, length = (
        struct.unpack_from(first.order + "I", block, second.entries[tag] + 8)[0]
        if tag in second.entries
        else 0
        for tag in (_THUMBNAIL_OFFSET, _THUMBNAIL_LENGTH)
    )
    there = start >= 8 and length > 0 and start + length <= len(block)
    if there and block.startswith(_JPEG, start):  # else a damaged offset, to a maker note, say
        patched[start : start + length] = bytes(length)
        if start + length == len(block):
            del patched[start:]
    return bytes(patched)


def is_block(block: bytes) -> bool:
    """Whether the bytes begin as an EXIF block does."""
    return _directory(block, _first_offset(block)) is not None


def _first_offset(block: bytes) -> int:
    if block[:4] == b"II*\0" and len(block) >= 8:
        return int(struct.unpack_from("<I", block, 4)[0])
    if block[:4] == b"MM\0*" and len(block) >= 8:
        return int(struct.unpack_from(">I", block, 4)[0])
    return 0


def _directory(block: bytes, offset: int) -> _Directory | None:
    """The directory at `offset`; None if there is none or it does not fit in the block."""
    if not 8 <= offset <= len(block) - 6:
        return None
    order = "<" if block[:2] == b"II" else ">"
    (count,) = struct.unpack_from(order + "H", block, offset)
    next_at = offset + 2 + count * _ENTRY
    if next_at + 4 > len(block):
        return None
    entries: dict[int, int] = {}
    for at in range(offset + 2, next_at, _ENTRY):
        (tag,) = struct.unpack_from(order + "H", block, at)
        entries.setdefault(tag, at)
    return _Directory(order, entries, next_at)
