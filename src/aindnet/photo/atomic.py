"""An output file that has its name only when it is whole, whatever happens on the way.

Where the file system can (Linux), the file has no name at all until then, so that not even a
killed process leaves a piece behind; elsewhere it has a hidden temporary name beside the output.
Where there are no hard links either (FAT, exFAT), an empty file has the name for the moment of
renaming.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from pathlib import Path
from types import TracebackType
from typing import Self

from aindnet.errors import ImageWriteError
from aindnet.photo.paths import reason, shown
from aindnet.whole_files import name_new

PARTIAL_SUFFIX = ".aindnet-part"

_tell: ContextVar[Callable[[Path, str], None] | None] = ContextVar("_tell", default=None)


@contextlib.contextmanager
def before_naming(tell: Callable[[Path, str], None]) -> Iterator[None]:
    """Within this, `tell` hears of each file of this thread right before it has its name.

    It is given the path and the content's SHA-256; what it raises keeps the file from its name.
    """
    before = _tell.set(tell)
    try:
        yield
    finally:
        _tell.reset(before)


class AtomicFile:
    """A file under construction at `descriptor`; `commit` gives it its name.

    Leaving the `with` block without `commit` leaves nothing. With `overwrite` off, an existing
    file is never replaced. Raises `ImageWriteError` for what cannot be written.
    """

    def __init__(self, path: Path, *, overwrite: bool = False) -> None:
        self.path = path
        self._overwrite = overwrite
        self._temporary: Path | None = None
        self.descriptor = -1
        try:
            self.descriptor = self._open()
        except (OSError, ValueError) as error:
            raise _write_error(path, error) from error

    def _open(self) -> int:
        if hasattr(os, "O_TMPFILE") and os.path.isdir("/proc/self/fd"):
            with contextlib.suppress(OSError):  # a file system without nameless files
                return os.open(self.path.parent, os.O_TMPFILE | os.O_RDWR, 0o666)
        self._temporary = _hidden_name(self.path)
        descriptor = os.open(self._temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666)
        _lock(descriptor)
        return descriptor

    @property
    def name(self) -> str:
        """A path by which a library can open the file under construction."""
        if self._temporary is not None:
            return os.fspath(self._temporary)
        return f"/proc/self/fd/{self.descriptor}"

    def write(self, data: bytes) -> None:
        """Append `data`."""
        view = memoryview(data)
        try:
            while view:
                view = view[os.write(self.descriptor, view) :]
        except OSError as error:
            raise _write_error(self.path, error) from error

    def commit(self) -> None:
        """Flush to disk and give the file its name, in one step that either happens or not."""
        try:
            os.fsync(self.descriptor)
            if (tell := _tell.get()) is not None:
                tell(self.path, self._sha256())
            if self._temporary is None:
                self._link()
            elif self._overwrite:
                os.replace(self._temporary, self.path)
            else:
                name_new(self._temporary, self.path)
                self._temporary.unlink(missing_ok=True)
            self._temporary = None
        except OSError as error:
            raise _write_error(self.path, error) from error
        os.close(self.descriptor)
        self.descriptor = -1

    def _sha256(self) -> str:
        with open(os.dup(self.descriptor), "rb") as file:
            file.seek(0)
            return hashlib.file_digest(file, "sha256").hexdigest()

    def _link(self) -> None:
        folder = os.open(self.path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            # Python follows the /proc link (linkat's AT_SYMLINK_FOLLOW) only with a dir_fd.
            def link(target: str) -> None:
                os.link(self.name, target, dst_dir_fd=folder, follow_symlinks=True)

            try:
                link(self.path.name)
            except FileExistsError:
                if not self._overwrite:
                    raise
                hidden = _hidden_name(self.path).name
                _lock(self.descriptor)  # once it has a name, another run may look for leftovers
                link(hidden)
                try:
                    os.replace(hidden, self.path.name, src_dir_fd=folder, dst_dir_fd=folder)
                except BaseException:
                    with contextlib.suppress(OSError):
                        os.unlink(hidden, dir_fd=folder)
                    raise
        finally:
            os.close(folder)

    def discard(self) -> None:
        """Leave nothing."""
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1
        if self._temporary is not None:
            self._temporary.unlink(missing_ok=True)
            self._temporary = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.discard()


def check_free(path: Path) -> None:
    """Raise `ImageWriteError` if something stands at `path`."""
    if os.path.lexists(path):
        raise _write_error(path, FileExistsError())


def make_folder(folder: Path) -> None:
    """Make a folder and those above it. Raises `ImageWriteError`."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (OSError, ValueError) as error:
        why = reason(error) if isinstance(error, OSError) else "impossible name"
        raise ImageWriteError(
            f"{shown(folder)}: the folder cannot be made ({why}); choose another --output"
        ) from error


def remove_leftovers(folder: Path) -> None:
    """Remove temporary files of killed runs; those of runs at work are locked and stay."""
    for path in folder.glob(f".*{PARTIAL_SUFFIX}") if os.path.isdir(folder) else ():
        with contextlib.suppress(OSError):  # another run is as quick, or the folder is read-only
            descriptor = os.open(path, os.O_RDWR)
            try:
                if _lock(descriptor):
                    path.unlink()
            finally:
                os.close(descriptor)


def _lock(descriptor: int) -> bool:
    """Lock a file until its descriptor is closed, however that comes; False if another has it."""
    import fcntl

    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _hidden_name(path: Path) -> Path:
    # Not built on the output's own name: that may be as long as a name can be.
    return path.with_name(f".{os.getpid()}-{secrets.token_hex(6)}{PARTIAL_SUFFIX}")


def _write_error(path: Path, error: OSError | ValueError) -> ImageWriteError:
    if isinstance(error, FileExistsError):
        return ImageWriteError(f"{shown(path)}: exists already; pass --overwrite to replace it")
    why = reason(error) if isinstance(error, OSError) else "impossible file name"
    return ImageWriteError(
        f"{shown(path)}: cannot be written ({why}); check the folder, its permissions and space"
    )
