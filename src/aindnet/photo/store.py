"""A page of samples on its way to an encoder: in memory, or on disk when it is large."""

from __future__ import annotations

import mmap
import os
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from aindnet.errors import ImageWriteError
from aindnet.photo.arrays import VIPS_FORMATS, vips_image, vips_interpretation
from aindnet.photo.decode import IN_MEMORY_BYTES, Rows
from aindnet.photo.paths import reason, shown


class PixelStore:
    """Rows written top to bottom, then read as one libvips image.

    The file on disk has no name: it is gone when the process is, however that ends.
    """

    def __init__(
        self, output: Path, height: int, width: int, channels: int, dtype: np.dtype[Any]
    ) -> None:
        self._output = output
        self.shape = (height, width, channels)
        self.dtype = dtype
        self.rows_written = 0
        self._array: Rows | None = None
        self._file: Any = None
        if height * width * channels * dtype.itemsize <= IN_MEMORY_BYTES:
            self._array = np.empty(self.shape, dtype)
        else:
            self._file = tempfile.TemporaryFile(dir=output.parent)  # noqa: SIM115

    @property
    def full(self) -> bool:
        """Whether every row has been written."""
        return self.rows_written == self.shape[0]

    def write(self, rows: Rows) -> None:
        """Append rows, (rows, width, channels)."""
        end = self.rows_written + len(rows)
        if end > self.shape[0] or rows.shape[1:] != self.shape[1:] or rows.dtype != self.dtype:
            raise ValueError(f"rows {rows.shape} {rows.dtype} do not fit in {self.shape}")
        if self._array is not None:
            self._array[self.rows_written : end] = rows
        else:
            try:
                self._file.write(np.ascontiguousarray(rows).data)
                self._file.flush()
            except OSError as error:
                raise ImageWriteError(
                    f"{shown(self._output)}: no room for the work file beside it "
                    f"({reason(error)}); free some space"
                ) from error
        self.rows_written = end

    def image(self) -> Any:
        """All rows as a libvips image; it is good until `close`."""
        import pyvips

        if self._array is not None:
            return vips_image(self._array)
        height, width, channels = self.shape
        mapping = mmap.mmap(self._file.fileno(), 0, access=mmap.ACCESS_READ)
        image = pyvips.Image.new_from_memory(
            mapping, width, height, channels, VIPS_FORMATS[self.dtype.name]
        ).copy(interpretation=vips_interpretation(channels, self.dtype))
        _let_go_of_pages(image, mapping)
        return image

    def close(self) -> None:
        """Let go of the samples."""
        self._array = None
        if self._file is not None:
            self._file.close()
            self._file = None


def _let_go_of_pages(image: Any, mapping: mmap.mmap) -> None:
    """While `image` is read through, what was read of its file does not stay resident.

    The pages remain in the system's cache; a process that holds a whole large file looks as if it
    needed all that memory, and is the first to go when there is none.
    """
    if not hasattr(mmap, "MADV_DONTNEED"):
        return
    let_go_at = 0

    def on_progress(_: Any, progress: Any) -> None:
        nonlocal let_go_at
        if progress.percent >= let_go_at:
            let_go_at = progress.percent + 4
            mapping.madvise(mmap.MADV_DONTNEED)

    image.set_progress(True)
    image.signal_connect("eval", on_progress)


def spool_file(output: Path) -> int:
    """A nameless file beside `output`; the caller closes the descriptor."""
    with tempfile.TemporaryFile(dir=output.parent) as file:
        return os.dup(file.fileno())
