"""What every denoising method is to the rest of the room."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

FloatImage = NDArray[np.float32]


@dataclass(frozen=True)
class Denoised:
    """A method's answer: the image, of the input's shape, on [0, 1]; and its noise map where it
    makes one.
    """

    image: FloatImage
    noise_level: FloatImage | None = None


class Method(Protocol):
    """A denoising method with the words that go into the tables."""

    @property
    def name(self) -> str:
        """The row's name, unique in a run."""

    @property
    def settings(self) -> str:
        """What was set and how it was chosen, in words."""

    @property
    def fingerprint(self) -> str:
        """Changes whenever the method's answer may change; scores are kept under it."""

    def __call__(self, noisy: FloatImage) -> Denoised:
        """Denoise a `(H, W)` or `(H, W, 3)` image on [0, 1], which is left as it is."""


@dataclass(frozen=True)
class Noisy:
    """The input itself: the row that every other is measured against."""

    name: str = "noisy"
    settings: str = "the input, untouched"
    fingerprint: str = "noisy"

    def __call__(self, noisy: FloatImage) -> Denoised:
        """The input."""
        return Denoised(noisy)
