"""A network that looks once, with a second look of its own put behind it, to train that from.

    python tools/add_second_look.py aindnet-fast runs/two-looks.safetensors --half-pass 0.4

The second look starts as the first one's equal: it sees the photo through the same weights, and
neither the first result nor the noise's spectrum yet. `aindnet train recipes/second_look.yaml
--initial runs/two-looks.safetensors` then trains it alone.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from aindnet.network import AINDNet
from aindnet.pretrained import load_model, save_model


@torch.no_grad()
def add_second_look(
    network: AINDNet, *, half_pass: float | None, modulation_channels: int
) -> AINDNet:
    """The network with `second_weights`, whose second look does to the photo what the first does.

    Up to the noise map: the second look's is averaged over some 48 pixels.
    """
    config = replace(
        network.config,
        looks=2,
        half_pass=half_pass,
        second_weights=True,
        second_modulation_channels=modulation_channels,
    )
    both = AINDNet(config)
    assert both.second is not None
    weights = network.state_dict()
    start: dict[str, Tensor] = {}
    for name, fresh in both.second.state_dict().items():
        known = weights[name]
        if name == "stem1.weight" or name.endswith(("norm1.conv.weight", "norm2.conv.weight")):
            fresh[: known.shape[0]] = 0  # what it does not know, it does not listen to
            fresh[: known.shape[0], : known.shape[1]] = known
        elif name.endswith(".gamma_beta.weight"):
            fresh[:, known.shape[1] :] = 0
            fresh[:, : known.shape[1]] = known
        else:
            fresh[: known.shape[0]] = known
        start[f"second.{name}"] = fresh
    both.load_state_dict(weights | start)
    return both.eval()


def main() -> None:
    """Convert one model."""
    parser = argparse.ArgumentParser(description="A network with a second look to be trained.")
    parser.add_argument("model", help="a name or a weights file")
    parser.add_argument("output", type=Path)
    parser.add_argument("--half-pass", type=float, default=None, help="of the first look")
    parser.add_argument("--modulation-channels", type=int, default=32)
    arguments = parser.parse_args()
    torch.manual_seed(0)
    model = load_model(arguments.model)
    network = add_second_look(
        model.network,
        half_pass=arguments.half_pass,
        modulation_channels=arguments.modulation_channels,
    )
    card = replace(model.card, name=arguments.output.stem, description="Start of a second look.")
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    save_model(arguments.output, network, card)


if __name__ == "__main__":
    main()
