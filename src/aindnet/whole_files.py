"""Files and folders that have their final name only when they are whole."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
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
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f".partial-{secrets.token_hex(6)}{path.suffix}")
        partial.touch(exist_ok=False)  # with the permissions that any new file has
    except OSError as error:
        raise ImageWriteError(f"{path}: cannot be written ({error.strerror})") from error
    try:
        yield partial
        os.replace(partial, path)
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
