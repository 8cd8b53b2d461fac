"""Image quality by the project's contract, and by the other readings that published tables use.

The contract: images are rounded to uint8 before anything is measured. PSNR has peak 255 and its MSE
is taken over all pixels and channels of one image. SSIM has a Gaussian window of σ 1.5 and 11 taps,
data range 255, no padding (only windows that lie wholly inside the image count) and is the mean
over channels. A data set's number is the mean over its images. Every other reading has a name of
its own in `METRICS`, so that a table says which one it shows.

Images are `(H, W)` or `(H, W, 3)`; uint8 in 0..255, uint16 in 0..65535, or floating point in [0,
1].
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.generic]
Metric = Callable[[Image, Image], float]

# ITU-R BT.601 luma as MATLAB's rgb2gray rounds its coefficients.
MATLAB_GREY_WEIGHTS = (0.2989, 0.5870, 0.1140)

SSIM_SIGMA = 1.5
SSIM_TAPS = 11


def to_uint8(image: Image) -> NDArray[np.uint8]:
    """Round an image to 8 bits, clipping what lies outside the range.

    >>> to_uint8(np.array([[0.0, 0.5, 1.2]]))
    array([[  0, 128, 255]], dtype=uint8)
    """
    if image.dtype == np.uint8:
        return image.astype(np.uint8, copy=False)
    unit = to_unit(image)
    return np.floor(unit * 255.0 + 0.5).astype(np.uint8)


def to_unit(image: Image) -> NDArray[np.float64]:
    """An image as float64 on [0, 1], clipped but not rounded."""
    if image.dtype == np.uint8:
        return image.astype(np.float64) / 255.0
    if image.dtype == np.uint16:
        return image.astype(np.float64) / 65535.0
    if not np.issubdtype(image.dtype, np.floating):
        raise TypeError(
            f"an image of {image.dtype} has no known range; use uint8, uint16 or floating point"
        )
    return np.clip(image.astype(np.float64), 0.0, 1.0)


def psnr(restored: Image, clean: Image) -> float:
    """PSNR in dB by the contract: both images rounded to uint8, peak 255; infinite for equal
    images.

    >>> psnr(np.full((8, 8), 10, np.uint8), np.full((8, 8), 11, np.uint8)) == 20 * math.log10(255)
    True
    """
    return _psnr(to_uint8(restored).astype(np.float64), to_uint8(clean).astype(np.float64), 255.0)


def psnr_float(restored: Image, clean: Image) -> float:
    """PSNR in dB on [0, 1], the restored image clipped but not rounded to 8 bits."""
    return _psnr(to_unit(restored), to_unit(clean), 1.0)


def psnr_luma(restored: Image, clean: Image) -> float:
    """PSNR in dB of the luma (MATLAB's rgb2gray of the uint8 images), as some colour tables give
    it.
    """
    return _psnr(_matlab_grey(restored), _matlab_grey(clean), 255.0)


def ssim(restored: Image, clean: Image) -> float:
    """SSIM by the contract; NaN for an image with a side of fewer than 11 pixels, where no window
    fits.
    """
    return _windowed_ssim(to_uint8(restored).astype(np.float64), to_uint8(clean).astype(np.float64))


def ssim_float(restored: Image, clean: Image) -> float:
    """SSIM as in the contract, but without rounding the restored image to 8 bits first."""
    return _windowed_ssim(to_unit(restored) * 255.0, to_unit(clean) * 255.0)


def ssim_grey(restored: Image, clean: Image) -> float:
    """SSIM of MATLAB's rgb2gray images by Wang's `ssim_index.m`: no padding, as in the contract."""
    return _windowed_ssim(_matlab_grey(restored), _matlab_grey(clean))


def ssim_matlab_grey(restored: Image, clean: Image) -> float:
    """SSIM of the rgb2gray images as MATLAB's toolbox `ssim` takes it: borders replicated, all
    pixels averaged.
    """
    return _padded_ssim(_matlab_grey(restored), _matlab_grey(clean))


def ssim_matlab_volume(restored: Image, clean: Image) -> float:
    """SSIM as MATLAB's toolbox `ssim` gives it for an H×W×3 array, which it takes for a volume.

    The Gaussian window then also runs across the three colour channels (borders replicated). Tables
    computed by the scripts of the SIDD benchmark's time, and by networks that copied them, show
    this number.
    """
    return _padded_ssim(to_uint8(restored).astype(np.float64), to_uint8(clean).astype(np.float64))


METRICS: Mapping[str, Metric] = MappingProxyType(
    {
        "psnr": psnr,
        "ssim": ssim,
        "psnr_float": psnr_float,
        "psnr_luma": psnr_luma,
        "ssim_float": ssim_float,
        "ssim_grey": ssim_grey,
        "ssim_matlab_grey": ssim_matlab_grey,
        "ssim_matlab_volume": ssim_matlab_volume,
    }
)


def _psnr(restored: NDArray[np.float64], clean: NDArray[np.float64], peak: float) -> float:
    _check_shapes(restored, clean)
    mean_squared_error = float(np.mean(np.square(restored - clean)))
    return math.inf if mean_squared_error == 0 else 10 * math.log10(peak**2 / mean_squared_error)


def _windowed_ssim(restored: NDArray[np.float64], clean: NDArray[np.float64]) -> float:
    from skimage.metrics import structural_similarity

    _check_shapes(restored, clean)
    if min(restored.shape[:2]) < SSIM_TAPS:
        return math.nan
    compute: Any = structural_similarity  # untyped
    similarity = compute(
        restored,
        clean,
        data_range=255.0,
        gaussian_weights=True,
        sigma=SSIM_SIGMA,
        win_size=SSIM_TAPS,
        use_sample_covariance=False,
        channel_axis=-1 if restored.ndim == 3 else None,
    )
    return float(similarity)


def _padded_ssim(restored: NDArray[np.float64], clean: NDArray[np.float64]) -> float:
    from scipy.ndimage import gaussian_filter

    _check_shapes(restored, clean)

    def smooth(image: NDArray[np.float64]) -> NDArray[np.float64]:
        filtered = gaussian_filter(image, SSIM_SIGMA, mode="nearest", radius=SSIM_TAPS // 2)
        return np.asarray(filtered, dtype=np.float64)

    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    mean_x, mean_y = smooth(restored), smooth(clean)
    variance_x = smooth(restored**2) - mean_x**2
    variance_y = smooth(clean**2) - mean_y**2
    covariance = smooth(restored * clean) - mean_x * mean_y
    numerator = (2 * mean_x * mean_y + c1) * (2 * covariance + c2)
    denominator = (mean_x**2 + mean_y**2 + c1) * (variance_x + variance_y + c2)
    return float(np.mean(numerator / denominator))


def _matlab_grey(image: Image) -> NDArray[np.float64]:
    rounded = to_uint8(image).astype(np.float64)
    if rounded.ndim == 2:
        return rounded
    return np.asarray(np.floor(rounded @ np.array(MATLAB_GREY_WEIGHTS) + 0.5))


def _check_shapes(restored: Image, clean: Image) -> None:
    if restored.shape != clean.shape:
        raise ValueError(f"images of different shapes: {restored.shape} and {clean.shape}")
