"""PNG files as chunks: what is carried over byte for byte."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass, field

import numpy as np

from aindnet.errors import ImageReadError
from aindnet.photo.colour_codes import SRGB_PRIMARIES, ColourCodes, make_profile
from aindnet.photo.metadata import Metadata, listed
from aindnet.photo.paths import shown
from aindnet.photo.source import SourceFile

SIGNATURE_AND_HEADER = 33
"""Bytes of the signature and the IHDR chunk, after which chunks can be put in."""

_XMP_KEYWORD = b"XML:com.adobe.xmp\0"
_MAX_CARRIED = 64 << 20
_MAX_CHUNKS = 1_000_000
_CARRIED = {
    *(b"cHRM", b"gAMA", b"iCCP", b"sRGB", b"cICP", b"mDCV", b"cLLI", b"sBIT", b"pHYs", b"sPLT"),
    *(b"eXIf", b"tEXt", b"zTXt", b"iTXt", b"tIME", b"oFFs", b"pCAL", b"sCAL"),
}
_TEXTS = (b"tEXt", b"zTXt", b"iTXt")
_PALETTE = 3
GREY = (0, 4)
"""Colour types without colour."""
_SRGB_GAMMA = 2.2
_CLOSE_GAMMA = 0.05  # relative: what the PNG specification takes for the same
_CLOSE_PRIMARIES = 0.005
_METRE = 0.0254


@dataclass
class PngHeader:
    """IHDR and the chunks that are carried over."""

    bit_depth: int = 8
    colour_type: int = 2
    interlaced: bool = False
    transparent: bool = False
    """Whether a colour, or the palette, says what is transparent: decoders make alpha of it."""
    vouched: bool = False
    """Whether there are content credentials (C2PA)."""
    chunks: list[tuple[bytes, bytes]] = field(default_factory=list)

    @property
    def palette(self) -> bool:
        """Whether the pixels are indices into a palette."""
        return self.colour_type == _PALETTE

    def find(self, kind: bytes) -> bytes | None:
        """The data of the first chunk of a kind."""
        return next((data for name, data in self.chunks if name == kind), None)


def read_header(source: SourceFile) -> PngHeader:
    """IHDR and all ancillary chunks that describe the picture. Raises `ImageReadError`."""
    header = PngHeader()
    position, carried = 8, 0
    for _ in range(_MAX_CHUNKS):
        head = source.read_at(position, 8)
        if len(head) < 8:
            break
        length, kind = struct.unpack(">I4s", head)
        if kind in (b"acTL", b"fdAT"):
            raise ImageReadError(f"{shown(source.path)}: an animation, not a photo")
        if kind == b"IHDR" and length == 13:
            body = source.read_at(position + 8, 13)
            if len(body) < 13:
                break
            header.bit_depth, header.colour_type = body[8], body[9]
            header.interlaced = body[12] == 1
        elif kind == b"tRNS":
            header.transparent = True
        elif kind == b"caBX":
            header.vouched = True
        elif kind in _CARRIED:
            carried += length
            if carried > _MAX_CARRIED:
                raise ImageReadError(
                    f"{shown(source.path)}: over 64 MB of metadata; strip it first"
                )
            data = source.read_at(position + 8, length)
            check = source.read_at(position + 8 + length, 4)
            if check == struct.pack(">I", zlib.crc32(data, zlib.crc32(kind))):
                header.chunks.append((kind, data))
        elif kind == b"IEND":
            return header
        position += 12 + length
    raise ImageReadError(
        f"{shown(source.path)}: damaged or cut short (the PNG has no end); get a whole copy"
    )


def read_metadata(header: PngHeader, icc: bytes | None) -> Metadata:
    """EXIF, XMP and resolution; `icc` is the profile as the decoder unpacked it."""
    metadata = Metadata(icc=icc)
    if header.vouched:
        metadata.drop_credentials()
    kept, texts = [], []
    for kind, chunk in header.chunks:
        data = chunk
        if kind == b"eXIf":
            metadata.set_exif(data)
            data = metadata.exif or data
        elif kind == b"iTXt" and data.startswith(_XMP_KEYWORD):
            if packet := _text(data):
                metadata.xmp = metadata.without_thumbnails(packet)
                if metadata.xmp is None:
                    continue
                if metadata.xmp != packet:
                    data = _XMP_KEYWORD + bytes(4) + metadata.xmp
        elif kind in _TEXTS:
            texts.append(data.split(b"\0")[0].decode("latin-1"))
        elif kind == b"pHYs" and len(data) == 9 and data[8] == 1:
            across, down = struct.unpack_from(">II", data)
            metadata.resolution = (across * _METRE, down * _METRE)
        elif kind == b"sBIT" and header.transparent:
            continue  # it does not speak of alpha
        kept.append((kind, data))
    metadata.verbatim = kept
    metadata.own = [f"text ({listed(texts)})"] if texts else []
    return metadata


def colour_codes(header: PngHeader) -> ColourCodes | None:
    """What a cICP chunk states."""
    coding = header.find(b"cICP")
    if coding is None or len(coding) != 4:
        return None
    return ColourCodes(coding[0], coding[1], narrow=coding[3] == 0)


def profile_of_gamma(header: PngHeader, *, grey: bool) -> bytes | None:
    """A profile of what gAMA and cHRM state; None where sRGB, which is what nearly all PNGs are."""
    gamma, primaries = header.find(b"gAMA"), header.find(b"cHRM")
    if header.find(b"sRGB") is not None or gamma is None or len(gamma) != 4:
        return None
    value = int.from_bytes(gamma, "big") / 100_000
    if not 0.1 < value < 10:
        return None
    stated = SRGB_PRIMARIES
    if primaries is not None and len(primaries) == 32 and not grey:
        white, colours = np.split(np.frombuffer(primaries, ">u4") / 100_000, [2])
        stated = tuple(float(each) for each in (*colours, *white))
    same = np.abs(np.subtract(stated, SRGB_PRIMARIES)).max() < _CLOSE_PRIMARIES
    if same and abs(value * _SRGB_GAMMA - 1) < _CLOSE_GAMMA:
        return None
    return make_profile(stated, 1 / value, grey=grey)


def _text(data: bytes) -> bytes | None:
    """The text of an iTXt chunk."""
    compressed = data[len(_XMP_KEYWORD) : len(_XMP_KEYWORD) + 1] == b"\1"
    parts = data[len(_XMP_KEYWORD) + 2 :].split(b"\0", 2)
    if len(parts) < 3:
        return None
    if not compressed:
        return parts[2]
    try:
        unpacker = zlib.decompressobj()
        text = unpacker.decompress(parts[2], _MAX_CARRIED)
    except zlib.error:
        return None
    return None if unpacker.unconsumed_tail else text


def first_pixels(encoded_head: bytes) -> int:
    """Where the pixels begin in an encoder's PNG: what it says before that is its own invention."""
    at = SIGNATURE_AND_HEADER
    while at + 8 <= len(encoded_head) and encoded_head[at + 4 : at + 8] != b"IDAT":
        at += 12 + int.from_bytes(encoded_head[at : at + 4], "big")
    return at


