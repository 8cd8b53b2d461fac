"""What a TIFF page says about itself, and the writing of pages with all of it."""

from __future__ import annotations

import math
import os
import re
import struct
from typing import Any

from aindnet.errors import ImageReadError, ImageWriteError
from aindnet.photo import photoshop, tiff
from aindnet.photo.atomic import AtomicFile
from aindnet.photo.metadata import ALPHA_APART, Metadata
from aindnet.photo.paths import shown
from aindnet.photo.source import SourceFile
from aindnet.photo.tiff import Directory, DirectoryWriter, Tiff
from aindnet.photo.traits import Traits

# Compressions that are written again as they were; all others become deflate, without loss.
_COMPRESSIONS = {1: "none", 5: "lzw", 8: "deflate", 32946: "deflate", 32773: "packbits"}
_PREDICTORS = {2: "horizontal", 3: "float"}
_MASK_OF_ANOTHER = 4  # a bit of the subfile type
_IMAGEJ_FRAMES = re.compile(rb"^images=(\d{1,9})\s*$", re.MULTILINE)
_TRUNCATED = re.compile(rb'{"shape": \[((?:\d{1,9}, ){0,15}\d{1,9})\].*"truncated": true')
_OWN_BLOCKS = (tiff.XMP, tiff.IPTC, tiff.PHOTOSHOP, tiff.ICC)
_HEADER = 16  # bytes of a BigTIFF's, which is the longer
_UNDEFINED, _BYTE, _SHORT, _RATIONAL = 7, 1, 3, 5


def read_directories(source: SourceFile) -> Tiff:
    """The directories of all pages. Raises `ImageReadError`."""
    name = shown(source.path)
    try:
        found = tiff.read_tiff(source.read_at)
    except tiff.TagsTooLargeError as error:
        raise ImageReadError(f"{name}: {error}; strip its metadata first") from error
    if found is None:
        raise ImageReadError(
            f"{name}: damaged or cut short (its directory of pages); get a whole copy"
        )
    return found


def check_frames(file: Tiff, source: SourceFile) -> None:
    """Raise `ImageReadError` for a stack whose frames follow one page and are none themselves.

    ImageJ writes stacks of over 4 GB so, and tifffile those that it says are truncated, neither of
    them compressed. A page that was taken out of a stack may still have its description.
    """
    first = file.pages[0]
    text = first.blob(tiff.DESCRIPTION) or b""
    # A page of colours may count as an image a channel.
    images = len(file.pages) * first.number(tiff.SAMPLES, 1)
    frames = _IMAGEJ_FRAMES.search(text) if text.startswith(b"ImageJ=") else None
    of_imagej = frames is not None and int(frames[1]) > images
    there = frames is not None and int(frames[1]) * _sample_bytes(first) <= source.size
    truncated = any(_is_truncated(page, source) for page in file.pages)
    if (of_imagej and there) or truncated:
        raise ImageReadError(
            f"{shown(source.path)}: a stack with frames that are no pages of the TIFF; "
            "save each frame as a page first"
        )


def _sample_bytes(page: Directory) -> int:
    """What one channel of a page takes."""
    sides = page.number(tiff.HEIGHT, 1), page.number(tiff.WIDTH, 1)
    return math.prod(sides) * page.number(tiff.BITS, 1) // 8


def _is_truncated(page: Directory, source: SourceFile) -> bool:
    """Whether tifffile wrote more samples behind a page than the page has."""
    found = _TRUNCATED.match(page.blob(tiff.DESCRIPTION) or b"")
    if found is None:
        return False
    sides = (tiff.HEIGHT, tiff.WIDTH, tiff.SAMPLES)
    own = math.prod(page.number(side, 1) for side in sides)
    said = math.prod(map(int, found[1].split(b",")))
    return said > own and said * page.number(tiff.BITS, 1) // 8 <= source.size


def is_mask(page: Directory) -> bool:
    """Whether a page only says where another one is transparent."""
    meaning = page.number(tiff.PHOTOMETRIC, tiff.BLACK_IS_ZERO)
    return meaning == tiff.MASK or bool(page.number(tiff.SUBFILE_TYPE, 0) & _MASK_OF_ANOTHER)


