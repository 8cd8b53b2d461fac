"""JPEG and 8-bit rounding, batched on any device.

The codec is the baseline one of ITU-T T.81 without its entropy coding, which loses nothing: YCbCr,
chroma subsampling, 8×8 DCT, quantisation by the Annex K tables scaled as libjpeg scales them, but
for libjpeg's truncation of 5000/q below quality 50.
"""

from __future__ import annotations

import functools
import math
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from aindnet.camera.processing import rgb_to_ycbcr, ycbcr_to_rgb

Subsampling = Literal["4:4:4", "4:2:2", "4:2:0"]
_FACTORS: dict[Subsampling, tuple[int, int]] = {"4:4:4": (1, 1), "4:2:2": (1, 2), "4:2:0": (2, 2)}

_LUMA = (
    (16, 11, 10, 16, 24, 40, 51, 61), (12, 12, 14, 19, 26, 58, 60, 55),
    (14, 13, 16, 24, 40, 57, 69, 56), (14, 17, 22, 29, 51, 87, 80, 62),
    (18, 22, 37, 56, 68, 109, 103, 77), (24, 35, 55, 64, 81, 104, 113, 92),
    (49, 64, 78, 87, 103, 121, 120, 101), (72, 92, 95, 98, 112, 100, 103, 99),
)  # fmt: skip
_CHROMA = (
    (17, 18, 24, 47, 99, 99, 99, 99), (18, 21, 26, 66, 99, 99, 99, 99),
    (24, 26, 56, 99, 99, 99, 99, 99), (47, 66, 99, 99, 99, 99, 99, 99),
) + ((99,) * 8,) * 4  # fmt: skip


def jpeg(rgb: Tensor, quality: Tensor, subsampling: Subsampling = "4:2:0") -> Tensor:
    """Compress and decompress (B, 3, H, W) in [0, 1] at libjpeg quality (B,) in 1 … 100.

    Output in [0, 1], not rounded to 8 bits. Sides that no block fits are extended by their edge.
    """
    height, width = rgb.shape[-2:]
    fy, fx = _FACTORS[subsampling]
    padding = (0, -width % (8 * fx), 0, -height % (8 * fy))
    ycbcr = rgb_to_ycbcr(F.pad(rgb * 255, padding, mode="replicate"))
    luma = _code(ycbcr[:, :1] - 128, _table(_LUMA, quality)) + 128
    chroma = ycbcr[:, 1:]
    if (fy, fx) != (1, 1):
        chroma = F.avg_pool2d(chroma, (fy, fx))
    chroma = _code(chroma, _table(_CHROMA, quality))
    if (fy, fx) != (1, 1):
        # libjpeg's "fancy upsampling" is the half-pixel bilinear filter.
        chroma = F.interpolate(chroma, scale_factor=(fy, fx), mode="bilinear", align_corners=False)
    coded = ycbcr_to_rgb(torch.cat([luma, chroma], dim=1))
    return (coded[..., :height, :width] / 255).clamp(0, 1)


def round_to_8_bits(image: Tensor) -> Tensor:
    """Clip to [0, 1] and round to the 256 levels of an 8-bit file.

    >>> round_to_8_bits(torch.tensor([0.5, 1.2])).mul(255).tolist()
    [128.0, 255.0]
    """
    return (image * 255).round().clamp(0, 255) / 255


def _table(base: tuple[tuple[int, ...], ...], quality: Tensor) -> Tensor:
    """Quantisation steps (B, 1, 1, 1, 8, 8) by libjpeg's scaling of the base table."""
    quality = quality.clamp(1, 100)
    scale = torch.where(quality < 50, 5000 / quality, 200 - 2 * quality)
    steps = torch.tensor(base, dtype=torch.float32, device=quality.device)
    steps = ((steps * scale[:, None, None] + 50) / 100).floor().clamp(1, 255)
    return steps[:, None, None, None]


@functools.cache
def _dct_matrix() -> Tensor:
    k, n = torch.meshgrid(torch.arange(8.0), torch.arange(8.0), indexing="ij")
    matrix = torch.cos((2 * n + 1) * k * math.pi / 16) / 2
    matrix[0] /= math.sqrt(2)
    return matrix


def _code(plane: Tensor, table: Tensor) -> Tensor:
    """DCT, quantise, and back: (B, C, H, W) with sides that are multiples of 8."""
    batch, channels, height, width = plane.shape
    dct = _dct_matrix().to(plane)
    blocks = plane.reshape(batch, channels, height // 8, 8, width // 8, 8).transpose(3, 4)
    coefficients = dct @ blocks @ dct.T
    coefficients = (coefficients / table).round() * table
    blocks = dct.T @ coefficients @ dct
    return blocks.transpose(3, 4).reshape(plane.shape)