def chunks_of(metadata: Metadata, *, same_kind: bool) -> bytes:
    """The chunks to put after IHDR: the source's own, or built from another kind's metadata."""
    if same_kind:
        return b"".join(_chunk(kind, data) for kind, data in metadata.verbatim)
    chunks = []
    if metadata.codes is not None and not metadata.codes.srgb:
        coding = bytes([metadata.codes.primaries, metadata.codes.transfer, 0, 1])
        chunks.append(_chunk(b"cICP", coding))
    if metadata.icc:
        chunks.append(_chunk(b"iCCP", b"icc\0\0" + zlib.compress(metadata.icc)))
    if metadata.resolution:
        across, down = (round(value / _METRE) for value in metadata.resolution)
        chunks.append(_chunk(b"pHYs", struct.pack(">IIB", across, down, 1)))
    if metadata.exif:
        chunks.append(_chunk(b"eXIf", metadata.exif))
    if metadata.xmp:
        chunks.append(_chunk(b"iTXt", _XMP_KEYWORD + b"\0\0\0\0" + metadata.xmp))
    if metadata.iptc:
        metadata.notice("IPTC left out: PNG has no place for it")
    return b"".join(chunks)


def _chunk(kind: bytes, data: bytes) -> bytes:
    check = zlib.crc32(data, zlib.crc32(kind))
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", check)
