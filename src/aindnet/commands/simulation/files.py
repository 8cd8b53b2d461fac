"""The files that a photo becomes in a folder of pairs or bursts, and what may be in their place."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from itertools import count, takewhile
from pathlib import Path

from aindnet.errors import ImageWriteError

SIDES = {"noisy": ".png", "clean": ".png", "noise-level": ".tif"}
"""Folders of an output, and what their files are."""


def identity_of(path: Path) -> tuple[int, int] | None:
    """What two names of one file have in common; None where there is no file."""
    try:
        stat = path.stat()
    except (OSError, ValueError):
        return None
    return stat.st_dev, stat.st_ino


@dataclass(frozen=True)
class SimulatedFiles:
    """What a photo becomes."""

    output: Path
    name: Path
    frames: int

    def of(self, side: str) -> Path:
        """The file of one side; of a burst's noisy side, its folder."""
        if side == "noisy" and self.frames > 1:
            return self._burst
        return (self.output / side / self.name).with_suffix(SIDES[side])

    @property
    def _burst(self) -> Path:
        """The folder of a burst's frames."""
        return (self.output / "noisy" / self.name).with_suffix("")

    def noisy(self) -> list[Path]:
        """The noisy file, or those of the burst."""
        if self.frames == 1:
            return [self.of("noisy")]
        return [self._burst / f"{frame:03}.png" for frame in range(self.frames)]

    def check(self, inputs: set[tuple[int, int]], *, overwrite: bool) -> None:
        """Raise `ImageWriteError` where a file is an input, or exists and is to be kept."""
        for file in (*self.noisy(), self.of("clean"), self.of("noise-level")):
            if identity_of(file) in inputs:
                raise ImageWriteError(
                    f"{file}: is an input, and inputs are never changed; choose another --output"
                )
            if not overwrite and os.path.lexists(file):
                raise ImageWriteError(
                    f"{file}: exists already; pass --overwrite, or choose another --output"
                )
        earlier = self.earlier()
        for file in self.further():
            if identity_of(file) in inputs:
                raise ImageWriteError(
                    f"{file}: is an input, and would be a frame of the burst; choose another "
                    "--output"
                )
            if not overwrite:
                raise ImageWriteError(
                    f"{file}: is there already, and would be a frame of the burst; pass "
                    "--overwrite, or choose another --output"
                )
            if file not in earlier:
                raise ImageWriteError(
                    f"{file}: is no frame of an earlier burst, and would be one of this; move it, "
                    "or choose another --output"
                )
        for file in self.of_other_kind():
            if identity_of(file) in inputs:
                raise ImageWriteError(
                    f"{file}: is an input, and would be of a run with other --frames; choose "
                    "another --output"
                )

    def further(self) -> list[Path]:
        """What is in a burst's folder that is named like a frame and is none of its own."""
        folder = self._burst
        if self.frames == 1 or not os.path.isdir(folder):
            return []
        numbered = [file for file in folder.glob("[0-9][0-9][0-9]*.png") if file.stem.isdigit()]
        return sorted(set(numbered) - set(self.noisy()))

    def earlier(self) -> set[Path]:
        """The frames that a burst left: by their numbers, from 0 on without a gap."""
        frames = (self._burst / f"{frame:03}.png" for frame in count())
        return set(takewhile(os.path.lexists, frames))

    def of_other_kind(self) -> list[Path]:
        """Frames that an earlier run made of the photo where this makes one noisy file, or the
        noisy file where this makes frames.
        """
        if not os.path.lexists(self.of("clean")):
            return []  # no earlier run made any of it
        if self.frames == 1:
            return sorted(file for file in self.earlier() if not self._is_pair(file))
        single = replace(self, frames=1).of("noisy")
        return [single] if self._is_pair(single) else []

    def _is_pair(self, noisy: Path) -> bool:
        """Whether a noisy file is a whole photo's, which a clean one stands for; else a frame."""
        clean = self.output / "clean" / noisy.relative_to(self.output / "noisy")
        return os.path.lexists(noisy) and os.path.lexists(clean)
