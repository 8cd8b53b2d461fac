"""Resizing, pooling and padding: today's conventions, and TF1's for the authors' checkpoint.

TF1's bilinear resize reads source coordinate `target · in / out`, with no half-pixel shift, clamped
at the border; its SAME pooling leaves the padding out of the average.
"""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

ResizeMode = Literal["half_pixel", "tf1"]


def resize_bilinear(x: Tensor, size: tuple[int, int], mode: ResizeMode = "half_pixel") -> Tensor:
    """Resize (B, C, h, w) to (B, C, *size).

    >>> resize_bilinear(torch.tensor([[[[0.0, 1.0]]]]), (1, 4), "tf1").flatten().tolist()
    [0.0, 0.5, 1.0, 1.0]
    >>> resize_bilinear(torch.tensor([[[[0.0, 1.0]]]]), (1, 4)).flatten().tolist()
    [0.0, 0.25, 0.75, 1.0]
    """
    if x.shape[-2:] == size:
        return x
    if mode == "half_pixel":
        return F.interpolate(x, size=size, mode="bilinear", align_corners=False)
    return _tf1_axis(_tf1_axis(x, -2, size[0]), -1, size[1])


def _tf1_axis(x: Tensor, dim: int, out_size: int) -> Tensor:
    in_size = x.shape[dim]
    # TF1 computes coordinates in float32: a float16 would misplace pixels of large photos.
    precision = torch.promote_types(x.dtype, torch.float32)
    source = torch.arange(out_size, dtype=precision) * (in_size / out_size)
    lower = source.floor().long().clamp(max=in_size - 1)
    upper = (lower + 1).clamp(max=in_size - 1)
    weight = (source - lower).to(x)
    shape = [1] * x.ndim
    shape[dim] = out_size
    low = x.index_select(dim, lower.to(x.device))
    high = x.index_select(dim, upper.to(x.device))
    return low + (high - low) * weight.reshape(shape)


def average_pool(x: Tensor, factor: int, mode: ResizeMode = "half_pixel") -> Tensor:
    """Average-pool (B, C, H, W) by `factor` to (B, C, ceil(H/f), ceil(W/f)), padding not counted.

    The two modes differ only where a side is no multiple of `factor`: "tf1" splits the padding with
    the smaller half at the top and left, "half_pixel" pads at the end.
    """
    if factor == 1:
        return x
    height, width = x.shape[-2:]
    missing_y, missing_x = -height % factor, -width % factor
    if not (missing_y or missing_x):
        return F.avg_pool2d(x, factor)
    if mode == "half_pixel":
        return F.avg_pool2d(x, factor, ceil_mode=True, count_include_pad=False)
    top, left = missing_y // 2, missing_x // 2
    padding = (left, missing_x - left, top, missing_y - top)
    total = F.avg_pool2d(F.pad(x, padding), factor)
    share = F.avg_pool2d(F.pad(torch.ones_like(x[:1, :1]), padding), factor)
    return total / share


def pad_to_multiple(x: Tensor, multiple: int) -> Tensor:
    """Reflect (B, C, H, W) at the bottom and right up to a multiple; any H, W ≥ 1 works.

    >>> pad_to_multiple(torch.arange(3.0).reshape(1, 1, 1, 3), 8)[0, 0, 0].tolist()
    [0.0, 1.0, 2.0, 1.0, 0.0, 1.0, 2.0, 1.0]
    """
    for dim in (-2, -1):
        size = x.shape[dim]
        if size % multiple:
            x = x.index_select(dim, _reflection(size, size + -size % multiple).to(x.device))
    return x


def _reflection(size: int, padded: int) -> Tensor:
    """Indices 0..padded-1 folded into 0..size-1 by mirroring at the outermost pixels."""
    period = max(2 * (size - 1), 1)
    index = torch.arange(padded) % period
    return torch.minimum(index, period - index)
