"""JPEG XL through pillow-jxl-plugin's codec, and what a codestream says at its start.

The codec gives 8 bits of colour whatever the file holds, and takes no colour profile: a file that
would lose by it is refused. Source of the header's layout: ISO/IEC 18181-1, annexes B and D.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from aindnet.errors import ImageReadError, ImageWriteError, MissingExtraError
from aindnet.photo.decode import Rows, damaged
from aindnet.photo.encode import OTHER_QUALITY
from aindnet.photo.formats import JXL
from aindnet.photo.icc import is_srgb
from aindnet.photo.metadata import Metadata
from aindnet.photo.paths import shown
from aindnet.photo.photo import LazyArray, Page, Photo, check_size
from aindnet.photo.source import SourceFile
from aindnet.photo.traits import Traits

_FAILURES = (ValueError, RuntimeError, OSError, EOFError, MemoryError, LookupError)
_MODES = {
    "L": (1, "uint8"),
    "LA": (2, "uint8"),
    "RGB": (3, "uint8"),
    "RGBA": (4, "uint8"),
    "I;16": (1, "uint16"),
}
_BLOCKS = {b"Exif": "EXIF", b"xml ": "XMP"}
_MAX_UNPACKED = 64 << 20
_RATIOS = {1: (1, 1), 2: (12, 10), 3: (4, 3), 4: (3, 2), 5: (16, 9), 6: (5, 4), 7: (2, 1)}


@dataclass(frozen=True)
class JxlHeader:
    """Size as stored, bits per sample, and whether the coding may be lossless."""

    height: int
    width: int
    bits: int = 8
    is_float: bool = False
    animated: bool = False
    lossless: bool = False


class _Bits:
    """Bits of a codestream, least significant first."""

    def __init__(self, data: bytes) -> None:
        self._value = int.from_bytes(data, "little")
        self._left = 8 * len(data)

    def take(self, count: int) -> int:
        if count > self._left:
            raise ValueError("the header is cut short")
        value = self._value & ((1 << count) - 1)
        self._value >>= count
        self._left -= count
        return value

    def choose(self, *widths: int) -> int:
        """An integer of one of four widths, chosen by two bits."""
        return self.take(widths[self.take(2)])


def parse_header(codestream: bytes) -> JxlHeader:
    """The header of a bare codestream. Raises `ValueError` for one that is cut or no codestream."""
    if codestream[:2] != b"\xff\x0a":
        raise ValueError("no JPEG XL codestream")
    bits = _Bits(codestream[2:66])
    height, width = _size(bits)
    if bits.take(1):  # all default: 8 bit, lossy
        return JxlHeader(height, width)
    animated = False
    if bits.take(1):  # extra fields
        orientation = bits.take(3) + 1
        if orientation > 4:
            height, width = width, height
        if bits.take(1):
            _size(bits)  # the intrinsic size
        preview, animated = bits.take(1), bool(bits.take(1))
        if preview or animated:
            return JxlHeader(height, width, animated=animated)
    is_float = bool(bits.take(1))
    if is_float:
        depth = (32, 16, 24)[choice] if (choice := bits.take(2)) < 3 else 1 + bits.take(6)
        bits.take(4)
    else:
        depth = (8, 10, 12)[choice] if (choice := bits.take(2)) < 3 else 1 + bits.take(6)
    bits.take(1)  # whether 16-bit buffers suffice
    choice = bits.take(2)
    extras = choice if choice < 2 else (2 + bits.take(4) if choice == 2 else 1 + bits.take(12))
    plain = all(bits.take(1) for _ in range(extras))  # a channel by default is alpha of 8 bits
    lossless = plain and not bits.take(1)  # XYB is the lossy coding's colour space
    return JxlHeader(height, width, depth, is_float, animated, lossless)


def _size(bits: _Bits) -> tuple[int, int]:
    small = bits.take(1)
    height = 8 * (bits.take(5) + 1) if small else bits.choose(9, 13, 18, 30) + 1
    ratio = bits.take(3)
    if ratio:
        across, down = _RATIOS[ratio]
        return height, height * across // down
    return height, 8 * (bits.take(5) + 1) if small else bits.choose(9, 13, 18, 30) + 1


def codestream_head(data: bytes) -> bytes:
    """The first bytes of the codestream in a file, bare or in boxes."""
    if data[:2] == b"\xff\x0a":
        return data[:128]
    at, head = 0, b""
    while at + 8 <= len(data) and len(head) < 128:
        size, kind = struct.unpack_from(">I4s", data, at)
        start = at + 8
        if size == 1 and at + 16 <= len(data):
            (size,) = struct.unpack_from(">Q", data, start)
            start += 8
        end = at + size if size else len(data)
        if end <= at:
            break
        if kind == b"jxlc":
            head += data[start : min(end, start + 128)]
        elif kind == b"jxlp":
            head += data[start + 4 : min(end, start + 132)]
        at = end
    return head


def _library() -> Any:
    try:
        import pillow_jxl
    except ImportError as error:
        raise MissingExtraError("pillow-jxl-plugin", "formats") from error
    return pillow_jxl


def open_jxl(source: SourceFile, limit: int | None) -> Photo:
    """A JPEG XL file. Raises `ImageReadError`, `MissingExtraError`."""
    library, name = _library(), shown(source.path)
    data = source.read_all()
    try:
        header = parse_header(codestream_head(data))
    except ValueError as error:
        raise damaged(source, error) from error
    check_size(source.path, [(header.height, header.width)], limit)
    if header.animated:
        raise ImageReadError(f"{name}: an animation, not a photo")
    try:
        from_jpeg, info, decoded, icc, boxes = library.Decoder(num_threads=1)(data)
    except _FAILURES as error:
        raise damaged(source, error) from error
    channels, dtype = _MODES.get(info.mode, (0, "uint8"))
    if not channels or (header.bits > 8 and dtype == "uint8") or header.is_float:
        kind = "float" if header.is_float else f"{header.bits}-bit"
        raise ImageReadError(
            f"{name}: {kind} JPEG XL would be cut to 8 bit by the codec at hand; "
            "convert it to 16-bit TIFF or PNG first (djxl)"
        )
    metadata = Metadata(icc=bytes(icc) if icc else None)
    blocks = _blocks(boxes, metadata)
    metadata.set_xmp(blocks.get(b"xml "))
    exif = blocks.get(b"Exif")
    # The box starts with the block's offset; some writers leave that out.
    metadata.set_exif(exif[4:] if exif and exif[:2] not in (b"II", b"MM") else exif, turned=True)

    def load() -> Rows:
        return np.frombuffer(_jpeg_samples(source, decoded) if from_jpeg else decoded, dtype)

    def reader() -> LazyArray:
        return LazyArray((info.height, info.width, channels), dtype, load, source)

    traits = Traits(lossless=header.lossless)
    return Photo(source, JXL, [Page(reader, icc=metadata.icc, traits=traits)], metadata)


def _blocks(boxes: Any, metadata: Metadata) -> dict[bytes, bytes]:
    """EXIF and XMP by the kind of their box, unpacked; notices say what is left out."""
    blocks = {}
    for box in boxes:
        kind, data = box.box_type, bytes(box.data)
        packed = kind == b"brob"
        if packed:
            kind, data = data[:4], data[4:]
        if kind == b"jumb":
            metadata.drop_credentials()
        if kind not in _BLOCKS:
            continue
        unpacked = _unpacked(data, _BLOCKS[kind], metadata) if packed else data
        if unpacked is not None:
            blocks[kind] = unpacked
    return blocks


def _unpacked(packed: bytes, name: str, metadata: Metadata) -> bytes | None:
    """A block that Brotli made smaller."""
    try:
        import brotli
    except ImportError:
        metadata.notice(f"{name} left out: {MissingExtraError('brotli', 'formats')}")
        return None
    unpacker = brotli.Decompressor()
    try:
        block: bytes = unpacker.process(packed, output_buffer_limit=_MAX_UNPACKED)
        whole = unpacker.is_finished() and len(block) <= _MAX_UNPACKED
    except brotli.error:
        whole = False
    if not whole:
        metadata.notice(f"{name} left out: it is damaged, or over {_MAX_UNPACKED >> 20} MB")
    return block if whole else None


def _jpeg_samples(source: SourceFile, encoded: bytes) -> bytes:
    """The samples of a JPEG that was packed into JPEG XL without loss, and comes out as such."""
    import pyvips

    try:
        image = pyvips.Image.jpegload_buffer(encoded, fail_on="error", autorotate=True)
        return bytes(image.write_to_memory())
    except pyvips.Error as error:
        raise damaged(source, error) from error


def check_jxl(channels: int, dtype: np.dtype[Any], icc: bytes | None, path: Path) -> None:
    """Raise `ImageWriteError` or `MissingExtraError` for what `encode_jxl` cannot write."""
    _library()
    name = shown(path)
    if icc and not is_srgb(icc):
        raise ImageWriteError(
            f"{name}: the JPEG XL codec at hand takes no colour profile; write it as .tif or .png"
        )
    if (channels, dtype.name) not in _MODES.values():
        raise ImageWriteError(
            f"{name}: the JPEG XL codec at hand takes no 16-bit colour; write it as .tif or .png"
        )


def encode_jxl(image: Any, metadata: Metadata, traits: Traits, path: Path) -> bytes:
    """A libvips image that `check_jxl` let pass, as JPEG XL. Raises `ImageWriteError`."""
    library, name = _library(), shown(path)
    kinds = {kind: mode for mode, kind in _MODES.items()}
    mode = kinds[image.bands, "uint16" if image.format == "ushort" else "uint8"]
    if metadata.iptc:
        metadata.notice("IPTC left out: JPEG XL has no place for it")
    encoder = library.Encoder(
        mode=mode,
        lossless=traits.lossless,
        quality=100 if traits.lossless else OTHER_QUALITY,
        decoding_speed=0,
        effort=5,
        use_container=True,
        use_original_profile=traits.lossless,
        num_threads=1,
    )
    try:
        encoded: bytes = encoder(
            bytes(image.write_to_memory()),
            image.width,
            image.height,
            jpeg_encode=False,
            exif=metadata.exif,
            jumb=None,
            xmp=metadata.xmp,
            compress=False,
        )
    except _FAILURES as error:
        text = f"{name}: cannot be encoded as JPEG XL ({shown(str(error))}); use .tif"
        raise ImageWriteError(text) from error
    return encoded
