"""Boxes of HEIF files (AVIF among them) that libvips does not tell of, and of Canon's CR3.

Sources: ISO/IEC 14496-12, sections 8.11 and 12.1.5; ISO/IEC 23008-12, sections 6.10 and 9.3; C2PA
Technical Specification, "Embedding manifests into BMFF-based assets".
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from aindnet.photo.colour_codes import ColourCodes
from aindnet.photo.metadata import FURTHER_PICTURES, Metadata
from aindnet.photo.source import SourceFile

_MAX_BOXES = 10_000
_MAX_META = 16 << 20
_SEQUENCES = {b"avis", b"msf1", b"hevc", b"hevx", b"hevm", b"hevs"}
_C2PA = bytes.fromhex("d8fec3d61b0e483c92975828877ec481")
_ALPHA = (
    b"urn:mpeg:mpegB:cicp:systems:auxiliary:alpha",
    b"urn:mpeg:hevc:2015:auxid:1",
    b"urn:mpeg:avc:2015:auxid:1",
)

Properties = list[tuple[bytes, bytes]]


@dataclass(frozen=True)
class HeifBoxes:
    """What the boxes of a file say; the defaults stand for boxes that are missing or damaged."""

    codes: ColourCodes | None = None
    """The code points of the primary picture, else of the first that has some."""
    monochrome: bool = False
    """AV1: the primary picture has no colour."""
    premultiplied: bool = False
    """The primary picture's alpha is multiplied into its colours."""
    further: bool = False
    """There are gain maps, depth or a film beside the primary picture."""
    animated: bool = False
    """The file calls itself a sequence of pictures, and has one."""
    vouched: bool = False
    """There are content credentials (C2PA)."""

    def tell(self, metadata: Metadata) -> None:
        """Say in notices what of it is not carried over."""
        if self.further:
            metadata.notice(FURTHER_PICTURES)
        if self.vouched:
            metadata.drop_credentials()


def read_boxes(source: SourceFile) -> HeifBoxes:
    """The boxes of an open HEIF or AVIF file."""
    film = find_box(source, 0, source.size, b"moov") is not None
    vouched = find_box(source, 0, source.size, b"uuid", _C2PA) is not None
    if film and source.read_at(8, 4) in _SEQUENCES:
        return HeifBoxes(animated=True, vouched=vouched)
    place = find_box(source, 0, source.size, b"meta")
    meta = source.read_at(place[0], min(place[1] - place[0], _MAX_META)) if place else b""
    try:
        items = _Items(meta[4:])
        own = items.properties(items.primary)
        return HeifBoxes(
            codes=_codes(own + items.listed),
            monochrome=items.monochrome(),
            premultiplied=items.premultiplied(),
            further=film or items.beside(),
            vouched=vouched,
        )
    except (struct.error, IndexError):
        return HeifBoxes(further=film, vouched=vouched)


def find_box(
    source: SourceFile, start: int, end: int, kind: bytes, uuid: bytes = b""
) -> tuple[int, int] | None:
    """Where the content of the first box of a kind begins and ends."""
    at = start
    for _ in range(_MAX_BOXES):
        head = source.read_at(at, 32)
        if at >= end or len(head) < 8:
            return None
        size, name = struct.unpack_from(">I4s", head)
        content = at + 8
        if size == 1 and len(head) >= 16:
            (size,) = struct.unpack_from(">Q", head, 8)
            content = at + 16
        stop = at + size if size else end
        if name == kind and source.read_at(content, len(uuid)) == uuid:
            return content + len(uuid), min(stop, end)
        if stop <= at:
            return None
        at = stop
    return None


class _Items:
    """The pictures of a meta box. Raises `struct.error` or `IndexError` for nonsense."""

    def __init__(self, meta: bytes) -> None:
        properties = _find(meta, b"iprp")
        self.listed: Properties = list(_boxes(_find(properties, b"ipco")))
        self.primary = _primary(_find(meta, b"pitm"))
        self._associations = _associations(_find(properties, b"ipma"))
        self._references = list(_references(_find(meta, b"iref")))
        self._kinds = set(_kinds(_find(meta, b"iinf")))

    def properties(self, item: int) -> Properties:
        return [
            self.listed[index - 1]
            for index in self._associations.get(item, [])
            if 0 < index <= len(self.listed)
        ]

    def monochrome(self) -> bool:
        """By AV1's configuration of the primary picture, or of the tiles that it is made of."""
        tiles = [
            part
            for kind, item, others in self._references
            if kind == b"dimg" and item == self.primary
            for part in others[:1]
        ]
        found = (
            body
            for item in (self.primary, *tiles)
            for kind, body in self.properties(item)
            if kind == b"av1C"
        )
        return bool(next(found, bytes(3))[2] & 0x10)

    def premultiplied(self) -> bool:
        return any(kind == b"prem" and item == self.primary for kind, item, _ in self._references)

    def beside(self) -> bool:
        """Whether the primary picture has auxiliary ones other than alpha, or a gain map."""
        uses = [
            body[4:].split(b"\0")[0]
            for kind, item, others in self._references
            if kind == b"auxl" and self.primary in others
            for name, body in self.properties(item)
            if name == b"auxC"
        ]
        return b"tmap" in self._kinds or any(use not in _ALPHA for use in uses)


def _codes(properties: Properties) -> ColourCodes | None:
    for kind, body in properties:
        if kind == b"colr" and body[:4] == b"nclx" and len(body) >= 8:
            return ColourCodes(*struct.unpack_from(">HH", body, 4))
    return None


def _references(iref: bytes) -> Iterator[tuple[bytes, int, tuple[int, ...]]]:
    """The kind of each reference, which item has it, and the items that it is to."""
    letter, size = ("I", 4) if iref[:1] > b"\0" else ("H", 2)
    for kind, body in _boxes(iref[4:]):
        item, count = struct.unpack_from(f">{letter}H", body)
        yield kind, item, struct.unpack_from(f">{count}{letter}", body, size + 2)


def _kinds(iinf: bytes) -> Iterator[bytes]:
    """The kinds of all items."""
    for _, body in _boxes(iinf[8 if iinf[:1] > b"\0" else 6 :]):
        at = 10 if body[0] > 2 else 8
        yield body[at : at + 4]


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


def _associations(ipma: bytes) -> dict[int, list[int]]:
    """Which properties each item has, counted from 1."""
    found: dict[int, list[int]] = {}
    if not ipma:
        return found
    version, wide = ipma[0], ipma[3] & 1
    (count,) = struct.unpack_from(">I", ipma, 4)
    at = 8
    for _ in range(min(count, _MAX_BOXES)):
        (number,) = struct.unpack_from(">I" if version else ">H", ipma, at)
        at += 4 if version else 2
        size, entries = (2 if wide else 1), ipma[at]
        values = struct.unpack_from(f">{entries}{'H' if wide else 'B'}", ipma, at + 1)
        found.setdefault(number, [value & (0x7FFF if wide else 0x7F) for value in values])
        at += 1 + entries * size
    return found
