"""Photoshop's image resource blocks: in a JPEG's APP13 segments and a TIFF's tag 34377.

Source: Adobe Photoshop File Formats Specification, "Image Resources Section".
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

_SIGNATURES = (b"8BIM", b"MeSa", b"PHUT", b"AgHg", b"DCSR")
_IPTC = 0x0404
_THUMBNAILS = (0x0409, 0x040C)


@dataclass(frozen=True)
class _Resource:
    kind: int
    start: int
    data: int
    """Where its data begin."""
    size: int
    """Bytes of its data, which a byte may follow to make them even."""

    @property
    def end(self) -> int:
        return self.data + self.size + self.size % 2


def _resources(blocks: bytes) -> Iterator[_Resource]:
    at = 0
    while blocks[at : at + 4] in _SIGNATURES and at + 8 <= len(blocks):
        (kind,) = struct.unpack_from(">H", blocks, at + 4)
        name = (blocks[at + 6] // 2) * 2 + 2  # a length byte and its text, padded to even
        data = at + 6 + name + 4
        if data > len(blocks):
            return
        (size,) = struct.unpack_from(">I", blocks, data - 4)
        found = _Resource(kind, at, data, size)
        yield found
        at = found.end


def is_cut(blocks: bytes) -> bool:
    """Whether the last resource goes on in the file's next segment."""
    end = 0
    for found in _resources(blocks):
        if found.data + found.size > len(blocks):
            return True
        end = found.end
    rest = blocks[end : end + 4]
    return bool(rest) and any(each.startswith(rest) for each in _SIGNATURES)


def iptc(blocks: bytes) -> bytes | None:
    """The IPTC records; None where there are none."""
    return next(
        (
            blocks[found.data : found.data + found.size]
            for found in _resources(blocks)
            if found.kind == _IPTC
        ),
        None,
    )


def without_thumbnail(blocks: bytes) -> bytes:
    """The blocks without the small pictures among them, which would still show the noise."""
    return _without(blocks, _THUMBNAILS)


def has_more_than_iptc(blocks: bytes) -> bool:
    """Whether there are other resources than IPTC records."""
    return any(found.kind != _IPTC for found in _resources(blocks))


def with_iptc(blocks: bytes, records: bytes | None) -> bytes:
    """The blocks with these IPTC records among them in place of others."""
    if records is None or records == iptc(blocks):
        return blocks
    head = struct.pack(">4sHHI", b"8BIM", _IPTC, 0, len(records))
    return head + records + b"\0" * (len(records) % 2) + _without(blocks, (_IPTC,))


def _without(blocks: bytes, kinds: tuple[int, ...]) -> bytes:
    parts, start = [], 0
    for found in _resources(blocks):
        if found.kind in kinds:
            parts.append(blocks[start : found.start])
            start = found.end
    return b"".join([*parts, blocks[start:]])
