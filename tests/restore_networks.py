"""A small network for the tests of the restore room."""

from __future__ import annotations

import torch

from aindnet.network import AINDNet, AINDNetConfig


def small_network(**config: object) -> AINDNet:
    """A narrow network that does something: its modulation and map are far from their start."""
    torch.manual_seed(7)
    options = {"channels": (8, 12, 16), "modulation_channels": 8, "estimator_channels": 8}
    network = AINDNet(AINDNetConfig(**{**options, **config}))  # type: ignore[arg-type]
    for name, parameter in network.named_parameters():
        if "gamma_beta.weight" in name:
            parameter.data.normal_(std=0.1)
        if name == "head.weight":
            parameter.data.mul_(0.03)  # changes a photo by what a denoiser changes it
    return network.eval()
