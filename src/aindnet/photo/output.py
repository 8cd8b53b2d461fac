"""Finished rows → an output file with everything that the source had, under its name when whole."""

from __future__ import annotations

import os
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np

from aindnet.photo import encode, jpeg, maker_note, png, tiff, webp
from aindnet.photo.atomic import AtomicFile, check_free
from aindnet.photo.decode import Rows
from aindnet.photo.exif import bare
from aindnet.photo.formats import AVIF, HEIC, JPEG, JXL, PNG, TIFF, WEBP, Format, format_for_output
from aindnet.photo.heic import encode_heic
from aindnet.photo.jxl import encode_jxl
from aindnet.photo.metadata import Metadata, listed
from aindnet.photo.output_checks import (
    channels_in,
    check_output,
    dtype_in,
    leave_behind,
    puts_grey_profile_on_colours,
)
from aindnet.photo.paths import shown
from aindnet.photo.photo import Page, Photo
from aindnet.photo.pixels import RGB
from aindnet.photo.short_exif import tag_name
from aindnet.photo.store import PixelStore, spool_file
from aindnet.photo.tiff_pages import TiffAssembler, directory_from

_HEAD_BYTES = 64 << 10
# Bands of wide photos are taken in pieces: the arithmetic on them makes several copies.
_PIXELS_AT_ONCE = 1_000_000
_CLASSIC_TIFF_LIMIT = 3_500_000_000
_TURNED_BY_READERS = (AVIF, HEIC, JXL)


