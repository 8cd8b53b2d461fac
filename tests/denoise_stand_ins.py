"""A stand-in for `restore.Denoiser`: cheap, local, and known in closed form."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

NOISE_LEVEL = 0.04


@dataclass
class Band:
    y: int
    rgb: np.ndarray
    noise_level: np.ndarray


class StandInDenoiser:
    """Draws every sample a little towards mid-grey; strength 0 gives the input back exactly."""

    model_name = "stand-in"
    model_hash = "0" * 64
    backend = "torch"
    device = "cpu"
    precision = "fp32"

    def __init__(self, change: float = 0.1, rows: int = 50, seconds_per_band: float = 0.0) -> None:
        self._change = change
        self._rows = rows
        self._seconds = seconds_per_band
        self.cameras: list[Any] = []
        self.seen = 0
        """Pictures that it was given."""

    def load_camera(self, path: Any) -> None:
        self.cameras.append(path)

    def bands(
        self,
        source: Any,
        *,
        strength: float = 1.0,
        chroma_strength: float | None = None,
        ensemble: bool = False,
    ) -> Iterator[Band]:
        self.seen += 1
        for y in range(0, source.height, self._rows):
            noisy = source.rows(y, min(y + self._rows, source.height))
            assert noisy.dtype == np.float32
            if self._seconds:
                time.sleep(self._seconds)
            clean = noisy + np.float32(strength * self._change) * (np.float32(0.5) - noisy)
            yield Band(y, clean, np.full_like(noisy, NOISE_LEVEL))
