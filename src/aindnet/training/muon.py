"""Muon for the convolutions inside the network, AdamW for the rest, as one optimizer.

Source: Jordan et al., "Muon: An optimizer for hidden layers in neural networks", 2024. Filters are
flattened to (out, in·kh·kw); their momentum's update is made orthogonal by five Newton–Schulz steps
before it is applied.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, overload

import torch
from torch import Tensor, nn

from aindnet.network import Unnormalized
from aindnet.network.precision import has_fast_bf16

NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)
MOMENTUM = 0.95


def orthogonalised(update: Tensor, steps: int = 5) -> Tensor:
    """A matrix (m, n) with about the same singular vectors, and singular values near 1.

    Computed in bf16 where the hardware multiplies in it, else in float32: emulated, these products
    took longer than the passes through the network.

    >>> matrix = torch.diag(torch.tensor([4.0, 0.5]))
    >>> bool((orthogonalised(matrix).float().diag() - 1).abs().max() < 0.4)
    True
    """
    a, b, c = NEWTON_SCHULZ
    x = update.to(torch.bfloat16 if has_fast_bf16(update.device.type) else torch.float32)
    tall = x.shape[0] > x.shape[1]
    x = x.T if tall else x
    x = x / (x.norm() + 1e-7)
    for _ in range(steps):
        gram = x @ x.T
        x = a * x + (b * gram + c * gram @ gram) @ x
    result: Tensor = x.T if tall else x
    return result


def hidden_filters(network: nn.Module) -> set[str]:
    """Names of the filters that Muon updates: those from feature maps to feature maps.

    Filters on the photo or the noise map, the estimator and the head stay with AdamW; without
    normalization those that make γ and β do too, which scale everything behind them.
    """
    to_map: tuple[str, ...] = (".norm1.conv.weight", ".norm2.conv.weight")
    if any(isinstance(module, Unnormalized) for module in network.modules()):
        to_map += (".norm1.gamma_beta.weight", ".norm2.gamma_beta.weight")
    return {
        name
        for name, parameter in network.named_parameters()
        if parameter.ndim == 4
        and parameter.requires_grad
        and not name.removeprefix("smoother.").startswith(("noise_estimator.", "stem1.", "head."))
        and not name.endswith(to_map)
    }


class Muon(torch.optim.AdamW):
    """AdamW that updates the groups marked `muon` by orthogonalised momentum instead."""

    @overload
    def step(self, closure: None = None) -> None: ...

    @overload
    def step(self, closure: Callable[[], float]) -> float: ...

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """One step of both kinds."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            if group.get("muon"):
                self._step_filters(group)
        super().step()
        return loss

    @torch.no_grad()
    def _step_filters(self, group: dict[str, Any]) -> None:
        for filters in group["params"]:
            if filters.grad is None:
                continue
            state = self.state[filters]
            if "momentum" not in state:
                state["momentum"] = torch.zeros_like(filters)
                state["step"] = torch.zeros(())  # AdamW asks every state for it when it is loaded
            momentum = state["momentum"].lerp_(filters.grad, 1 - MOMENTUM)
            rows = filters.shape[0]
            update = orthogonalised(filters.grad.lerp(momentum, MOMENTUM).reshape(rows, -1))
            size = max(1.0, rows / update.shape[1]) ** 0.5
            filters.add_(update.reshape(filters.shape).to(filters), alpha=-group["lr"] * size)
            filters.grad = None  # AdamW passes over what has no gradient