class PhotoWriter:
    """Takes the rows of all pages in order, and writes the file when the `with` block ends well.

    Raises `ImageWriteError` at once for what can't be written: a kind that has no place for the
    pages or the depth, a folder that is missing or read-only, a disk without room; and
    `MissingExtraError` for a kind whose codec is not installed.
    """

    def __init__(self, photo: Photo, path: str | Path, *, overwrite: bool = False) -> None:
        self.photo = photo
        self.path = Path(path)
        self.kind: Format = format_for_output(self.path)
        self._same_kind = self.kind is photo.format
        if not overwrite:
            check_free(self.path)
        check_output(photo, self.kind, self.path)
        if not self._same_kind:
            leave_behind(photo, self.kind)
        self._file = AtomicFile(self.path, overwrite=overwrite)
        self._page_number = 0
        self._store: PixelStore | None = None
        self._reader: Any = None
        self._assembler = TiffAssembler(self._file)

    @property
    def page(self) -> Page:
        """The page that the next rows belong to."""
        return self.photo.pages[self._page_number]

    def write(self, band: RGB) -> None:
        """The next finished rows, (rows, W, 3), in the encoding of `Page.rows`."""
        if self._store is not None and self._store.full:
            self._finish_page()
        page = self.page
        if self._store is None:
            self._store = PixelStore(
                self.path,
                page.height,
                page.width,
                channels_in(self.kind, page),
                dtype_in(self.kind, page),
            )
            self._reader = page.another_reader()
        step = max(1, _PIXELS_AT_ONCE // page.width)
        for start in range(0, len(band), step):
            part = band[start : start + step]
            y0 = self._store.rows_written
            samples = self._reader.read(y0, y0 + len(part))
            self._store.write(self._fitted(page, page.changed(samples, part)))

    def _fitted(self, page: Page, samples: Rows) -> Rows:
        """The samples in the depth and channels that the output's kind has."""
        dtype = dtype_in(self.kind, page)
        notice = self.photo.metadata.notice
        if samples.shape[2] != channels_in(self.kind, page):
            if page.traits.extra_unspecified:
                notice("channel that is not said to be alpha left out: TIFF alone can hold it")
            else:
                notice(f"alpha left out: {self.kind.name} has none")
            samples = samples[..., : channels_in(self.kind, page)]
        if samples.dtype != dtype:
            notice(f"{samples.dtype} samples written as {dtype}: {self.kind.name} has no deeper")
            scaled = samples.astype(np.float64) * (np.iinfo(dtype).max / page.white)
            samples = np.clip(np.rint(scaled), 0, np.iinfo(dtype).max).astype(dtype)
        return samples

    def _finish_page(self) -> None:
        page, store = self.page, self._store
        assert store is not None
        image = self._upright(store.image())
        try:
            self._encode(page, image)
        finally:
            store.close()
            self._reader.close()
            page.reader.close()
        self._store = None
        self._page_number += 1

    def _upright(self, image: Any) -> Any:
        """Pixels turned for kinds whose readers do not look at EXIF for it."""
        metadata = self.photo.metadata
        turn = metadata.orientation
        if self.kind not in _TURNED_BY_READERS or turn == 1:
            return image
        metadata.stand_upright()
        return turned(image, turn)

    def _encode(self, page: Page, image: Any) -> None:
        metadata = self.photo.metadata
        if puts_grey_profile_on_colours(self.photo, self.kind):
            metadata.notice(f"profile of grey left out: {self.kind.name} has three colours")
            metadata.icc = None
        options = {}
        if self.kind not in (HEIC, JXL):
            deep = image.format == "ushort"
            options = encode.save_options(
                self.kind, page.traits, self._same_kind, page.height * page.width, deep=deep
            )
            if self.kind is AVIF and deep and page.traits.bits is None:
                metadata.notice(f"16 bit written as {options['bitdepth']} bit: AVIF has no deeper")
        if self.kind is TIFF:
            self._add_tiff_page(page, image, options)
        elif self.kind in (HEIC, JXL):
            write = encode_heic if self.kind is HEIC else encode_jxl
            self._file.write(write(image, metadata, page.traits, self.path))
        else:
            if metadata.resolution and self.kind is JPEG:
                image = image.copy(
                    xres=metadata.resolution[0] / 25.4, yres=metadata.resolution[1] / 25.4
                )
            if self.kind is AVIF:
                image = encode.with_blocks(image, metadata)
            self._wrap(image, options, metadata)

    def _add_tiff_page(self, page: Page, image: Any, options: dict[str, Any]) -> None:
        size = sum(p.height * p.width * p.channels * p.dtype.itemsize for p in self.photo.pages)
        options["bigtiff"] = page.traits.big or size > _CLASSIC_TIFF_LIMIT
        carried = page.directory or directory_from(self.photo.metadata)
        start = os.lseek(self._file.descriptor, 0, os.SEEK_END)
        self._assembler.keep_note(carried)
        if start == 0:
            os.lseek(self._file.descriptor, 0, os.SEEK_SET)
            encode.save(image, TIFF, self._file.descriptor, options, shown(self.path))
        else:
            start = os.lseek(self._file.descriptor, 0, os.SEEK_END)
            start += -start % 16
            os.lseek(self._file.descriptor, start, os.SEEK_SET)
            spool = spool_file(self.path)
            try:
                encode.save(image, TIFF, spool, options, shown(self.path))
                self._copy(spool, 0)
            finally:
                os.close(spool)
        unspecified = page.traits.extra_unspecified
        if not self._assembler.add(
            start, carried, page.icc, self.path, extra_unspecified=unspecified
        ):
            self.photo.metadata.notice(maker_note.MISREAD)

    def _wrap(self, image: Any, options: dict[str, Any], metadata: Metadata) -> None:
        """Encode, and put the metadata around the picture."""
        spool = spool_file(self.path)
        try:
            encode.save(image, self.kind, spool, options, shown(self.path))
            if self.kind is JPEG:
                head = os.pread(spool, _HEAD_BYTES, 0)
                opening, skipped = jpeg.opening(head, metadata, same_kind=self._same_kind)
                self._file.write(opening)
                self._copy(spool, skipped)
                self._copy_trailer(metadata)
            elif self.kind is PNG:
                self._file.write(os.pread(spool, png.SIGNATURE_AND_HEADER, 0))
                self._file.write(png.chunks_of(metadata, same_kind=self._same_kind))
                self._copy(spool, png.first_pixels(os.pread(spool, _HEAD_BYTES, 0)))
            elif self.kind is WEBP:
                encoded = os.pread(spool, os.fstat(spool).st_size, 0)
                self._file.write(webp.assemble(encoded, metadata, image.width, image.height))
            else:
                self._check_exif(metadata, encode.exif_in(spool))
                self._copy(spool, 0)
        finally:
            os.close(spool)

    def _check_exif(self, metadata: Metadata, written: bytes | None) -> None:
        """Say what became of the EXIF block that AVIF's encoder laid out anew."""
        given = metadata.exif_within(encode.AVIF_EXIF_LIMIT, self.kind.name)
        old, new = (tiff.parse_block(bare(each) or b"") for each in (given, written))
        if tiff.note_moved(old, new):
            metadata.notice(maker_note.MISREAD)
        if lost := sorted(tiff.codes(old) - tiff.codes(new)):
            prefix = {tiff.GPS_IFD: "GPS "}
            names = listed([prefix.get(pointer, "") + tag_name(code) for pointer, code in lost])
            metadata.notice(f"EXIF that AVIF's encoder does not know left out: {names}")

    def _copy(self, spool: int, offset: int) -> None:
        while part := os.pread(spool, 8 << 20, offset):
            self._file.write(part)
            offset += len(part)

    def _copy_trailer(self, metadata: Metadata) -> None:
        # XMP says where it begins by its distance from the file's end.
        start, length = metadata.trailer or (0, 0)
        for at in range(start, start + length, 8 << 20):
            left = min(8 << 20, start + length - at)
            self._file.write(self.photo.source.read_at(at, left))

    def commit(self) -> None:
        """Encode, and give the file its name.

        Raises `ImageReadError` if the source changed meanwhile, or `ImageWriteError`.
        """
        if self._store is not None and self._store.full:
            self._finish_page()
        if self._page_number != len(self.photo.pages):
            raise ValueError(f"{shown(self.path)}: not all rows were written")
        self.photo.source.check_unchanged()
        self._file.commit()

    def discard(self) -> None:
        """Leave nothing behind."""
        if self._store is not None:
            self._store.close()
            self._store = None
        if self._reader is not None:
            self._reader.close()
        self._file.discard()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if kind is None:
                self.commit()
        finally:
            self.discard()


def writer(photo: Photo, path: str | Path, *, overwrite: bool = False) -> PhotoWriter:
    """A writer of the photo's pages, denoised, to `path`; the kind goes by its suffix."""
    return PhotoWriter(photo, path, overwrite=overwrite)


def turned(image: Any, orientation: int) -> Any:
    """A libvips image turned as its EXIF orientation wants it shown."""
    import pyvips

    if orientation == 1:
        return image
    image = image.copy()
    image.set_type(pyvips.GValue.gint_type, "orientation", orientation)
    return image.autorot()


def write_plain(path: Path, image: Any, orientation: int, *, overwrite: bool) -> None:
    """Write a libvips image as PNG, turned, without metadata. Raises `ImageWriteError`."""
    with AtomicFile(path, overwrite=overwrite) as file:
        options = {"filter": encode.PAETH, "keep": "none"}
        encode.save(turned(image, orientation), PNG, file.descriptor, options, shown(path))
        file.commit()
