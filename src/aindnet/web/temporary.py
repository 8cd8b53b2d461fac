"""The server's folder of temporary files."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

_PREFIX = "aindnet-web-"
_LOCK = "server.lock"


@contextlib.contextmanager
def temporary_folder() -> Iterator[Path]:
    """A folder that this user alone can read, gone at the end.

    Those of servers that were killed go first: their locks are free.
    """
    import fcntl

    _remove_left()
    with tempfile.TemporaryDirectory(prefix=_PREFIX) as name:
        folder = Path(name)
        with (folder / f".{_LOCK}").open("wb") as lock:
            with contextlib.suppress(OSError):  # no locks on this file system: it is left alone
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                # Under its name only now: another server that starts would take a free one's
                # folder for a dead server's.
                os.rename(lock.name, folder / _LOCK)
            yield folder


def _remove_left() -> None:
    import fcntl

    for lock in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*/{_LOCK}"):
        with contextlib.suppress(OSError):  # it is at work, or another server removes it
            if lock.parent.lstat().st_uid != os.geteuid():
                continue
            descriptor = os.open(lock, os.O_RDWR | os.O_NOFOLLOW)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(lock.parent)
            finally:
                os.close(descriptor)
