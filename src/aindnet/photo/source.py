"""The file that is read: opened once, so that renaming or deleting it meanwhile does no harm."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from types import TracebackType
from typing import Self

from aindnet.errors import ImageReadError
from aindnet.photo.formats import HEADER_BYTES, Format, sniff
from aindnet.photo.paths import reason, shown


class SourceFile:
    """An open image file of a known kind.

    Raises `ImageReadError` for a path that is missing, no regular file, empty, or no image.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            # Without O_NONBLOCK a pipe that happens to be called x.png blocks for ever.
            self._descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
        except (OSError, ValueError) as error:
            why = reason(error) if isinstance(error, OSError) else "impossible file name"
            raise ImageReadError(
                f"{shown(path)}: cannot be opened ({why}); check the path and its permissions"
            ) from error
        try:
            self._opened = os.fstat(self._descriptor)
            if not stat.S_ISREG(self._opened.st_mode):
                raise ImageReadError(f"{shown(path)}: not a file; give an image file or a folder")
            self.format: Format = sniff(self.read_at(0, HEADER_BYTES), path)
        except BaseException:
            os.close(self._descriptor)
            raise

    @property
    def size(self) -> int:
        """Bytes in the file when it was opened."""
        return self._opened.st_size

    @property
    def stat(self) -> os.stat_result:
        """What the file was when it was opened."""
        return self._opened

    def read_at(self, offset: int, length: int) -> bytes:
        """Up to `length` bytes from `offset`; fewer at the end of the file."""
        parts = []
        try:
            while length > 0:
                part = os.pread(self._descriptor, min(length, 1 << 24), offset)
                if not part:
                    break
                parts.append(part)
                offset += len(part)
                length -= len(part)
        except OSError as error:
            raise ImageReadError(
                f"{shown(self.path)}: reading failed ({reason(error)}); check the disk"
            ) from error
        return b"".join(parts)

    def read_all(self) -> bytes:
        """The whole file."""
        return self.read_at(0, self.size)

    def duplicate(self) -> int:
        """Another descriptor of the file with a position of its own; the caller closes it."""
        try:
            return os.open(f"/proc/self/fd/{self._descriptor}", os.O_RDONLY)
        except OSError:  # no /proc: systems other than Linux
            try:
                return os.open(self.path, os.O_RDONLY)
            except OSError as error:
                raise ImageReadError(
                    f"{shown(self.path)}: vanished while being read; try again"
                ) from error

    def check_unchanged(self) -> None:
        """Raise `ImageReadError` if the file's content was written to since it was opened."""
        now = os.fstat(self._descriptor)
        then = self._opened
        if (now.st_size, now.st_mtime_ns) != (then.st_size, then.st_mtime_ns):
            raise ImageReadError(
                f"{shown(self.path)}: changed while it was being read; run again when it is whole"
            )

    def close(self) -> None:
        """Close the file."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
