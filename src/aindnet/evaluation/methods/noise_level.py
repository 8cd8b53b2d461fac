"""One number for the noise of a photo, for methods that must be told it.

Camera noise is spatially correlated: demosaicing, the camera's own smoothing and JPEG leave little
of it in the finest wavelet band, and the usual estimate there is three to eight times too low.
Every fourth pixel of every fourth row is far enough apart to be nearly independent, so the estimate
is taken on that subsampled photo.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from aindnet.evaluation.methods.method import FloatImage

SUBSAMPLING = 4
SMALLEST_SIDE = 8
NOISE_LEVEL_FILE = Path(__file__)
"""Part of the code of every method that is told it."""


def estimate_noise_level(image: FloatImage, subsampling: int = SUBSAMPLING) -> float:
    """Robust wavelet estimate (Donoho) of the noise standard deviation on the subsampled image,
    mean over channels.

    The image is `(H, W)` or `(H, W, C)` on [0, 1], the result on the same scale. Texture is partly
    taken for noise and smoothed noise partly missed, which is why each method multiplies it by a
    number chosen on the dev part.
    """
    from skimage.restoration import estimate_sigma

    step = max(1, min(subsampling, min(image.shape[:2]) // SMALLEST_SIDE))
    coarse = np.asarray(image[::step, ::step], dtype=np.float64)
    estimate: Any = estimate_sigma
    sigma = estimate(coarse, average_sigmas=True, channel_axis=-1 if coarse.ndim == 3 else None)
    return float(np.nan_to_num(sigma))
