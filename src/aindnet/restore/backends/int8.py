"""Convolutions in eight bits: which ones, and the network that computes with them.

Weights are rounded per output channel, symmetrically; what goes into a convolution is rounded over
the range that a calibration found (`calibration.py`). Statistics, the normalization
and its modulation, the noise map, and the layers of `FLOATING` stay in floating point.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from aindnet.errors import InvalidModelFileError
from aindnet.restore.backends.tile_network import TileNetwork

Ranges = Mapping[str, tuple[float, float]]
"""By layer name: the lowest and the highest value that goes into it."""

FLOATING = re.compile(
    r"(smoother\.)?(noise_estimator|stem1|head|encoder1\.blocks\.\d+\.conv2|skip1)\b"
)
"""Layers whose errors would be seen: the noise map, what touches the photo's own values, and what
is added to the finest features on their way to the last, which carry the photo: nine tenths of the
loss of `aindnet-fast` (docs/engine.md).
"""
LEAST_CHANNELS = 8
"""Layers that read fewer would win nothing. Nor would those that read the map, of few or many."""


class Int8Conv2d(nn.Module):
    """A convolution whose input and weights are rounded as eight-bit hardware rounds them.

    In floating point it computes the same; a graph made of it is what runtimes turn into int8.
    """

    scale: Tensor
    zero: Tensor
    weight: Tensor
    weight_scale: Tensor
    weight_zero: Tensor
    bias: Tensor | None

    def __init__(self, conv: nn.Conv2d, low: float, high: float) -> None:
        super().__init__()
        low, high = min(low, 0.0), max(high, 0.0)  # zero, which borders are padded with, is exact
        scale = max((high - low) / 255, torch.finfo(torch.float32).eps)
        self.stride = cast("tuple[int, int]", conv.stride)
        padding = cast("tuple[int, int]", conv.padding)
        replicate = conv.padding_mode == "replicate"
        self.padding = (0, 0) if replicate else padding
        self.border = (padding[1], padding[1], padding[0], padding[0]) if replicate else None
        self.register_buffer("scale", torch.tensor(scale))
        self.register_buffer("zero", torch.tensor(round(-low / scale), dtype=torch.int32))
        weight = conv.weight.detach().clone()
        largest = weight.abs().amax(dim=(1, 2, 3))
        self.register_buffer("weight", weight)
        self.register_buffer("weight_scale", (largest / 127).clamp_min(1e-12))
        self.register_buffer("weight_zero", torch.zeros_like(largest, dtype=torch.int32))
        self.register_buffer("bias", None if conv.bias is None else conv.bias.detach().clone())

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) → (B, D, H', W'), as the convolution it was made of."""
        if self.border is not None:
            x = F.pad(x, self.border, mode="replicate")
        x = torch.fake_quantize_per_tensor_affine(x, self.scale, self.zero, 0, 255)
        weight = torch.fake_quantize_per_channel_affine(
            self.weight, self.weight_scale, self.weight_zero, 0, -128, 127
        )
        return F.conv2d(x, weight, self.bias, self.stride, self.padding)


def int8_layers(network: TileNetwork) -> dict[str, nn.Conv2d]:
    """The convolutions that run in eight bits, by name."""
    return {
        name: layer
        for name, layer in network.named_modules()
        if isinstance(layer, nn.Conv2d)
        and layer.in_channels >= LEAST_CHANNELS
        and not FLOATING.match(name)
        and not name.endswith(".convs")
    }


def in_int8(network: TileNetwork, ranges: Ranges) -> TileNetwork:
    """A copy of the network that computes in eight bits.

    Raises `InvalidModelFileError` where the ranges are those of another network.
    """
    network = copy.deepcopy(network)
    layers = int8_layers(network)
    if strangers := sorted(layers.keys() ^ ranges.keys()):
        raise InvalidModelFileError(
            f"the int8 calibration does not fit the network (at {strangers[0]}): "
            f"calibrate again, by tools/calibrate_int8.py"
        )
    for name, layer in layers.items():
        parent, _, attribute = name.rpartition(".")
        setattr(network.get_submodule(parent), attribute, Int8Conv2d(layer, *ranges[name]))
    return network
