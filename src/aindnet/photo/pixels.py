"""Arrays of any usual image kind ↔ the float RGB array that the network works on.

NumPy only. An image is H×W, H×W×1 (grey), H×W×2 (grey, alpha), H×W×3 (RGB) or H×W×4 (RGB, alpha);
uint8, uint16, or float on the scale where 1 is white.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from aindnet.errors import InvalidImageError

Image = npt.NDArray[Any]
RGB = npt.NDArray[np.float32]

_GREY_CHANNELS = (1, 2)
_CHANNELS = (1, 2, 3, 4)
_INTEGER_WHITE = {np.dtype(np.uint8): 255.0, np.dtype(np.uint16): 65535.0}
_FLOATS = (np.dtype(np.float16), np.dtype(np.float32), np.dtype(np.float64))


def check_image(image: Image) -> None:
    """Raise `InvalidImageError` unless `image` is an array of a kind described above."""
    if not isinstance(image, np.ndarray):
        raise InvalidImageError(f"an image must be a NumPy array, this is {type(image).__name__}")
    if image.ndim not in (2, 3) or (image.ndim == 3 and image.shape[2] not in _CHANNELS):
        raise InvalidImageError(
            f"an image must be H×W or H×W×C with C of 1, 2, 3 or 4, this has shape {image.shape}"
        )
    if image.size == 0:
        raise InvalidImageError(f"the image is empty: shape {image.shape}")
    if image.dtype not in _INTEGER_WHITE and image.dtype not in _FLOATS:
        raise InvalidImageError(
            f"an image must be uint8, uint16 or float in [0, 1], this is {image.dtype}"
        )
    if image.dtype in _FLOATS and not _is_finite(image):
        raise InvalidImageError(
            "the image has NaN or infinite values, or some beyond float32: replace them first"
        )


def _is_finite(image: Image) -> bool:
    """In float32, which the network works in."""
    with np.errstate(over="ignore"):
        return bool(np.isfinite(image.astype(np.float32, copy=False)).all())


def is_grey(image: Image) -> bool:
    """Whether an image of a kind described above has no colour."""
    return image.ndim == 2 or image.shape[2] in _GREY_CHANNELS


def to_rgb(image: Image) -> RGB:
    """The image as float32 (H, W, 3), integers scaled so that white is 1.

    Grey is replicated to the three channels; alpha is left out.
    Raises `InvalidImageError` for an array of another kind, empty, or with values that are NaN or
    infinite, in float32 at the latest.

    >>> to_rgb(np.full((2, 2), 255, np.uint8)).shape
    (2, 2, 3)
    """
    check_image(image)
    pixels = image[..., np.newaxis] if image.ndim == 2 else image
    channels = 1 if is_grey(image) else 3
    white = _INTEGER_WHITE.get(image.dtype, 1.0)
    rgb = pixels[..., :channels].astype(np.float32)
    if white != 1.0:
        rgb /= np.float32(white)
    return rgb if channels == 3 else np.repeat(rgb, 3, axis=2)


def oriented(image: Image, orientation: int) -> Image:
    """The image, (H, W) or (H, W, C), turned as its EXIF orientation (1 to 8) wants it shown."""
    if orientation >= 5:
        image = np.swapaxes(image, 0, 1)
    if orientation in (2, 3, 6, 7):
        image = image[:, ::-1]
    if orientation in (3, 4, 7, 8):
        image = image[::-1]
    return image


def from_rgb(rgb: RGB, like: Image) -> Image:
    """`rgb`, float (H, W, 3) with white at 1, as an image of the shape and dtype of `like`.

    Grey is the mean of the three channels; alpha is taken from `like` untouched. Integers are
    rounded and clipped; floats keep values outside [0, 1].
    """
    pixels = like[..., np.newaxis] if like.ndim == 2 else like
    if rgb.shape != (*pixels.shape[:2], 3):
        raise InvalidImageError(f"RGB of shape {rgb.shape} does not fit an image of {like.shape}")
    grey = is_grey(like)
    # float64: the mean of three equal numbers must be that number again, else strength 0 drifts.
    values = rgb.mean(axis=2, keepdims=True, dtype=np.float64) if grey else rgb
    channels = 1 if grey else 3
    result = np.empty_like(pixels, order="C")
    result[..., :channels] = _encode(values, like.dtype)
    result[..., channels:] = pixels[..., channels:]
    return result.reshape(like.shape)


def _encode(values: npt.NDArray[np.floating[Any]], dtype: np.dtype[Any]) -> Image:
    white = _INTEGER_WHITE.get(dtype)
    if white is None:
        return values.astype(dtype)
    scaled = np.rint(values * np.float32(white))
    coded: Image = np.clip(scaled, 0.0, white).astype(dtype)
    return coded
