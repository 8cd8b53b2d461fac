"""A small network for the tests of the restore room."""

from __future__ import annotations

from typing import Any

import torch

from aindnet.network import AINDNet, AINDNetConfig, RunningNorm, Unnormalized

COARSE_GRIDS: list[dict[str, Any]] = [
    {"normalization": "none", "unshuffle": 4, "half_pass": 50.0},
    {
        "normalization": "none",
        "unshuffle": 2,
        "modulation_stride": 8,
        "smoothing": True,
        "colour_pass": True,
    },
]
"""Networks whose photos must be multiples of 64 pixels."""


def small_network(**config: object) -> AINDNet:
    """A narrow network that does something: its modulation and map are far from their start."""
    torch.manual_seed(7)
    options = {
        "channels": (6, 8, 10),
        "encoder_blocks": (1, 1, 1),
        "decoder_blocks": (1, 1),
        "modulation_channels": 6,
        "estimator_channels": 6,
    }
    network = AINDNet(AINDNetConfig(**{**options, **config}))  # type: ignore[arg-type]
    for name, parameter in network.named_parameters():
        if "gamma_beta.weight" in name:
            parameter.data.normal_(std=0.1)
        if name.endswith((".norm1.conv.weight", ".norm2.conv.weight")):
            parameter.data.mul_(0.2)  # of a start that is meant for maps of a few hundredths
        if name in ("head.weight", "smoother.head.weight"):
            parameter.data.normal_(std=0.006)  # changes a photo by what a denoiser changes it
    for module in network.modules():
        if isinstance(module, RunningNorm) and not isinstance(module, Unnormalized):
            module.mean.normal_(std=0.1)
            module.variance.uniform_(0.5, 1.5)
    return network.eval()
