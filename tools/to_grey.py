"""A grey network from a colour one: what it would do to a photo whose channels are all the same.

    python tools/to_grey.py aindnet-fast runs/grey.safetensors

Filters on the photo or on the noise map are summed over the channels, filters to them averaged. A
start for `aindnet train recipes/gaussian_grey.yaml --initial runs/grey.safetensors`, which then
knows pictures already; no denoiser before that, as the noise of real channels is not the same.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

from torch import Tensor

from aindnet.network import AINDNet
from aindnet.pretrained import load_model, save_model


def to_grey(network: AINDNet) -> AINDNet:
    """The same network for one channel.

    Where the estimator's ReLUs treat the channels differently its map is an approximation; all
    else is exact.
    """
    config = network.config
    channels, pixels = config.image_channels, config.unshuffle**2

    def summed(filters: Tensor, group: int) -> Tensor:
        """(out, channels·group, h, w) → (out, group, h, w)."""
        return filters.unflatten(1, (channels, group)).sum(1)

    def averaged(filters: Tensor, group: int) -> Tensor:
        """(channels·group, …) → (group, …)."""
        return filters.unflatten(0, (channels, group)).mean(0)

    weights = dict(network.state_dict())
    for name, filters in weights.items():
        if name in ("stem1.weight", "noise_estimator.conv1.weight"):
            weights[name] = summed(filters, pixels)
        elif name.startswith("head."):
            weights[name] = averaged(filters, pixels)
        elif name.endswith((".norm1.conv.weight", ".norm2.conv.weight")):
            weights[name] = summed(filters, 1)
        elif name.startswith("noise_estimator.conv5."):
            weights[name] = averaged(filters, 1)
        elif name.startswith(("noise_estimator.conv6.", "noise_estimator.conv7.")):
            fewer = averaged(filters, 1)
            weights[name] = summed(fewer, 1) if fewer.ndim == 4 else fewer
    grey = AINDNet(replace(config, image_channels=1))
    grey.load_state_dict(weights)
    return grey.eval()


def main() -> None:
    """Convert one model."""
    parser = argparse.ArgumentParser(description="A grey network from a colour one.")
    parser.add_argument("model", help="a name or a weights file")
    parser.add_argument("output", type=Path)
    arguments = parser.parse_args()
    model = load_model(arguments.model)
    card = replace(model.card, name=arguments.output.stem, description="Grey start for training.")
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    save_model(arguments.output, to_grey(model.network), card)


if __name__ == "__main__":
    main()
