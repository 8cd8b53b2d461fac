"""What file systems make of names: which of them are one, and which are too long."""

from __future__ import annotations

import errno
import os
import tempfile
import unicodedata
from pathlib import Path

from aindnet.errors import ImageWriteError
from aindnet.photo.paths import reason, shown


def folded(path: str) -> str:
    """The same for paths that differ in case or Unicode normalisation alone.

    They are one on exFAT, NTFS and most Macs' disks.

    >>> folded("c2/IMG.JPG") == folded("c2/img.jpg")
    True
    """
    return unicodedata.normalize("NFD", unicodedata.normalize("NFD", path).casefold())


def tells_apart(folder: Path) -> bool:
    """Whether names whose `folded` is the same can be files of their own in a folder, which need
    not be there yet.

    Raises `ImageWriteError` where that cannot be tried.
    """
    there = _nearest(folder)
    try:
        with tempfile.NamedTemporaryFile(prefix=".aindnet-é-", dir=there) as file:
            name = os.path.basename(file.name)
            # Some disks fold the letters of ASCII alone.
            plain = name.replace("aindnet", "AINDNET")
            others = plain, name.upper(), unicodedata.normalize("NFD", name)
            return not any(os.path.lexists(there / other) for other in others)
    except OSError as error:
        raise ImageWriteError(
            f"{shown(there)}: cannot be written ({reason(error)}); choose another --output"
        ) from error


def check_length(path: Path) -> None:
    """Raise `ImageWriteError` for a name that is too long where it is to be."""
    try:
        (_nearest(path.parent) / path.name).lstat()
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            raise ImageWriteError(
                f"{shown(path)}: {reason(error)}; choose another --output, or rename the photo"
            ) from error


def _nearest(folder: Path) -> Path:
    """The folder, or the one above it that it is to be made in."""
    places = (folder.absolute(), *folder.absolute().parents)
    return next(each for each in places if os.path.isdir(each))
