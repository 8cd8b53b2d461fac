"""Which weights move to the new camera."""

from __future__ import annotations

from typing import Literal, get_args

from torch import nn

from aindnet.errors import RecipeError
from aindnet.network import AINDNet, RunningNorm, is_transfer_parameter

Method = Literal["transfer", "modulation", "gains", "retrain", "scratch"]
"""transfer: AIN modules, noise estimator, last convolution (the paper's); modulation: of these only
the layers that give γ and β; gains: of these only their biases, one gain and one offset a channel;
retrain: all weights; scratch: all, from a random start."""
_MOVED = {"modulation": ".gamma_beta.", "gains": ".gamma_beta.bias"}


def prepare(network: AINDNet, method: Method) -> AINDNet:
    """The network to train: `requires_grad` only on what the method updates.

    "scratch" gives a new network of the same configuration; in the others the averages that a
    `RunningNorm` brought from its training stay as they are. Raises `RecipeError` for another name.
    """
    if method not in get_args(Method):
        raise RecipeError(f"method {method!r}; choose {', '.join(get_args(Method))}")
    if method == "scratch":
        network = AINDNet(network.config).train()
    else:
        for module in network.modules():
            if isinstance(module, RunningNorm):
                module.eval()
    for name, parameter in network.named_parameters():
        moves = method in ("retrain", "scratch") or is_transfer_parameter(name)
        parameter.requires_grad_(moves and _MOVED.get(method, "") in name)
    return network


def trainable(network: nn.Module) -> dict[str, nn.Parameter]:
    """Name → parameter of what is updated."""
    return {name: p for name, p in network.named_parameters() if p.requires_grad}
