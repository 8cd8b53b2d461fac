"""libvips as decoder: an open file → rows of its own samples, top to bottom, in bounded memory."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from aindnet.errors import ImageReadError
from aindnet.photo import tiff
from aindnet.photo.formats import AVIF, JPEG, PNG, TIFF, WEBP, Format
from aindnet.photo.lone_page import page_stream
from aindnet.photo.paths import shown
from aindnet.photo.source import SourceFile
from aindnet.photo.tiff import Directory

Rows = npt.NDArray[Any]

IN_MEMORY_BYTES = 256 << 20
"""Images whose samples take less are decoded at once; larger ones are streamed."""

_CHUNK_BYTES = 32 << 20
_STREAMED: dict[Format, Callable[[Any], Any]] = {
    JPEG: lambda vips: vips.Image.jpegload_source,
    PNG: lambda vips: vips.Image.pngload_source,
    TIFF: lambda vips: vips.Image.tiffload_source,
}
# These decoders map the file into memory, where a file cut short meanwhile is a bus error.
_READ_WHOLE: dict[Format, Callable[[Any], Any]] = {
    WEBP: lambda vips: vips.Image.webpload_buffer,
    AVIF: lambda vips: vips.Image.heifload_buffer,
}
_DTYPES = {"uchar": np.uint8, "ushort": np.uint16, "float": np.float32}
# What decoders say of files that are whole and of a kind that they do not read.
_UNSUPPORTED = (
    *("not configured", "not implemented", "not supported", "built without"),
    "bad labq format",  # 8-bit CIELAB
    "unsupported jpeg data precision",
    "unsupported color conversion",  # lossless JPEG
)


def open_vips(source: SourceFile, place: int = 0, replaced: Mapping[int, int] | None = None) -> Any:
    """The file as a lazy libvips image (one page), any colour kind; nothing is decoded yet.

    White is the largest number of an integer type. TIFF: `place` is where the page's directory
    stands, 0 for the first, and `replaced` has short integers to put for some of its tags.
    Raises `ImageReadError` if the header can't be understood.
    """
    import pyvips

    pyvips.cache_set_max(0)  # an operation cache only holds on to memory and closed files here
    options: dict[str, Any] = {"access": "sequential", "fail_on": "error"}
    if source.format is TIFF:
        # libvips takes a tile that can't be read or decoded for a warning, and paints it black.
        options["fail_on"] = "warning"
    if source.format in (TIFF, JPEG):
        options["unlimited"] = True  # photo.open_photo has its own limit on pixels
    try:
        if source.format in _READ_WHOLE:
            image = _READ_WHOLE[source.format](pyvips)(source.read_all(), **options)
            return _to_white(image) if source.format is AVIF else image
        if source.format is TIFF:
            stream = page_stream(source, place, replaced or {})
            image = _STREAMED[TIFF](pyvips)(stream, **options)
            image._references.append(stream)  # as `Image.new_from_source` does
            return image
        descriptor = source.duplicate()
        try:
            stream = pyvips.Source.new_from_descriptor(descriptor)
        finally:
            os.close(descriptor)  # libvips has its own duplicate
        return _STREAMED[source.format](pyvips)(stream, **options)
    except (pyvips.Error, ValueError) as error:
        raise damaged(source, error) from error


def open_tiff_page(source: SourceFile, page: Directory) -> Any:
    """A page of a TIFF: `open_vips`, with black at 0, and colours that alpha isn't multiplied into.

    libvips inverts integers only, and takes the alpha of grey floats for one of 8 bit.
    """
    meaning = page.number(tiff.PHOTOMETRIC, tiff.BLACK_IS_ZERO)
    is_float = page.number(tiff.SAMPLE_FORMAT, 1) == tiff.FLOATS
    if not is_float or meaning not in (tiff.WHITE_IS_ZERO, tiff.BLACK_IS_ZERO):
        return open_vips(source, page.place)
    replaced = {tiff.PHOTOMETRIC: tiff.BLACK_IS_ZERO}
    associated = page.numbers(tiff.EXTRA_SAMPLES) == [tiff.ASSOCIATED_ALPHA]
    if associated:
        replaced[tiff.EXTRA_SAMPLES] = tiff.UNASSOCIATED_ALPHA
    image = open_vips(source, page.place, replaced)
    if associated:
        image = apart_from_alpha(image)
    if meaning == tiff.BLACK_IS_ZERO:
        return image
    grey, extra = 1.0 - image[0], image.bands - 1
    return grey.bandjoin(image.extract_band(1, n=extra)) if extra else grey


def apart_from_alpha(image: Any) -> Any:
    """The image without its alpha, the last band, being multiplied into its colours."""
    white = {"uchar": 255, "ushort": 65535}.get(image.format, 1)
    straight = image.unpremultiply(max_alpha=white)
    return straight if image.format == "float" else straight.rint().cast(image.format)


def _to_white(image: Any) -> Any:
    """Deep AVIF with its lowest bits filled, which libvips leaves empty, from its highest."""
    return image | (image >> image.get("bits-per-sample")) if image.format == "ushort" else image


def damaged(source: SourceFile, error: Exception) -> ImageReadError:
    """The error for a file that its decoder gave up on, or does not support."""
    lines = [line.strip() for line in str(getattr(error, "detail", error)).splitlines()]
    detail = next((line for line in lines if line), "its decoder does not say how")
    for line in lines:
        if any(words in line.lower() for words in _UNSUPPORTED):
            return ImageReadError(
                f"{shown(source.path)}: of a kind that is not read here ({shown(line)}); "
                "save it as an uncompressed TIFF or a PNG first"
            )
    return ImageReadError(
        f"{shown(source.path)}: damaged or cut short ({shown(detail)}); get a whole copy of it"
    )


def dtype_of(image: Any, source: SourceFile) -> np.dtype[Any]:
    """The sample type of a libvips image; `ImageReadError` for one that no photo has."""
    if image.format not in _DTYPES:
        raise ImageReadError(
            f"{shown(source.path)}: samples of type {image.format}; "
            "convert it to 8 or 16 bit or float first"
        )
    return np.dtype(_DTYPES[image.format])


class RowReader:
    """Rows of an image, in any order though best top to bottom; decoded again from the top when
    asked for rows above those kept.

    `reopen` gives a fresh libvips image of the same size each time.
    """

    def __init__(self, reopen: Callable[[], Any], source: SourceFile) -> None:
        self._reopen = reopen
        self._source = source
        image = reopen()
        self.height: int = image.height
        self.width: int = image.width
        self.channels: int = image.bands
        self.dtype = dtype_of(image, source)
        self._row_bytes = self.width * self.channels * self.dtype.itemsize
        self.in_memory = self.height * self._row_bytes <= IN_MEMORY_BYTES
        # Not kept open: a file of a thousand pages has a thousand readers.
        self._image: Any = None
        self._region: Any = None
        self._kept: Rows = self._empty()
        self._first = 0  # the row of the image that self._kept starts with

    def read(self, y0: int, y1: int) -> Rows:
        """Samples of rows y0 to y1, (y1 - y0, width, channels). Raises `ImageReadError`."""
        if not 0 <= y0 < y1 <= self.height:
            raise ValueError(f"rows {y0} to {y1} of an image with {self.height} rows")
        if self.in_memory:
            if not len(self._kept):
                self._kept = self._fetch(0, self.height)
                self._region = self._image = None
            return self._kept[y0:y1]
        if y0 < self._first:
            self.close()
        self._advance(y0, y1)
        return self._kept[y0 - self._first : y1 - self._first]

    def _advance(self, y0: int, y1: int) -> None:
        end = self._first + len(self._kept)
        step = max(1, _CHUNK_BYTES // self._row_bytes)
        while end < y0:  # decoded only to get past
            stop = min(end + step, y0)
            self._fetch(end, stop)
            end = stop
        kept = self._kept[max(0, y0 - self._first) :]
        parts = [kept] if len(kept) else []
        while end < y1:
            stop = min(end + step, y1)
            parts.append(self._fetch(end, stop))
            end = stop
        self._kept = np.concatenate(parts) if len(parts) > 1 else parts[0]
        self._first = y0

    def _fetch(self, y0: int, y1: int) -> Rows:
        import pyvips

        try:
            if self._region is None:
                self._image = self._reopen()  # what it reads from lives as long as this does
                self._region = pyvips.Region.new(self._image)
            data = self._region.fetch(0, y0, self.width, y1 - y0)
        except pyvips.Error as error:
            raise damaged(self._source, error) from error
        rows = np.frombuffer(data, self.dtype).reshape(y1 - y0, self.width, self.channels)
        if self.dtype.kind == "f" and not np.isfinite(rows).all():
            raise ImageReadError(
                f"{shown(self._source.path)}: has NaN or infinite samples; replace them first"
            )
        return rows

    def _empty(self) -> Rows:
        return np.empty((0, self.width, self.channels), self.dtype)

    def close(self) -> None:
        """Let go of the decoder and its rows; a later `read` starts again."""
        self._kept, self._first = self._empty(), 0
        self._region = self._image = None
