"""JPEG files as segments: what is carried over byte for byte, and how the source was encoded."""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass, field

import numpy as np

from aindnet.errors import ImageReadError
from aindnet.photo import exif, photoshop
from aindnet.photo.metadata import EXTENDED_XMP, Metadata
from aindnet.photo.paths import shown
from aindnet.photo.source import SourceFile
from aindnet.photo.tiff import Reader

_SOI = b"\xff\xd8"
_APP0, _APP1, _APP2, _APP11, _APP13, _APP14, _COM = 0xE0, 0xE1, 0xE2, 0xEB, 0xED, 0xEE, 0xFE
_DQT, _SOS, _EOI = 0xDB, 0xDA, 0xD9
_FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}
_PROGRESSIVE = {0xC2, 0xC6, 0xCA, 0xCE}
_EXIF = b"Exif\0\0"
_XMP = b"http://ns.adobe.com/xap/1.0/\0"
_MORE_XMP = b"http://ns.adobe.com/xmp/extension/\0"
_GAIN_MAP = b"urn:iso:std:iso:ts:21496:-1\0"
_ICC = b"ICC_PROFILE\0"
_MPF = b"MPF\0"
_PHOTOSHOP = b"Photoshop 3.0\0"
_MAX_PAYLOAD = 65_533
EXIF_LIMIT = _MAX_PAYLOAD - len(_EXIF)
"""Bytes of an EXIF block that a JPEG holds."""
_PROFILE_PART = _MAX_PAYLOAD - 14
PROFILE_LIMIT = 255 * _PROFILE_PART
"""Bytes of a colour profile: its parts are numbered in one byte."""
_MAX_SEGMENTS = 20_000
_MAX_JOINED = 32
_MARKER = re.compile(rb"\xff[\x02-\xcf\xd8-\xfe]")
"""In a scan's data: neither a stuffed byte nor a restart."""
_CHUNK = 1 << 20

