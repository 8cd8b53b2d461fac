"""WebP files as RIFF chunks: metadata put around the encoder's picture byte for byte."""

from __future__ import annotations

import struct

from aindnet.errors import ImageReadError
from aindnet.photo.metadata import Metadata
from aindnet.photo.paths import shown

_ICC_FLAG, _ALPHA_FLAG, _EXIF_FLAG, _XMP_FLAG, _ANIMATION_FLAG = 0x20, 0x10, 0x08, 0x04, 0x02


def read_chunks(data: bytes, path: str) -> list[tuple[bytes, bytes]]:
    """The chunks of a WebP file. Raises `ImageReadError` for an animation or a cut file."""
    chunks = []
    (riff_size,) = struct.unpack_from("<I", data, 4)
    if riff_size + 8 > len(data):
        raise ImageReadError(
            f"{shown(path)}: damaged or cut short ({len(data)} of {riff_size + 8} bytes); "
            "get a whole copy of it"
        )
    at = 12
    while at + 8 <= len(data):
        kind, size = struct.unpack_from("<4sI", data, at)
        body = data[at + 8 : at + 8 + size]
        animated = kind == b"VP8X" and body and body[0] & _ANIMATION_FLAG
        if animated or kind == b"ANIM":
            raise ImageReadError(f"{shown(path)}: an animation, not a photo")
        chunks.append((kind, body))
        at += 8 + size + size % 2
    return chunks


def is_lossless(chunks: list[tuple[bytes, bytes]]) -> bool:
    """Whether the picture is coded without loss."""
    return any(kind == b"VP8L" for kind, _ in chunks)


def read_metadata(chunks: list[tuple[bytes, bytes]]) -> Metadata:
    """Profile, EXIF and XMP."""
    found = dict(reversed(chunks))
    metadata = Metadata(icc=found.get(b"ICCP"))
    if packet := found.get(b"XMP "):
        metadata.xmp = metadata.without_thumbnails(packet)
    metadata.set_exif(found.get(b"EXIF"))
    if b"C2PA" in found:
        metadata.drop_credentials()
    return metadata


def assemble(encoded: bytes, metadata: Metadata, width: int, height: int) -> bytes:
    """The encoder's WebP with the metadata around its picture."""
    if metadata.iptc:
        metadata.notice("IPTC left out: WebP has no place for it")
    picture = [
        (kind, body)
        for kind, body in read_chunks(encoded, "encoded")
        if kind in (b"VP8 ", b"VP8L", b"ALPH")
    ]
    kind, body = picture[-1]
    # A lossless picture says in its own header whether it uses alpha.
    alpha = len(picture) > 1 or (kind == b"VP8L" and bool(body[4] & 0x10))
    flags = _ALPHA_FLAG if alpha else 0
    before, after = [], []
    if metadata.icc:
        flags |= _ICC_FLAG
        before.append((b"ICCP", metadata.icc))
    if metadata.exif:
        flags |= _EXIF_FLAG
        after.append((b"EXIF", metadata.exif))
    if metadata.xmp:
        flags |= _XMP_FLAG
        after.append((b"XMP ", metadata.xmp))
    if not before and not after:
        return encoded
    size = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    extended = (b"VP8X", bytes([flags, 0, 0, 0]) + size)
    parts = b"".join(_chunk(*each) for each in (extended, *before, *picture, *after))
    return b"RIFF" + struct.pack("<I", len(parts) + 4) + b"WEBP" + parts


def _chunk(kind: bytes, body: bytes) -> bytes:
    return kind + struct.pack("<I", len(body)) + body + b"\0" * (len(body) % 2)
