"""A page of a TIFF, shown to libvips as the file's only one, with no tags but those of its pixels.

libvips takes every warning of libtiff for damage. That is right for pixels, which a damaged strip
may warn of and no more; but libtiff warns as well of tags that are out of order, of a text without
an end, of anything in the directories of other pages.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Mapping
from typing import Any

from aindnet.errors import ImageReadError
from aindnet.photo import tiff
from aindnet.photo.source import SourceFile

_KEPT = tiff.STRUCTURE - {tiff.SUB_IFDS} | {tiff.ICC, tiff.ORIENTATION}
_SHORT = 3
_MAX_TAGS = 65_535


class LonePage:
    """The bytes of a TIFF for a decoder, all at their places: the header points to the page, and
    the page's directory has fewer tags, in order, and no page after it.

    The page is the one whose directory is at `place`, 0: the first; `replaced` has short integers
    to put for some of its tags. Raises `ValueError` if the directory can't be read, or the file
    ends before one of its values.
    """

    def __init__(self, source: SourceFile, place: int, replaced: Mapping[int, int]) -> None:
        self._source = source
        self._at = 0
        head = self._whole(0, 16)
        self._order = "<" if head[:2] == b"II" else ">"
        big = struct.unpack_from(self._order + "H", head, 2)[0] == 43
        self._word, self._count, self._entry_size = ("Q", "Q", 20) if big else ("I", "H", 12)
        link = 8 if big else 4
        place = place or struct.unpack_from(self._order + self._word, head, link)[0]
        entries = self._directory(place)
        for code, entry in entries:
            if self._end(entry) > source.size:
                raise ValueError(f"tag {code} lies behind its end")
        # Of two entries for one tag the first counts.
        kept = {code: entry for code, entry in reversed(entries) if code in _KEPT}
        if tiff.ORIENTATION in kept and not 1 <= self._short(kept[tiff.ORIENTATION]) <= 8:
            del kept[tiff.ORIENTATION]
        kept |= {code: self._entry(code, value) for code, value in replaced.items()}
        body = b"".join(kept[code] for code in sorted(kept))
        directory = self._pack(self._count, len(kept)) + body + self._pack(self._word, 0)
        self._patches = [(link, self._pack(self._word, place)), (place, directory)]

    def read(self, length: int) -> bytearray:
        """Up to `length` bytes from the current place; none where the file can't be read."""
        try:
            data = bytearray(self._source.read_at(self._at, length))
        except ImageReadError:
            # No exception gets through libvips, for which this is a file cut short.
            return bytearray()
        for place, patch in self._patches:
            start, stop = max(place, self._at), min(place + len(patch), self._at + len(data))
            if start < stop:
                data[start - self._at : stop - self._at] = patch[start - place : stop - place]
        self._at += len(data)
        return data

    def seek(self, offset: int, whence: int) -> int:
        """Go to a place, counted as `io` counts; where that is, or -1 for none."""
        origin = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._source.size}[whence]
        if origin + offset < 0:
            return -1
        self._at = origin + offset
        return self._at

    def _directory(self, place: int) -> list[tuple[int, bytes]]:
        """The code and all bytes of each tag."""
        head = struct.calcsize(self._order + self._count)
        (count,) = struct.unpack(self._order + self._count, self._whole(place, head))
        if count > _MAX_TAGS:
            raise ValueError("its directory of pages")
        link = count * self._entry_size
        body = self._whole(place + head, link + struct.calcsize(self._order + self._word))
        entries = [body[at : at + self._entry_size] for at in range(0, link, self._entry_size)]
        codes = [struct.unpack_from(self._order + "H", entry)[0] for entry in entries]
        return list(zip(codes, entries, strict=True))

    def _whole(self, place: int, length: int) -> bytes:
        data = self._source.read_at(place, length) if place < self._source.size else b""
        if len(data) < length:
            raise ValueError("its directory of pages")
        return data

    def _end(self, entry: bytes) -> int:
        """Where in the file the value of a tag ends; 0 for one within the directory."""
        kind, count, place = struct.unpack(f"{self._order}2xH{self._word}{self._word}", entry)
        length: int = tiff.element_bytes(kind) * count
        return place + length if length > struct.calcsize(self._order + self._word) else 0

    def _short(self, entry: bytes) -> int:
        at = len(entry) - struct.calcsize(self._order + self._word)
        value: int = struct.unpack_from(self._order + "H", entry, at)[0]
        return value

    def _entry(self, code: int, value: int) -> bytes:
        head = struct.pack(self._order + "HH" + self._word, code, _SHORT, 1)
        return (head + self._pack("H", value)).ljust(self._entry_size, b"\0")

    def _pack(self, letter: str, value: int) -> bytes:
        return struct.pack(self._order + letter, value)


def page_stream(source: SourceFile, place: int, replaced: Mapping[int, int]) -> Any:
    """A libvips source of a `LonePage`, which must outlive every image that is read from it."""
    import pyvips

    page = LonePage(source, place, replaced)
    stream = pyvips.SourceCustom()
    stream.on_read(page.read)
    stream.on_seek(page.seek)
    return stream