def page_traits(page: Directory, file: Tiff, source: SourceFile, metadata: Metadata) -> Traits:
    """How a page was encoded. Raises `ImageReadError` for samples that no photo has."""
    bits = page.number(tiff.BITS, 1)
    is_float = page.number(tiff.SAMPLE_FORMAT, 1) == tiff.FLOATS
    if bits not in ((32,) if is_float else (1, 2, 4, 8, 16)):
        kind = "float" if is_float else "integer"
        raise ImageReadError(
            f"{shown(source.path)}: {bits}-bit {kind} samples; "
            "convert it to 8 or 16 bit or 32-bit float first"
        )
    if bits < 8:
        metadata.notice(f"{bits} bit written as 8 bit")
    if page.number(tiff.PHOTOMETRIC, tiff.BLACK_IS_ZERO) == tiff.PALETTE:
        metadata.notice("palette written out as RGB")
    extra = page.numbers(tiff.EXTRA_SAMPLES)
    if extra == [tiff.ASSOCIATED_ALPHA]:
        metadata.notice(ALPHA_APART)
    if tiff.SUB_IFDS in page.tags:
        metadata.notice("smaller copies inside the file (pyramid, preview) left out")
    if page.layers:
        metadata.notice("Photoshop's layers left out: they are of the picture before")
    if tiff.CREDENTIALS in page.tags:
        metadata.drop_credentials()
    tile = None
    if tiff.TILE_WIDTH in page.tags:
        tile = page.number(tiff.TILE_WIDTH, 256), page.number(tiff.TILE_HEIGHT, 256)
    return Traits(
        compression=_COMPRESSIONS.get(page.number(tiff.COMPRESSION, 1), "deflate"),
        predictor=_PREDICTORS.get(page.number(tiff.PREDICTOR, 1), "none"),
        tile=tile,
        extra_unspecified=extra not in ([tiff.ASSOCIATED_ALPHA], [tiff.UNASSOCIATED_ALPHA]),
        big=file.big,
    )


def tiff_metadata(page: Directory) -> Metadata:
    """A page's blocks; the tags themselves are carried with the page."""
    unit = {2: 1.0, 3: 2.54}.get(page.number(tiff.RESOLUTION_UNIT, 2))
    across, down = page.ratio(tiff.X_RESOLUTION), page.ratio(tiff.Y_RESOLUTION)
    tags = carried_tags(page)
    resources = tags[tiff.PHOTOSHOP].data if tiff.PHOTOSHOP in tags else b""
    metadata = Metadata(
        icc=page.blob(tiff.ICC),
        iptc=page.blob(tiff.IPTC) or photoshop.iptc(resources),
        photoshop=resources if photoshop.has_more_than_iptc(resources) else None,
        resolution=(across * unit, down * unit) if unit and across and down else None,
        verbatim=True,
    )
    drop_xmp_thumbnails(page, metadata)
    metadata.xmp = page.blob(tiff.XMP)
    described = Directory(page.order, carried_tags(page, _OWN_BLOCKS), page.children)
    if described.tags or described.children:
        metadata.set_exif(tiff.serialise(described))
    return metadata


def drop_xmp_thumbnails(page: Directory, metadata: Metadata) -> None:
    """Take the small pictures out of the page's XMP."""
    tag = page.tags.get(tiff.XMP)
    if tag is None or (packet := metadata.without_thumbnails(tag.data)) == tag.data:
        return
    del page.tags[tiff.XMP]
    if packet is not None:
        page.tags[tiff.XMP] = tiff.Tag(_BYTE, len(packet), packet)


def carried_tags(page: Directory, without: tuple[int, ...] = ()) -> dict[int, tiff.Tag]:
    """The tags that say nothing of how pixels are stored."""
    tags = {
        code: tag
        for code, tag in page.tags.items()
        if code not in tiff.STRUCTURE and code not in (tiff.CREDENTIALS, *without)
    }
    resources = tags.pop(tiff.PHOTOSHOP, None)
    if resources is not None and (data := photoshop.without_thumbnail(resources.data)):
        tags[tiff.PHOTOSHOP] = tiff.Tag(resources.kind, len(data), data)
    return tags


