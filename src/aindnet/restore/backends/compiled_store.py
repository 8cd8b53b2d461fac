"""Graphs that OpenVINO has compiled, kept on disk: tracing and compiling take longer than a photo.

A file is used only for what it was made of: weights and configuration, this very code, the
runtimes' versions, the processor and how it is to compute; the tiles' shape and statistics. What
cannot be read or written is compiled as if there were no files. Code that is changed while it runs
needs a folder of its own (`$XDG_CACHE_HOME`).
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
from pathlib import Path
from typing import Any

from aindnet import __version__
from aindnet.restore.backends.measured import RUNTIMES, installed_version
from aindnet.restore.backends.tile_network import TileNetwork
from aindnet.restore.code import NETWORK, code_digest

MOST_BYTES = 256 * 2**20
"""Of all files together; those that were not used for longest go first. One is 15 to 60 MB."""
SUFFIX = ".compiled"
DIGEST_BYTES = 32
UNUSABLE = (OSError, RuntimeError)
"""Of files and folders, OpenVINO's, and of a user without a home: the photo needs none of it."""


def cache_folder() -> Path:
    """The user's folder of compiled graphs."""
    named = Path(os.environ.get("XDG_CACHE_HOME", ""))
    folder = named if named.is_absolute() else Path.home() / ".cache"  # as its standard wants it
    return folder / "aindnet" / "openvino"


CODE = code_digest(NETWORK, Path(__file__).parent)
"""A digest of the code that graphs are made by, as it was imported."""


class CompiledStore:
    """Compiled graphs of one network on this machine."""

    def __init__(self, core: Any, network: TileNetwork, options: dict[str, Any]) -> None:
        self._core = core
        self._options = options
        self._identity = _identity(core, network, options)

    def load(self, *shape: object) -> Any | None:
        """The compiled graph of a kind and shape; None where there is none that is whole."""
        try:
            path = self._path(shape)
            content = path.read_bytes()
        except UNUSABLE:
            return None
        with contextlib.suppress(OSError):  # a folder to read from alone will do
            os.utime(path)  # used: kept for longer
        digest, blob = content[:DIGEST_BYTES], content[DIGEST_BYTES:]
        if hashlib.sha256(blob).digest() != digest:
            return None
        try:
            return self._core.import_model(blob, "CPU", self._options)
        except RuntimeError:  # a graph that OpenVINO does not take any more
            return None

    def keep(self, compiled: Any, *shape: object) -> None:
        """Write a compiled graph, and remove what is too much."""
        try:
            path = self._path(shape)
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            # Of the kind that is counted and swept, should this process end before it is renamed.
            partial = path.with_name(f"{secrets.token_hex(32)}{SUFFIX}")
            try:
                blob = compiled.export_model().getvalue()
                partial.write_bytes(hashlib.sha256(blob).digest() + blob)
                partial.replace(path)
            finally:
                partial.unlink(missing_ok=True)
            _remove_unused(path.parent)
        except UNUSABLE:
            return

    def _path(self, shape: tuple[object, ...]) -> Path:
        name = hashlib.sha256(f"{self._identity} {shape}".encode()).hexdigest()
        return cache_folder() / f"{name}{SUFFIX}"


def _identity(core: Any, network: TileNetwork, options: dict[str, Any]) -> str:
    """Everything but the shape that decides what is compiled."""
    digest = hashlib.sha256()
    for name, value in sorted(network.state_dict().items()):
        digest.update(f"{name} {tuple(value.shape)} {value.dtype} ".encode())
        digest.update(value.detach().cpu().contiguous().numpy().tobytes())
    for word in (
        network.config,
        sorted(options.items()),
        __version__,
        CODE,
        *map(installed_version, RUNTIMES),
        core.get_property("CPU", "FULL_DEVICE_NAME"),
        core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"),
    ):
        digest.update(f"{word} ".encode())
    return digest.hexdigest()


def _remove_unused(folder: Path) -> None:
    """Oldest first, until the rest is within `MOST_BYTES`."""
    files = [(path, path.stat()) for path in folder.glob(f"*{SUFFIX}")]
    total = sum(about.st_size for _, about in files)
    for path, about in sorted(files, key=lambda each: each[1].st_mtime):
        if total <= MOST_BYTES:
            return
        path.unlink(missing_ok=True)
        total -= about.st_size
