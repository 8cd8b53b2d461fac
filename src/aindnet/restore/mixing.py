"""How much of the denoising is applied: strength, and its split into lightness and colour."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

RGB = npt.NDArray[np.float32]

REC709_LUMA: RGB = np.array([0.2126, 0.7152, 0.0722], np.float32)
"""Weights of red, green and blue in luma (ITU-R BT.709)."""


def mix(noisy: RGB, denoised: RGB, strength: float, chroma_strength: float | None = None) -> RGB:
    """noisy + strength·(denoised − noisy), (…, 3); a copy of `noisy` at 0, `denoised` at 1.

    With `chroma_strength`, `strength` holds for the luma of the difference and `chroma_strength`
    for what remains of it, which is colour only.
    """
    chroma = strength if chroma_strength is None else chroma_strength
    if strength == chroma:
        if strength in (0.0, 1.0):
            return denoised if strength else noisy.copy()
        return noisy + np.float32(strength) * (denoised - noisy)
    difference = denoised - noisy
    luma: RGB = np.matmul(difference, REC709_LUMA, dtype=np.float32)[..., None]
    mixed: RGB = np.add(noisy, strength * luma + chroma * (difference - luma), dtype=np.float32)
    return mixed
