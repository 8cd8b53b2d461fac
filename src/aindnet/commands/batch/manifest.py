"""The record of finished work in an output folder: what `--resume` goes by.

One JSON line per finished photo in a hidden file, appended in one write, so that a killed run
leaves a good record. Runs side by side share the file: a lock on one byte of it, chosen by the
output's name, says who works on what, and the system lets go of it however a run ends.
"""

from __future__ import annotations

import hashlib
import json
import os
import threading
from dataclasses import dataclass
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
    """Empty for a photo that was begun; its output may stand there without a whole record."""
    noise_level: float


class Manifest:
    """The record of one output folder. Raises `ImageWriteError` if the folder can't be written."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.path = root / MANIFEST_NAME
        self._mutex = threading.Lock()
        self._claimed: set[str] = set()
        self._entries: dict[str, Entry] = {}
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
            except OSError:
                return False
            self._claimed.add(name)
            return True

    def release(self, output: Path) -> None:
        """Let go of a claim."""
        import fcntl

        name = self._name(output)
        with self._mutex:
            if name in self._claimed:
                self._claimed.remove(name)
                fcntl.lockf(self._descriptor, fcntl.LOCK_UN, 1, _place(name))

    def find(self, output: Path) -> Entry | None:
        """What is recorded of an output, by this run or any other."""
        with self._mutex:
            self._read_on()
            return self._entries.get(self._name(output))

    def begin(self, output: Path, *, input_sha256: str, settings: str) -> None:
        """Record that the output will be this run's, so that a later one may replace it."""
        self._append(Entry(self._name(output), input_sha256, settings, "", 0.0))

    def finish(self, output: Path, *, input_sha256: str, settings: str, noise_level: float) -> None:
        """Record a finished output."""
        whole = hash_bytes_of(output)
        self._append(Entry(self._name(output), input_sha256, settings, whole, noise_level))

    def _append(self, entry: Entry) -> None:
        # The line break comes first too: it ends a line that a killed run may have cut.
        line = "\n" + json.dumps(entry.__dict__) + "\n"
        try:
            os.write(self._descriptor, line.encode())
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
            if entry is not None:
                self._entries[entry.output] = entry

    def _name(self, output: Path) -> str:
        return os.path.relpath(output, self.root)

    def close(self) -> None:
        """Close the record and let go of all claims."""
        os.close(self._descriptor)


def _parse(line: bytes) -> Entry | None:
    """An entry; None for an empty, cut or foreign line."""
    try:
        entry = Entry(**json.loads(line))
    except (ValueError, TypeError):
        return None
    return entry


def _place(name: str) -> int:
    digest = hashlib.sha256(os.fsencode(name)).digest()
    return int.from_bytes(digest[:8], "big") % _LOCK_SPACE
