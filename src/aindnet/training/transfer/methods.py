"""Which weights move to the new camera."""

from __future__ import annotations

from typing import Literal, get_args

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from aindnet.errors import RecipeError
from aindnet.network import AINDNet, RunningNorm, is_transfer_parameter

Method = Literal["transfer", "modulation", "low_rank", "gains", "retrain", "scratch"]
"""transfer: AIN modules, noise estimator, last convolution (the paper's); modulation: of these only
the layers that give γ and β; low_rank: of these layers' filters only a sum of `RANK` outer products
beside them; gains: of these layers only their biases, one gain and one offset a channel; retrain:
all weights; scratch: all, from a random start."""
PROFILE_METHODS = ("transfer", "modulation", "low_rank", "gains")
"""Those that move transfer parameters alone, so that a camera profile holds what they did."""
RANK = 4

_MOVED = {
    "modulation": ".gamma_beta.",
    "low_rank": ".gamma_beta.parametrizations.weight.0.",
    "gains": ".gamma_beta.bias",
}


class LowRank(nn.Module):
    """Filters W (out, …) + A·B, A (out, rank) from zero, B (rank, …) random and trained too.

    Source: Hu et al., "LoRA: Low-Rank Adaptation of Large Language Models", ICLR 2022.
    """

    def __init__(self, filters: Tensor, rank: int) -> None:
        super().__init__()
        self.a = nn.Parameter(torch.zeros(filters.shape[0], rank))
        self.b = nn.Parameter(torch.randn(rank, filters[0].numel()))

    def forward(self, filters: Tensor) -> Tensor:
        """The filters with what was learned added."""
        return filters + (self.a @ self.b).reshape(filters.shape)


def prepare(network: AINDNet, method: Method) -> AINDNet:
    """The network to train: `requires_grad` only on what the method updates.

    "scratch" gives a new network of the same configuration; in the others the averages that a
    `RunningNorm` brought from its training stay as they are. `finish` makes a plain network of it
    again. Raises `RecipeError` for another name.
    """
    if method not in get_args(Method):
        raise RecipeError(f"method {method!r}; choose {', '.join(get_args(Method))}")
    if method == "scratch":
        network = AINDNet(network.config).train()
    else:
        for module in network.modules():
            if isinstance(module, RunningNorm):
                module.eval()
    if method == "low_rank":
        for layer in _modulation_layers(network):
            parametrize.register_parametrization(layer, "weight", LowRank(layer.weight, RANK))
    for name, parameter in network.named_parameters():
        moves = method in ("retrain", "scratch") or is_transfer_parameter(name)
        parameter.requires_grad_(moves and _MOVED.get(method, "") in name)
    if not trainable(network):
        raise RecipeError(
            f"method {method!r}: this model has no such weights to move; choose transfer or retrain"
        )
    return network


def finish(network: AINDNet) -> AINDNet:
    """The trained network with plain weights, fixed, in evaluation mode."""
    for layer in _modulation_layers(network):
        if parametrize.is_parametrized(layer, "weight"):
            parametrize.remove_parametrizations(layer, "weight", leave_parametrized=True)
    return network.requires_grad_(False).eval()


def trainable(network: nn.Module) -> dict[str, nn.Parameter]:
    """Name → parameter of what is updated."""
    return {name: p for name, p in network.named_parameters() if p.requires_grad}


def _modulation_layers(network: nn.Module) -> list[nn.Conv2d]:
    return [
        module
        for name, module in network.named_modules()
        if name.endswith(".gamma_beta")
        and isinstance(module, nn.Conv2d)
        and not name.startswith("smoother.")
    ]
