"""The Bayer mosaic and its linear interpolation.

Both stages are linear, so what they do to a noisy photo minus what they do to the clean one is what
they do to the noise alone: the simulator mosaics the noise, and the pipeline's own error on edges
never enters the target.
"""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

Demosaic = Literal["bilinear", "malvar"]

# Where red sits in the 2×2 cell: RGGB, GRBG, GBRG, BGGR.
RED_POSITIONS = ((0, 0), (0, 1), (1, 0), (1, 1))

# Malvar, He, Cutler, "High-quality linear interpolation for demosaicing of Bayer-patterned color
# images", ICASSP 2004, figure 2; in eighths.
_GREEN = [[0, 0, -1, 0, 0], [0, 0, 2, 0, 0], [-1, 2, 4, 2, -1], [0, 0, 2, 0, 0], [0, 0, -1, 0, 0]]
_ROW = [
    [0, 0, 0.5, 0, 0],
    [0, -1, 0, -1, 0],
    [-1, 4, 5, 4, -1],
    [0, -1, 0, -1, 0],
    [0, 0, 0.5, 0, 0],
]
_CROSS = [
    [0, 0, -1.5, 0, 0],
    [0, 2, 0, 2, 0],
    [-1.5, 0, 6, 0, -1.5],
    [0, 2, 0, 2, 0],
    [0, 0, -1.5, 0, 0],
]
_BILINEAR_GREEN = [[0] * 5, [0, 0, 2, 0, 0], [0, 2, 0, 2, 0], [0, 0, 2, 0, 0], [0] * 5]
_BILINEAR_ROW = [[0] * 5, [0] * 5, [0, 4, 0, 4, 0], [0] * 5, [0] * 5]
_BILINEAR_CROSS = [[0] * 5, [0, 2, 0, 2, 0], [0] * 5, [0, 2, 0, 2, 0], [0] * 5]


def _cells(height: int, width: int, pattern: int, device: torch.device) -> Tensor:
    """Index in RGGB's 2×2 cell (0 red, 1 green in red's row, 2 green in blue's row, 3 blue)."""
    dy, dx = RED_POSITIONS[pattern]
    y = (torch.arange(height, device=device) + dy) % 2
    x = (torch.arange(width, device=device) + dx) % 2
    return 2 * y[:, None] + x[None, :]


def mosaic(rgb: Tensor, pattern: int = 0) -> Tensor:
    """Keep one colour a pixel: (B, 3, H, W) → (B, 1, H, W).

    `pattern` 0 … 3: RGGB, GRBG, GBRG, BGGR.
    """
    cells = _cells(rgb.shape[-2], rgb.shape[-1], pattern, rgb.device)
    red, green, blue = rgb.unbind(1)
    raw = torch.where(cells == 0, red, torch.where(cells == 3, blue, green))
    return raw[:, None]


def demosaic(
    raw: Tensor, pattern: int = 0, method: Demosaic = "malvar", *, variance: bool = False
) -> Tensor:
    """Interpolate the missing colours: (B, 1, H, W) → (B, 3, H, W); any H, W ≥ 3.

    "bilinear", or "malvar" (Malvar, He and Cutler 2004). With `variance`, `raw` is the variance of
    independent noise, and so is what comes out: the filters' weights are squared.
    """
    tables = (
        (_GREEN, _ROW, _CROSS)
        if method == "malvar"
        else (_BILINEAR_GREEN, _BILINEAR_ROW, _BILINEAR_CROSS)
    )
    at_chroma, row, cross = (
        torch.tensor(t, dtype=raw.dtype, device=raw.device) / 8 for t in tables
    )
    kernels = torch.stack([at_chroma, row, row.T, cross])[:, None]
    if variance:
        kernels = kernels.square()
    green, along_row, along_column, diagonal = F.conv2d(
        F.pad(raw, (2, 2, 2, 2), mode="reflect"), kernels
    ).unbind(1)
    own = raw[:, 0]
    cells = _cells(raw.shape[-2], raw.shape[-1], pattern, raw.device)

    def at(red: Tensor, red_row: Tensor, blue_row: Tensor, blue: Tensor) -> Tensor:
        greens = torch.where(cells == 1, red_row, blue_row)
        return torch.where(cells == 0, red, torch.where(cells == 3, blue, greens))

    return torch.stack(
        [
            at(own, along_row, along_column, diagonal),
            at(green, own, own, green),
            at(diagonal, along_column, along_row, own),
        ],
        dim=1,
    )
