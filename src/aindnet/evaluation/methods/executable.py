"""Any program that reads a PNG and writes a PNG, as a method of the tables."""

from __future__ import annotations

import os
import shlex
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

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


@dataclass
class Executable:
    """A command with `{input}` and `{output}`, each replaced by the path of an 8-bit PNG.

    The command is split as a shell would split it and run without one. Its start counts in its
    time, and its memory is the largest resident set of the process itself.
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
        """The command as given: a program that changed under the same command is not noticed."""
        return f"command|{self.command}"

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
        with tempfile.TemporaryFile() as log:
            try:
                process = subprocess.Popen(arguments, stdout=log, stderr=subprocess.STDOUT)
            except OSError as error:
                raise PeerFailedError(
                    f"{arguments[0]}: cannot be run ({error.strerror})"
                ) from error
            code = self._wait(process)
            if code != 0:
                log.seek(0)
                lines = log.read().decode(errors="replace").strip().splitlines()
                raise PeerFailedError(
                    f"{self.name}: exit code {code}; {lines[-1] if lines else 'no message'}"
                )

    def _wait(self, process: subprocess.Popen[bytes]) -> int:
        if not hasattr(os, "wait4"):
            return process.wait()
        # wait4 is the one way to learn this child's own peak memory rather than the largest of all
        # children.
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        self.peak_memory_mb = usage.ru_maxrss / 1024
        return process.returncode
