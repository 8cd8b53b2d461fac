"""The encoding that the network works in, and the way there and back.

The network has learnt on photos as screens show them: sRGB's tone curve. A file whose own curve
is close to that (sRGB, Display P3, Adobe RGB, L*) is worked on as it is, in its own primaries, so
that nothing of a wide gamut is lost. A file that is linear, or far from sRGB's curve, is taken
through sRGB's curve and back; only the change that the network made makes the way back, so what
it does not change comes out bit for bit.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from aindnet.photo.icc import tone_curve

Samples = npt.NDArray[np.float32]
EncodingName = Literal["auto", "srgb", "linear"]

# Adobe RGB's 2.2 is 0.035 away at its worst (in the blacks), ProPhoto's 1.8 is 0.075.
_CLOSE = 0.05


@dataclass(frozen=True)
class Encoding:
    """A tone curve: file samples with white at 1 ↔ the sRGB-like samples that the network sees."""

    name: str
    forward: Callable[[Samples], Samples]
    backward: Callable[[Samples], Samples]

    @property
    def identity(self) -> bool:
        """Whether the file's own samples are what the network sees."""
        return self is SRGB

    @property
    def linear(self) -> bool:
        """Whether the file's own samples are light."""
        return self is LINEAR


def srgb_from_linear(light: Samples) -> Samples:
    """sRGB's curve (IEC 61966-2-1), odd about 0 and going on above 1."""
    size = np.abs(light)
    curve = 1.055 * np.power(np.maximum(size, 0.0031308), 1 / 2.4) - 0.055
    encoded = np.copysign(np.where(size <= 0.0031308, 12.92 * size, curve), light)
    return encoded.astype(np.float32)


def linear_from_srgb(encoded: Samples) -> Samples:
    """The inverse of `srgb_from_linear`."""
    size = np.abs(encoded)
    curve = np.power((np.maximum(size, 0.04045) + 0.055) / 1.055, 2.4)
    light = np.copysign(np.where(size <= 0.04045, size / 12.92, curve), encoded)
    return light.astype(np.float32)


def _same(samples: Samples) -> Samples:
    return samples


SRGB = Encoding("sRGB-like", _same, _same)
LINEAR = Encoding("linear", srgb_from_linear, linear_from_srgb)


def encoding_of_curve(light: npt.NDArray[np.float64], name: str) -> Encoding:
    """The encoding of a file whose samples, at even steps from 0 to 1, stand for `light`."""
    steps = np.linspace(0.0, 1.0, len(light))
    if np.abs(light - steps).max() < 1e-3:
        return LINEAR
    light = np.clip(light, 0.0, 1.0)
    seen = srgb_from_linear(light.astype(np.float32)).astype(np.float64)
    # A curve that falls can't be taken back: such a file is worked on as it is.
    if not (np.diff(light) >= 0).all() or np.abs(seen - steps).max() <= _CLOSE:
        return SRGB
    # Tables are rounded to 16 bit, so their darkest entries are one and the same.
    rises = np.diff(np.maximum.accumulate(seen), prepend=-1.0) > 0
    steps, seen = steps[rises], seen[rises]
    ends = abs(seen[0]) < 1e-6 and abs(seen[-1] - 1.0) < 1e-3

    def through(
        samples: Samples, old: npt.NDArray[np.float64], new: npt.NDArray[np.float64]
    ) -> Samples:
        inside = np.interp(samples, old, new)
        outside = (samples < 0.0) | (samples > 1.0)
        return np.where(outside, samples, inside).astype(np.float32)

    if not ends:
        return SRGB
    return Encoding(
        name,
        lambda samples: through(samples, steps, seen),
        lambda samples: through(samples, seen, steps),
    )


def choose_encoding(name: EncodingName, icc: bytes | None) -> Encoding:
    """The encoding of a file: as the user says, else by its profile, else sRGB."""
    if name == "srgb":
        return SRGB
    if name == "linear":
        return LINEAR
    light = tone_curve(icc) if icc is not None else None
    return SRGB if light is None else encoding_of_curve(light, "profile's curve")
