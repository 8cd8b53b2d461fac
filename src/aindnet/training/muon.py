"""Muon for the convolutions inside the network, AdamW for the rest, as one optimizer.

Source: Jordan et al., "Muon: An optimizer for hidden layers in neural networks", 2024. Filters are
flattened to (out, in·kh·kw); their momentum's update is made orthogonal by five Newton–Schulz steps
before it is applied.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from typing import Any, overload

import torch
from torch import Tensor, nn

from aindnet.network import Unnormalized

NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)
MOMENTUM = 0.95


def orthogonalised(updates: Tensor, steps: int = 5) -> Tensor:
    """Matrices (..., m, n) with about the same singular vectors, and singular values near 1.

    Newton–Schulz steps multiply a matrix from the left by polynomials of its Gram matrix, so they
    are made on the smaller of the two Gram matrices, in float32, and their product is applied once.
    That is what five steps on the matrices themselves give, to rounding, for less arithmetic.

    >>> matrix = torch.diag(torch.tensor([4.0, 0.5]))
    >>> bool((orthogonalised(matrix).diag() - 1).abs().max() < 0.4)
    True
    """
    a, b, c = NEWTON_SCHULZ
    x = updates.float()
    tall = x.shape[-2] > x.shape[-1]
    x = x.mT if tall else x
    x = x / (x.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    gram = x @ x.mT
    identity = torch.eye(gram.shape[-1], dtype=gram.dtype, device=gram.device)
    product = identity
    for _ in range(steps):
        polynomial = a * identity + b * gram + c * (gram @ gram)
        product = polynomial @ product
        gram = polynomial @ gram @ polynomial
    result: Tensor = product @ x
    return result.mT if tall else result


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
        filters = [each for each in group["params"] if each.grad is not None]
        alike: dict[torch.Size, list[Tensor]] = defaultdict(list)
        for each in filters:  # of one shape are one batch: their products are small
            alike[each.flatten(1).shape].append(each)
        for (rows, columns), batch in alike.items():
            updates = torch.stack([self._momentum(each).reshape(rows, columns) for each in batch])
            size = max(1.0, rows / columns) ** 0.5
            for each, update in zip(batch, orthogonalised(updates), strict=True):
                each.add_(update.reshape(each.shape).to(each), alpha=-group["lr"] * size)
                each.grad = None  # AdamW passes over what has no gradient

    def _momentum(self, filters: Tensor) -> Tensor:
        """Nesterov's momentum of a filter's gradients, kept in its state."""
        assert filters.grad is not None
        state = self.state[filters]
        if "momentum" not in state:
            state["momentum"] = torch.zeros_like(filters)
            state["step"] = torch.zeros(())  # AdamW asks every state for it when it is loaded
        momentum = state["momentum"].lerp_(filters.grad, 1 - MOMENTUM)
        return filters.grad.lerp(momentum, MOMENTUM)
