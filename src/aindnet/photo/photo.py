"""An opened photo: its pages as rows for the network, and everything that must be given back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

import numpy as np

from aindnet.errors import ImageReadError, ImageTooLargeError
from aindnet.photo.decode import Rows, damaged
from aindnet.photo.encoding import SRGB, Encoding, EncodingName, choose_encoding
from aindnet.photo.formats import Format
from aindnet.photo.metadata import Metadata
from aindnet.photo.paths import shown
from aindnet.photo.pixels import RGB
from aindnet.photo.source import SourceFile
from aindnet.photo.traits import Traits

DEFAULT_PIXEL_LIMIT = 500_000_000
"""Pixels, over all pages, that a file may have before it is refused as a decompression bomb."""


class SampleReader(Protocol):
    """Rows of a page's own samples."""

    height: int
    width: int
    channels: int
    dtype: np.dtype[Any]

    in_memory: bool
    """Whether rows come in any order at no cost, so that one reader serves all."""

    def read(self, y0: int, y1: int) -> Rows:
        """Samples of rows y0 to y1."""

    def close(self) -> None:
        """Let go of the decoder."""


class LazyArray:
    """A `SampleReader` for decoders that give a whole picture at once, decoded when first read."""

    in_memory = True

    def __init__(
        self, shape: tuple[int, int, int], dtype: Any, load: Callable[[], Rows], source: SourceFile
    ) -> None:
        height, width, channels = shape
        self._source = source
        self.height, self.width, self.channels = height, width, channels
        self.dtype = np.dtype(dtype)
        self._load = load
        self._samples: Rows | None = None

    def read(self, y0: int, y1: int) -> Rows:
        """Samples of rows y0 to y1. Raises `ImageReadError`."""
        if self._samples is None:
            samples = self._load()
            if samples.size != self.height * self.width * self.channels:
                raise damaged(self._source, ValueError("its size is not what its header says"))
            self._samples = samples.reshape(self.height, self.width, self.channels)
        return self._samples[y0:y1]

    def close(self) -> None:
        """Let go of the samples."""
        self._samples = None


@dataclass
class Page:
    """One picture of a file. A row source for the denoiser."""

    open_reader: Callable[[], SampleReader]
    """Gives a reader with a position of its own, so that two can go down the page apart."""
    encoding: Encoding = SRGB
    icc: bytes | None = None
    """The page's colour profile."""
    directory: Any = None
    """TIFF: the page's tags."""
    traits: Traits = field(default_factory=Traits)

    def __post_init__(self) -> None:
        self.reader = self.open_reader()
        self.height, self.width = self.reader.height, self.reader.width
        self.channels, self.dtype = self.reader.channels, self.reader.dtype

    def another_reader(self) -> SampleReader:
        """A reader to go down the page apart from `rows`."""
        return self.reader if self.reader.in_memory else self.open_reader()

    def preload(self) -> None:
        """Decode now what will be held in memory anyway. Raises `ImageReadError`."""
        if self.reader.in_memory:
            self.reader.read(0, 1)

    @property
    def grey(self) -> bool:
        """Whether the page has no colour."""
        return self.channels <= 2

    @property
    def has_extra(self) -> bool:
        """Whether the last channel is no colour (alpha, mostly), and so never touched."""
        return self.channels in (2, 4)

    @property
    def white(self) -> float:
        """The sample that stands for white."""
        return float(np.iinfo(self.dtype).max) if self.dtype.kind == "u" else 1.0

    def rows(self, y0: int, y1: int) -> RGB:
        """Rows y0 to y1 as the network sees them: float32 (rows, W, 3), sRGB-like, white at 1.

        Values outside [0, 1] come from float files only. Raises `ImageReadError`.
        """
        return self.seen(self.reader.read(y0, y1))

    def seen(self, samples: Rows) -> RGB:
        """The file's samples as the network sees them."""
        return self.encoding.forward(self._colours(samples))

    def changed(self, samples: Rows, rgb: RGB) -> Rows:
        """The file's samples after the network's rows became `rgb`: shape and dtype of `samples`.

        Only the difference to what the network saw goes through the encoding, so samples that it
        did not change, alpha, and float values outside [0, 1] come out as they are.
        """
        difference = self.encoding.backward(rgb) - self.encoding.backward(self.seen(samples))
        colours = 1 if self.grey else 3
        if self.grey:
            difference = difference.mean(axis=2, keepdims=True)
        result = samples.copy()
        if self.dtype.kind == "u":
            values = samples[..., :colours].astype(np.float64) + difference * self.white
            result[..., :colours] = np.clip(np.rint(values), 0, self.white).astype(self.dtype)
        else:
            result[..., :colours] += difference
        return result

    def _colours(self, samples: Rows) -> RGB:
        rgb = samples[..., : 1 if self.grey else 3].astype(np.float32)
        if self.white != 1.0:
            rgb /= np.float32(self.white)
        return np.repeat(rgb, 3, axis=2) if self.grey else rgb


@dataclass
class Photo:
    """An open photo file; close it, or use it in a `with` block."""

    source: SourceFile
    format: Format
    pages: list[Page]
    metadata: Metadata

    @property
    def path(self) -> Path:
        """The file."""
        return self.source.path

    @property
    def height(self) -> int:
        """Rows of the first page, as stored."""
        return self.pages[0].height

    @property
    def width(self) -> int:
        """Columns of the first page, as stored."""
        return self.pages[0].width

    @property
    def pixels(self) -> int:
        """Pixels of all pages."""
        return sum(page.height * page.width for page in self.pages)

    @property
    def notices(self) -> list[str]:
        """What could not be carried over or was converted, in words for the user."""
        return self.metadata.notices

    def rows(self, y0: int, y1: int) -> RGB:
        """Rows of the first page; see `Page.rows`."""
        return self.pages[0].rows(y0, y1)

    def close(self) -> None:
        """Close the file and its decoders."""
        for page in self.pages:
            page.reader.close()
        self.source.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def check_size(path: Path, sizes: list[tuple[int, int]], limit: int | None) -> None:
    """Raise `ImageTooLargeError` if the (height, width) of all pages make too many pixels."""
    pixels = sum(height * width for height, width in sizes)
    if limit is not None and pixels > limit:
        raise ImageTooLargeError(
            f"{shown(path)}: {pixels / 1e6:.0f} megapixels, over the limit of "
            f"{limit / 1e6:.0f}; pass --pixel-limit {int(np.ceil(pixels / 1e6))} if this is no trap"
        )
    if any(height < 1 or width < 1 for height, width in sizes):
        raise ImageReadError(f"{shown(path)}: the image has no pixels; get a whole copy of it")


def open_photo(
    path: str | Path,
    *,
    pixel_limit: int | None = DEFAULT_PIXEL_LIMIT,
    encoding: EncodingName = "auto",
    half_size: bool = False,
) -> Photo:
    """Open a photo of any kind that is read here; the header is read and checked, no pixels yet.

    `pixel_limit` None lifts the limit. `encoding` says how samples stand to light where the file
    doesn't say it right. `half_size` develops RAW files at half the width and height.
    Raises `ImageReadError`, `ImageTooLargeError`, `MissingExtraError`.
    """
    from aindnet.photo.readers import open_source

    source = SourceFile(Path(path))
    try:
        photo = open_source(source, pixel_limit, half_size=half_size)
        for page in photo.pages:
            page.encoding = choose_encoding(encoding, page.icc)
    except BaseException:
        source.close()
        raise
    return photo
