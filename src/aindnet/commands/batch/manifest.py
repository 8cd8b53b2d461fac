"""The record of work in an output folder: what `--resume` goes by.

One JSON line in a hidden file per file that is about to have its name, and one per finished photo,
each appended in one write, so that a killed run leaves a good record. A file is an earlier run's,
and may be replaced, only where its content is what was recorded. Runs side by side share the
record: a lock on one byte of it, chosen by the output's name, says who works on what, and the
system lets go of it however a run ends.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import sys
import threading
from collections import defaultdict
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from aindnet.errors import ImageWriteError
from aindnet.photo.paths import reason, shown

MANIFEST_NAME = ".aindnet-manifest.jsonl"

_LOCK_SPACE = 1 << 62


def hash_bytes_of(path: Path) -> str:
    """SHA-256 of a file's content."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def hash_settings(settings: dict[str, Any]) -> str:
    """SHA-256 of everything but the input that decides a result."""
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True)
class Entry:
    """One finished photo."""

    output: str
    input_sha256: str
    settings: str
    output_sha256: str
    noise_level: float
    pages: int = 1
    """Each has pictures of its own beside the output; 1 in records that do not say."""

    def is_whole(self) -> bool:
        """Whether every field is of its kind."""
        texts = (self.output, self.input_sha256, self.settings, self.output_sha256)
        numbers = isinstance(self.noise_level, (int, float)) and isinstance(self.pages, int)
        return numbers and all(isinstance(text, str) for text in texts)


@dataclass(frozen=True)
class Made:
    """A file, the output or a picture beside it, that was about to have its name."""

    file: str
    sha256: str
    input: str = ""
    """The photo that it is of; empty in records that do not say."""
    input_sha256: str = ""

    def is_whole(self) -> bool:
        """Whether every field is of its kind."""
        texts = (self.file, self.sha256, self.input, self.input_sha256)
        return all(isinstance(text, str) for text in texts)


class Manifest:
    """The record of one output folder. Raises `ImageWriteError` if the folder can't be written."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.path = root / MANIFEST_NAME
        self._mutex = threading.Lock()
        self._claimed: set[str] = set()
        self._entries: dict[str, Entry] = {}
        self._made: defaultdict[str, dict[str, Made]] = defaultdict(dict)
        self._without_locks = False
        self._read_to = 0
        try:
            root.mkdir(parents=True, exist_ok=True)
            self._descriptor = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o666)
        except OSError as error:
            raise ImageWriteError(
                f"{shown(root)}: cannot be written ({reason(error)}); choose another --output"
            ) from error

    def claim(self, output: Path) -> bool:
        """Take an output for this run; False while another process works on it."""
        import fcntl

        name = self._name(output)
        with self._mutex:
            if name in self._claimed:
                return False
            try:
                fcntl.lockf(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, _place(name))
            except OSError as error:
                if error.errno in (errno.EACCES, errno.EAGAIN):
                    return False
                self._go_on_without_locks(error)
            self._claimed.add(name)
            return True

    def _go_on_without_locks(self, error: OSError) -> None:
        # Two runs would do the same work twice; neither replaces what is not its own.
        if not self._without_locks:
            self._without_locks = True
            print(
                f"aindnet: {shown(self.path)}: cannot be locked ({reason(error)}); "
                "let no other run work on this folder meanwhile",
                file=sys.stderr,
            )

    def release(self, output: Path) -> None:
        """Let go of a claim."""
        import fcntl

        name = self._name(output)
        with self._mutex:
            if name in self._claimed:
                self._claimed.remove(name)
                with contextlib.suppress(OSError):  # claimed where there are no locks
                    fcntl.lockf(self._descriptor, fcntl.LOCK_UN, 1, _place(name))

    def find(self, output: Path) -> Entry | None:
        """What is recorded of a finished output, by this run or any other."""
        with self._mutex:
            self._read_on()
            return self._entries.get(self._name(output))

    def knows(self, file: Path) -> bool:
        """Whether this run or any other made a file of this name, or was about to."""
        with self._mutex:
            self._read_on()
            return self._name(file) in self._made

    def made(self, file: Path) -> Made | None:
        """What is recorded of a file that is just what this run or any other put there under its
        name; None of any other.
        """
        if not self.knows(file) or not os.path.isfile(file):
            return None
        content = hash_bytes_of(file)
        with self._mutex:
            return self._made[self._name(file)].get(content)

    def other_record(self, file: Path) -> Path | None:
        """The nearest record in the folders above a file that is not this: of a run over more
        folders, or fewer.
        """
        own = os.path.abspath(self.path)
        records = (folder / MANIFEST_NAME for folder in Path(os.path.abspath(file)).parents)
        others = (path for path in records if os.fspath(path) != own and os.path.isfile(path))
        return next(others, None)

    def expect(self, file: Path, sha256: str, input_: str, input_sha256: str) -> None:
        """Record what a file will be, before it has its name, so that a later run knows it."""
        self._append(Made(self._name(file), sha256, input_, input_sha256))

    def finish(
        self,
        output: Path,
        *,
        input_sha256: str,
        settings: str,
        output_sha256: str,
        noise_level: float,
        pages: int,
    ) -> None:
        """Record a finished output."""
        name = self._name(output)
        self._append(Entry(name, input_sha256, settings, output_sha256, noise_level, pages))

    def _append(self, entry: Entry | Made) -> None:
        # The line break comes first too: it ends a line that a killed run may have cut.
        line = ("\n" + json.dumps(asdict(entry)) + "\n").encode()
        try:
            if os.write(self._descriptor, line) < len(line):  # a disk takes what it has room for
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError as error:
            raise ImageWriteError(
                f"{shown(self.path)}: cannot be written ({reason(error)}); free some space"
            ) from error

    def _read_on(self) -> None:
        size = os.fstat(self._descriptor).st_size
        data = b""
        while self._read_to + len(data) < size:
            part = os.pread(self._descriptor, 1 << 20, self._read_to + len(data))
            if not part:
                break
            data += part
        whole = data[: data.rfind(b"\n") + 1]
        self._read_to += len(whole)
        for line in whole.splitlines():
            entry = _parse(line)
            if isinstance(entry, Made):
                self._made[entry.file][entry.sha256] = entry
            elif entry is not None:
                self._entries[entry.output] = entry
                content = entry.output_sha256
                self._made[entry.output].setdefault(content, Made(entry.output, content))

    def _name(self, output: Path) -> str:
        return os.path.relpath(output, self.root)

    def close(self) -> None:
        """Close the record and let go of all claims."""
        os.close(self._descriptor)


def _parse(line: bytes) -> Entry | Made | None:
    """What a line records; None for an empty, cut or foreign one."""
    try:
        values = json.loads(line)
        kind = Made if "file" in values else Entry
        # A later version may record more.
        known = {each.name: values[each.name] for each in fields(kind) if each.name in values}
        entry = kind(**known)
    except (ValueError, TypeError, RecursionError):
        return None
    return entry if entry.is_whole() else None


def _place(name: str) -> int:
    digest = hashlib.sha256(os.fsencode(name)).digest()
    return int.from_bytes(digest[:8], "big") % _LOCK_SPACE