# Annex K of the JPEG standard (ITU-T T.81), in natural order: what quality 50 means.
# fmt: off
_LUMA = np.array([
    16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55,
    14, 13, 16, 24, 40, 57, 69, 56, 14, 17, 22, 29, 51, 87, 80, 62,
    18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113, 92,
    49, 64, 78, 87, 103, 121, 120, 101, 72, 92, 95, 98, 112, 100, 103, 99,
])
_CHROMA = np.array([
    17, 18, 24, 47, 99, 99, 99, 99, 18, 21, 26, 66, 99, 99, 99, 99,
    24, 26, 56, 99, 99, 99, 99, 99, 47, 66, 99, 99, 99, 99, 99, 99,
    *[99] * 32,
])
# fmt: on
# The order in which a file lists a table: anti-diagonals, alternately down and up.
_ZIGZAG = sorted(
    range(64), key=lambda i: (i // 8 + i % 8, i // 8 if (i // 8 + i % 8) % 2 else i % 8)
)


@dataclass
class JpegHeader:
    """Everything before the first scan."""

    segments: list[tuple[int, bytes]] = field(default_factory=list)
    tables: dict[int, list[int]] = field(default_factory=dict)
    components: list[tuple[int, int, int]] = field(default_factory=list)
    """Sampling across, sampling down, quantisation table; per component."""
    progressive: bool = False
    scan: int = 0
    """Offset of the first scan."""

    @property
    def several(self) -> bool:
        """Whether an index lists further pictures behind this one."""
        return any(marker == _APP2 and part.startswith(_MPF) for marker, part in self.segments)

    @property
    def chroma_halved(self) -> bool:
        """Whether chroma is stored at half size both ways (4:2:0)."""
        return (
            len(self.components) == 3
            and self.components[0][:2] == (2, 2)
            and all(part[:2] == (1, 1) for part in self.components[1:])
        )

    @property
    def quality(self) -> int:
        """The smallest quality, 1 to 100, whose standard tables are nowhere coarser than these."""
        pairs = [
            (_LUMA if index == 0 else _CHROMA, np.array(self.tables[table]))
            for index, (_, _, table) in enumerate(self.components[:3])
            if table in self.tables
        ]
        for quality in range(1, 101):
            scale = 5000 // quality if quality < 50 else 200 - 2 * quality
            if pairs and all(
                (np.clip((base[_ZIGZAG] * scale + 50) // 100, 1, 255) <= table).all()
                for base, table in pairs
            ):
                return quality
        return 100


def read_header(source: SourceFile, read_at: Reader | None = None) -> JpegHeader:
    """The segments before the first scan, of the file or of a JPEG that `read_at` reads.

    Raises `ImageReadError` if they make no sense.
    """
    read = read_at or source.read_at
    header = JpegHeader()
    position = 2
    for _ in range(_MAX_SEGMENTS):
        head = read(position, 4)
        if len(head) == 4 and head[0] == 0xFF and head[1] == 0xFF:
            position += 1  # fill byte
            continue
        if len(head) < 4 or head[0] != 0xFF or head[1] == _EOI:
            break
        marker, length = head[1], int.from_bytes(head[2:], "big")
        if marker == _SOS and header.components:
            header.scan = position
            return header
        payload = read(position + 4, length - 2) if length >= 2 else b""
        if length < 2 or len(payload) != length - 2:
            break
        _note(header, marker, payload)
        position += 2 + length
    raise ImageReadError(
        f"{shown(source.path)}: damaged or cut short (no picture in the JPEG); get a whole copy"
    )


def find_trailer(source: SourceFile, header: JpegHeader) -> tuple[int, int] | None:
    """Offset and bytes of what follows the picture's end; None for nothing, or zeros alone."""
    position: int | None = header.scan
    for _ in range(_MAX_SEGMENTS):
        head = source.read_at(position, 4) if position is not None else b""
        if position is not None and head[:2] == bytes([0xFF, _EOI]):
            position += 2
            begins = source.read_at(position, _CHUNK)
            return (position, source.size - position) if begins.strip(b"\0") else None
        if position is None or len(head) < 4:
            return None
        position = _next_marker(source, position + 2 + int.from_bytes(head[2:], "big"))
    return None


def _next_marker(source: SourceFile, position: int) -> int | None:
    while len(part := source.read_at(position, _CHUNK)) >= 2:
        if found := _MARKER.search(part):
            return position + found.start()
        position += len(part) - 1
    return None


def _note(header: JpegHeader, marker: int, payload: bytes) -> None:
    if marker == _DQT:
        at = 0
        while at < len(payload):
            wide, table = payload[at] >> 4, payload[at] & 15
            size = 128 if wide else 64
            values = payload[at + 1 : at + 1 + size]
            if len(values) < size:
                return
            header.tables[table] = list(struct.unpack(">64H" if wide else "64B", values))
            at += 1 + size
    elif marker in _FRAMES and len(payload) >= 6:
        header.progressive = marker in _PROGRESSIVE
        parts = payload[6 : 6 + 3 * payload[5]]
        header.components = [
            (parts[i + 1] >> 4, parts[i + 1] & 15, parts[i + 2])
            for i in range(0, len(parts) - 2, 3)
        ]
    elif _APP0 <= marker <= 0xEF or marker == _COM:
        header.segments.append((marker, payload))


def read_metadata(header: JpegHeader) -> Metadata:
    """EXIF, XMP, IPTC, profile and resolution; and the segments that are carried verbatim."""
    metadata = Metadata()
    kept: list[tuple[int, bytes]] = []
    profile: dict[int, bytes] = {}
    for marker, segment in header.segments:
        payload = segment
        if marker == _APP1 and payload.startswith(_EXIF):
            # Where it goes on in further segments, those are no blocks of their own; of several
            # blocks readers take the first.
            if exif.is_block(block := payload[len(_EXIF) :]):
                payload = _EXIF + exif.without_thumbnail(block)
                if metadata.exif is None:
                    metadata.set_exif(block)
        elif marker == _APP1 and payload.startswith(_XMP):
            metadata.xmp = packet = metadata.without_thumbnails(payload[len(_XMP) :])
            if header.several:
                packet = metadata.drop_appended()
            if packet is None:
                continue
            payload = _XMP + packet
        elif marker == _APP1 and payload.startswith(_MORE_XMP):
            metadata.own.append(EXTENDED_XMP)
        elif marker == _COM:
            metadata.own.append("comment")
        elif marker == _APP2 and payload.startswith(_ICC) and len(payload) > 14:
            profile[payload[12]] = payload[14:]
        elif marker == _APP2 and payload.startswith(_MPF):
            metadata.notice("further pictures in the file (previews, gain map, video) left out")
            continue
        elif marker == _APP2 and payload.startswith(_GAIN_MAP) and header.several:
            continue  # a promise of a gain map further on
        elif marker == _APP11:
            metadata.drop_credentials()
            continue
        elif marker == _APP0 and payload.startswith(b"JFIF\0") and len(payload) >= 14:
            payload = payload[:12] + b"\0\0"  # without its thumbnail
            metadata.resolution = _density(payload)
        elif marker == _APP0 and payload.startswith(b"JFXX\0"):
            continue  # a thumbnail
        elif marker == _APP14:
            continue  # how the colours are coded: the encoder says this itself
        kept.append((marker, payload))
    if profile:
        metadata.icc = b"".join(profile[number] for number in sorted(profile))
    metadata.verbatim = _settle_photoshop(kept, metadata)
    return metadata


def _density(jfif: bytes) -> tuple[float, float] | None:
    unit, across, down = struct.unpack_from(">BHH", jfif, 7)
    factor = {1: 1.0, 2: 2.54}.get(unit)
    return (across * factor, down * factor) if factor and across and down else None


def _settle_photoshop(
    segments: list[tuple[int, bytes]], metadata: Metadata
) -> list[tuple[int, bytes]]:
    """The segments without Photoshop's thumbnails, and its IPTC taken over.

    A resource may go on in the next segment.
    """
    kept: list[tuple[int, bytes]] = []
    whole = b""
    parts: list[tuple[int, bytes]] = []
    for marker, payload in segments:
        if marker != _APP13 or not payload.startswith(_PHOTOSHOP):
            kept.append((marker, payload))
            continue
        parts.append((marker, payload))
        whole += payload[len(_PHOTOSHOP) :]
        if len(parts) == _MAX_JOINED or not photoshop.is_cut(whole):
            kept += _photoshop_segments(whole, parts, metadata)
            whole, parts = b"", []
    return kept + _photoshop_segments(whole, parts, metadata)


def _photoshop_segments(
    whole: bytes, parts: list[tuple[int, bytes]], metadata: Metadata
) -> list[tuple[int, bytes]]:
    metadata.iptc = metadata.iptc or photoshop.iptc(whole)
    bare = photoshop.without_thumbnail(whole)
    if photoshop.has_more_than_iptc(bare):
        metadata.photoshop = (metadata.photoshop or b"") + bare
    return parts if bare == whole else _resource_segments(bare)


def _resource_segments(blocks: bytes) -> list[tuple[int, bytes]]:
    size = _MAX_PAYLOAD - len(_PHOTOSHOP)
    return [(_APP13, _PHOTOSHOP + blocks[i : i + size]) for i in range(0, len(blocks), size)]


def with_profile(segments: list[tuple[int, bytes]], icc: bytes | None) -> list[tuple[int, bytes]]:
    """The segments with their colour profile exchanged for `icc`, or dropped."""
    kept = [
        (marker, payload)
        for marker, payload in segments
        if not (marker == _APP2 and payload.startswith(_ICC))
    ]
    return kept + _profile_segments(icc)


def _profile_segments(icc: bytes | None) -> list[tuple[int, bytes]]:
    size = _PROFILE_PART
    parts = [icc[i : i + size] for i in range(0, len(icc), size)] if icc else []
    return [
        (_APP2, _ICC + bytes([number, len(parts)]) + part) for number, part in enumerate(parts, 1)
    ]


def segments_of(metadata: Metadata, *, same_kind: bool) -> list[tuple[int, bytes]]:
    """The segments to write: the source's own, or built from what another kind of file said."""
    if same_kind:
        return list(metadata.verbatim)
    segments: list[tuple[int, bytes]] = []
    if block := metadata.exif_within(EXIF_LIMIT, "JPEG"):
        segments.append((_APP1, _EXIF + block))
    if metadata.xmp and len(metadata.xmp) + len(_XMP) <= _MAX_PAYLOAD:
        segments.append((_APP1, _XMP + metadata.xmp))
    elif metadata.xmp:
        metadata.notice("XMP left out: too long for a JPEG")
    resources = _resource_segments(photoshop.with_iptc(metadata.photoshop or b"", metadata.iptc))
    if len(resources) <= _MAX_JOINED:
        segments.extend(resources)
    else:
        metadata.notice("IPTC and Photoshop's blocks left out: too long for a JPEG")
    segments.extend(_profile_segments(metadata.icc))
    return segments


def opening(encoded_head: bytes, metadata: Metadata, *, same_kind: bool) -> tuple[bytes, int]:
    """The new beginning of a JPEG, and how many bytes of the encoder's own it stands for.

    `encoded_head` is the encoder's output up to at least its first tables.
    """
    # The encoder's own first segment (JFIF, with the resolution) goes where the source's are
    # copied: there the source's JFIF is, or a bare EXIF as cameras write it.
    end = 2
    if encoded_head[2:4] == b"\xff\xe0":
        end = 4 + int.from_bytes(encoded_head[4:6], "big")
    own = b"" if same_kind else encoded_head[2:end]
    body = b"".join(
        bytes([0xFF, marker]) + struct.pack(">H", len(payload) + 2) + payload
        for marker, payload in segments_of(metadata, same_kind=same_kind)
    )
    return _SOI + own + body, end