def directory_from(metadata: Metadata) -> Directory:
    """Tags for a TIFF page from the blocks of another kind of file."""
    directory = (tiff.parse_block(metadata.exif) if metadata.exif else None) or Directory()
    for code in [*tiff.STRUCTURE, *_OWN_BLOCKS]:
        directory.tags.pop(code, None)
    for code, kind, block in (
        (tiff.XMP, _BYTE, metadata.xmp),
        (tiff.IPTC, _UNDEFINED, metadata.iptc),
        (tiff.PHOTOSHOP, _BYTE, metadata.photoshop),
    ):
        if block:
            directory.put_bytes(code, kind, block)
    if metadata.resolution and tiff.X_RESOLUTION not in directory.tags:
        for code, value in zip(
            (tiff.X_RESOLUTION, tiff.Y_RESOLUTION), metadata.resolution, strict=True
        ):
            data = struct.pack(directory.order + "II", round(value * 1000), 1000)
            directory.tags[code] = tiff.Tag(_RATIONAL, 1, data)
        directory.put(tiff.RESOLUTION_UNIT, _SHORT, [2])
    return directory


class TiffAssembler:
    """Joins pages that libvips encoded, one by one, into a file with all their tags."""

    def __init__(self, file: AtomicFile) -> None:
        self._file = file
        self._link_at: int | None = None

    def keep_note(self, carried: Directory) -> None:
        """Put a maker note that is bound to its place there, if the file has not grown past it.

        Encoders write behind what a file has already, and its header before.
        """
        note = carried.bound_note
        end = max(os.lseek(self._file.descriptor, 0, os.SEEK_END), _HEADER)
        if note is not None and tiff.can_stay(note, end):
            os.lseek(self._file.descriptor, note.place, os.SEEK_SET)
            self._file.write(note.data + bytes(-(note.place + len(note.data)) % 16))

    def add(
        self,
        start: int,
        carried: Directory,
        icc: bytes | None,
        output: Any,
        *,
        extra_unspecified: bool = False,
    ) -> bool:
        """Put the page that was encoded as a TIFF of its own from `start` on into the file.

        `carried` holds the source's tags. The encoder's offsets count from `start`; it calls every
        channel beyond the colours alpha, which one that is `extra_unspecified` is not. Whether a
        bound maker note can still be read, or there is none.
        """
        descriptor = self._file.descriptor
        encoded = tiff.read_tiff(lambda at, length: os.pread(descriptor, length, start + at))
        if encoded is None:
            raise ImageWriteError(f"{shown(output)}: the encoder wrote no TIFF; try another format")
        page = encoded.pages[0]
        merged = Directory(page.order, dict(page.tags))
        for code in (tiff.STRIP_OFFSETS, tiff.TILE_OFFSETS):
            if start and code in page.tags:
                offsets = [start + offset for offset in page.numbers(code)]
                merged.put(code, 16 if encoded.big else 4, offsets)
        for code in list(merged.tags):
            if code not in tiff.STRUCTURE:
                del merged.tags[code]
        if extra_unspecified and tiff.EXTRA_SAMPLES in merged.tags:
            merged.put(tiff.EXTRA_SAMPLES, _SHORT, [tiff.UNSPECIFIED])
        source = carried.swapped_to(page.order)
        merged.tags |= carried_tags(source)
        merged.children = source.children
        merged.tags.pop(tiff.ICC, None)
        if icc:
            merged.put_bytes(tiff.ICC, _UNDEFINED, icc)
        note = merged.bound_note
        if note is not None and os.pread(descriptor, len(note.data), note.place) != note.data:
            note = None
        end = os.lseek(descriptor, 0, os.SEEK_END)
        writer = DirectoryWriter(self._file.write, end, big=encoded.big, standing=note)
        place, link_at = writer.write(merged)
        word = page.order + ("Q" if encoded.big else "I")
        first = 8 if encoded.big else 4
        at = first if self._link_at is None else self._link_at
        os.pwrite(descriptor, struct.pack(word, place), at)
        self._link_at = link_at
        bound = carried.bound_note
        return bound is None or (note is not None and carried.order == page.order)
