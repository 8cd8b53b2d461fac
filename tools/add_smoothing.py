"""A network that looks once, with a smoother put behind it, to train that from.

    python tools/add_smoothing.py aindnet-fast aindnet-gaussian runs/start.safetensors \
        --half-pass 0.4

The smoother starts with the weights of the second model, a denoiser for white noise, but for its
noise estimator: it is told the level. `aindnet train recipes/medium.yaml --initial
runs/start.safetensors` then trains it alone. Of a second model that has a smoother, as
aindnet-medium, that is taken as it is, and what that model does with it:

    python tools/add_smoothing.py aindnet-fast aindnet-medium runs/aindnet-medium.safetensors \
        --half-pass 0.4
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

from aindnet.network import AINDNet, AINDNetConfig
from aindnet.pretrained import load_model, save_model


def add_smoothing(network: AINDNet, white: AINDNet, *, half_pass: float | None) -> AINDNet:
    """The network with `smoothing`, whose smoother has the weights of `white`, or of its smoother.

    Raises `ValueError` where the two are of different architectures.
    """
    config = replace(
        network.config,
        looks=1,
        half_pass=half_pass,
        smoothing=True,
        colour_pass=white.config.colour_pass,
    )
    if _once(white.config) != _once(network.config):
        raise ValueError("the two models must be of one architecture")
    both = AINDNet(config)
    weights = white.state_dict() if white.smoother is None else white.smoother.state_dict()
    start = {
        f"smoother.{name}": value
        for name, value in weights.items()
        if not name.startswith("noise_estimator.")
    }
    both.load_state_dict(network.state_dict() | start)
    return both.eval()


def _once(config: AINDNetConfig) -> AINDNetConfig:
    """One pass of the network, and what it has weights for."""
    return replace(
        config, mean_limit=None, looks=1, half_pass=None, smoothing=False, colour_pass=False
    )


def main() -> None:
    """Convert one model."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("model", help="the first look: a name or a weights file")
    parser.add_argument("white", help="a model for white noise: a name or a weights file")
    parser.add_argument("output", type=Path)
    parser.add_argument("--half-pass", type=float, default=None, help="of the first look")
    given = parser.parse_args()
    model, white = load_model(given.model), load_model(given.white)
    network = add_smoothing(model.network, white.network, half_pass=given.half_pass)
    card = replace(
        model.card,
        name=given.output.stem,
        description=f"{model.card.name}, and {white.card.name} behind it: start of a smoother.",
        quality={},
        quality_command="",
        known_failures="not trained together yet",
    )
    card = card.started_from(white.card)
    given.output.parent.mkdir(parents=True, exist_ok=True)
    save_model(given.output, network, card)


if __name__ == "__main__":
    main()
