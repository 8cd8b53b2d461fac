"""Files and folders that have their final name only when they are whole."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from aindnet.errors import ImageWriteError


def require_writable_file(path: Path) -> None:
    """Raise `ImageWriteError` where no file can be written; nothing is made yet."""
    if os.path.isdir(path):
        raise ImageWriteError(f"{path}: is a folder; name a file in it")
    require_writable_folder(path.parent)


def require_new_file(path: Path) -> None:
    """Raise `ImageWriteError` where there is a file already, or none can be written."""
    if os.path.lexists(path) and not os.path.isdir(path):
        raise ImageWriteError(f"{path}: exists already; remove it, or give another name")
    require_writable_file(path)


def require_writable_folder(path: Path) -> None:
    """Raise `ImageWriteError` where no folder can be made or written to; nothing is made yet."""
    places = (path.absolute(), *path.absolute().parents)
    there = next(each for each in places if os.path.exists(each))
    if not os.path.isdir(there):
        raise ImageWriteError(f"{path}: {there} is a file, not a folder; choose another place")
    if not os.access(there, os.W_OK | os.X_OK):
        raise ImageWriteError(f"{path}: {there} cannot be written to; choose another place")


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """A path to write to, which takes the final name when the block ends without an error."""
    with _partial_file(path) as partial:
        yield partial
        os.replace(partial, path)


def write_new_file(path: Path, write: Callable[[Path], None]) -> Path:
    """Have `write` write a file, which has its name when it is whole, and replaces no other.

    Returns the name: `path`, or where another file has that by then, the first of NAME-2.EXT,
    NAME-3.EXT … that is free.
    """
    with _partial_file(path) as partial:
        try:
            write(partial)
        except ImageWriteError as error:  # which names the partial file
            raise ImageWriteError(f"{path}{str(error).removeprefix(str(partial))}") from error
        name, number = path, 1
        while True:
            try:
                name_new(partial, name)
                return name
            except FileExistsError:
                number += 1
                name = path.with_stem(f"{path.stem}-{number}")


def name_new(partial: Path, path: Path) -> None:
    """Give a file its name; raises `FileExistsError` where another has it.

    It may have its old name beside the new one afterwards.
    """
    try:
        os.link(partial, path)
    except FileExistsError:
        raise
    except OSError:
        # No hard links (FAT, exFAT, some network mounts), each with an error of its own, or
        # something else, which this meets too: an empty file takes the name, which another's cannot
        # be, and is replaced.
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666))
        try:
            os.replace(partial, path)
        except BaseException:
            with suppress(OSError):
                path.unlink()
            raise


@contextmanager
def _partial_file(path: Path) -> Iterator[Path]:
    """A path to write to beside `path`, which is no more when the block ends."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f".partial-{secrets.token_hex(6)}{path.suffix}")
        partial.touch(exist_ok=False)  # with the permissions that any new file has
    except OSError as error:
        raise ImageWriteError(f"{path}: cannot be written ({error.strerror})") from error
    try:
        yield partial
    except OSError as error:
        raise ImageWriteError(f"{path}: cannot be written ({error.strerror or error})") from error
    finally:
        partial.unlink(missing_ok=True)


@contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """A folder to fill, which replaces the final one when the block ends without an error."""
    partial = path.with_name(f".partial-{secrets.token_hex(6)}")
    try:
        partial.mkdir(parents=True)
        yield partial
        shutil.rmtree(path, ignore_errors=True)
        os.replace(partial, path)
    except OSError as error:
        raise ImageWriteError(f"{path}: cannot be written ({error.strerror})") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
