"""Boxes of HEIF files (AVIF among them) that libvips does not tell of.

Source: ISO/IEC 14496-12, sections 8.11 and 12.1.5; ISO/IEC 23008-12, section 9.3.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from aindnet.photo.colour_codes import ColourCodes

_MAX_BOXES = 10_000


def colour_codes(head: bytes) -> ColourCodes | None:
    """The code points of the primary picture, else of the first that has some.

    `head` is the file's beginning. None where there are none or the boxes make no sense.
    """
    try:
        meta = _find(head, b"meta")[4:]
        properties = _find(meta, b"iprp")
        listed = list(_boxes(_find(properties, b"ipco")))
        own = _indices(_find(properties, b"ipma"), _primary(_find(meta, b"pitm")))
    except (struct.error, IndexError):
        return None
    in_order = [listed[i - 1] for i in own if 0 < i <= len(listed)] + listed
    for kind, body in in_order:
        if kind == b"colr" and body[:4] == b"nclx" and len(body) >= 8:
            return ColourCodes(*struct.unpack_from(">HH", body, 4))
    return None


def _boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = 0
    for _ in range(_MAX_BOXES):
        if at + 8 > len(data):
            return
        size, kind = struct.unpack_from(">I4s", data, at)
        start = at + 8
        if size == 1:
            (size,) = struct.unpack_from(">Q", data, start)
            start += 8
        end = at + size if size else len(data)
        if end < start:
            return
        yield kind, data[start:end]
        at = end


def _find(data: bytes, wanted: bytes) -> bytes:
    return next((body for kind, body in _boxes(data) if kind == wanted), b"")


def _primary(pitm: bytes) -> int:
    number: int = struct.unpack_from(">I" if pitm[0] else ">H", pitm, 4)[0]
    return number


def _indices(ipma: bytes, item: int) -> list[int]:
    """Which properties an item has, counted from 1."""
    version, wide = ipma[0], ipma[3] & 1
    (count,) = struct.unpack_from(">I", ipma, 4)
    at = 8
    for _ in range(min(count, _MAX_BOXES)):
        (number,) = struct.unpack_from(">I" if version else ">H", ipma, at)
        at += 4 if version else 2
        size, entries = (2 if wide else 1), ipma[at]
        at += 1
        if number == item:
            values = struct.unpack_from(f">{entries}{'H' if wide else 'B'}", ipma, at)
            return [value & (0x7FFF if wide else 0x7F) for value in values]
        at += entries * size
    return []
