"""Any program that reads a PNG and writes a PNG, as a method of the tables."""

from __future__ import annotations

import shlex
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np

from aindnet.errors import ImageReadError
from aindnet.evaluation.methods.method import (
    Denoised,
    FloatImage,
    PeerFailedError,
    failing_by_name,
)
from aindnet.evaluation.metrics import to_uint8, to_unit
from aindnet.evaluation.provenance import without_folders
from aindnet.photo import read_image, write_image
from aindnet.restore.code import code_digest

CODE = code_digest(Path(__file__))
"""Of what a program is given and taken from, as it was imported."""
STARTER = """
import os, resource, subprocess, sys
code = subprocess.call(sys.argv[2:])
peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
os.write(int(sys.argv[1]), str(peak // 1024 if sys.platform == "darwin" else peak).encode())
sys.exit(code if code >= 0 else 128 - code)
"""
"""A small process between: what a program is said to have held at most starts at what its parent
held when it was started, which for this one may be much."""
KIBIBYTES_A_MEGABYTE = 1024


@dataclass
class Executable:
    """A command with `{input}` and `{output}`, each replaced by the path of an 8-bit PNG.

    The command is split as a shell would split it and run without one, with nothing on its
    standard input. Its start counts in its time, and its memory is the largest resident set of the
    process itself, or that of its starter, some 10 MB, where that is larger.
    """

    command: str
    peak_memory_mb: float | None = None

    def __post_init__(self) -> None:
        try:
            self._parts = shlex.split(self.command)
        except ValueError as error:
            raise PeerFailedError(f"--peer '{self.command}': {error}; mend its quotes") from error
        missing = [each for each in ("{input}", "{output}") if each not in self.command]
        if missing or not self._parts:
            raise PeerFailedError(f"--peer '{self.command}': must hold {' and '.join(missing)}")

    @property
    def name(self) -> str:
        """The program's file name."""
        return Path(self._parts[0]).name

    @property
    def settings(self) -> str:
        """The command, without the folders of its files."""
        return without_folders(self.command)

    @property
    def fingerprint(self) -> str:
        """The command as given, and the code: a program that changed under the same command is not
        noticed.
        """
        return f"command|{self.command}|{CODE}"

    @failing_by_name
    def __call__(self, noisy: FloatImage) -> Denoised:
        """Write the input, run the program, read its output."""
        with tempfile.TemporaryDirectory(prefix="aindnet-peer-") as folder:
            source, target = Path(folder, "input.png"), Path(folder, "output.png")
            write_image(source, to_uint8(noisy))
            # Not `format`: other braces are the program's own.
            self._run(
                [
                    part.replace("{input}", str(source)).replace("{output}", str(target))
                    for part in self._parts
                ]
            )
            try:
                restored = to_unit(read_image(target)).astype(np.float32)
            except ImageReadError as error:
                raise PeerFailedError(
                    f"{self.name}: wrote no readable image to {{output}}"
                ) from error
        if noisy.ndim == 2 and restored.ndim == 3:
            restored = restored.mean(axis=2)
        if restored.shape != noisy.shape:
            raise PeerFailedError(
                f"{self.name}: wrote {restored.shape} for an input of {noisy.shape}"
            )
        return Denoised(restored)

    def _run(self, arguments: list[str]) -> None:
        if shutil.which(arguments[0]) is None:
            raise PeerFailedError(f"{arguments[0]}: cannot be run (no such program)")
        with tempfile.TemporaryFile() as log, tempfile.TemporaryFile() as memory:
            try:
                code = _call(arguments, log, memory)
            except OSError as error:
                raise PeerFailedError(
                    f"{arguments[0]}: cannot be run ({error.strerror})"
                ) from error
            if code != 0:
                log.seek(0)
                lines = log.read().decode(errors="replace").strip().splitlines()
                raise PeerFailedError(
                    f"{self.name}: exit code {code}; {lines[-1] if lines else 'no message'}"
                )
            memory.seek(0)
            if told := memory.read():
                self.peak_memory_mb = int(told) / KIBIBYTES_A_MEGABYTE


def _call(arguments: list[str], log: IO[bytes], memory: IO[bytes]) -> int:
    """Run to the end; the exit code. The peak memory is written to `memory` where that is told."""
    if sys.platform == "win32":
        return subprocess.call(
            arguments, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT
        )
    descriptor = memory.fileno()
    return subprocess.call(
        [sys.executable, "-I", "-S", "-c", STARTER, str(descriptor), *arguments],
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=subprocess.STDOUT,
        pass_fds=(descriptor,),
    )
