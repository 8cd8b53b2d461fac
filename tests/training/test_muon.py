"""Muon: which weights it takes, what its update is, and that it learns and resumes."""

from __future__ import annotations

import copy
from dataclasses import replace

import pytest
import torch
from torch import nn

from aindnet.network import AINDNet, AINDNetConfig
from aindnet.training.muon import NEWTON_SCHULZ, Muon, hidden_filters, orthogonalised


@pytest.mark.parametrize("shape", [(16, 144), (144, 16), (32, 32)])
def test_an_update_has_singular_values_near_one(shape: tuple[int, int]) -> None:
    matrix = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    values = torch.linalg.svdvals(orthogonalised(matrix).float())
    assert values.min() > 0.4
    assert values.max() < 1.4
    # The directions stay the gradient's.
    assert (orthogonalised(matrix).float() * matrix).sum() > 0


def test_steps_on_the_gram_matrix_are_steps_on_the_matrix() -> None:
    """What the source's five steps give, also for matrices of nearly no rank, one or several."""
    generator = torch.Generator().manual_seed(1)
    matrices = torch.randn(2, 12, 40, generator=generator) * torch.logspace(0, -6, 40)
    a, b, c = NEWTON_SCHULZ
    x = matrices.double()
    x = x / x.norm(dim=(1, 2), keepdim=True)
    for _ in range(5):
        gram = x @ x.mT
        x = a * x + (b * gram + c * gram @ gram) @ x
    torch.testing.assert_close(orthogonalised(matrices).double(), x, rtol=0, atol=2e-3)
    torch.testing.assert_close(orthogonalised(matrices.mT).double(), x.mT, rtol=0, atol=2e-3)
    torch.testing.assert_close(orthogonalised(matrices[1]), orthogonalised(matrices)[1])


def test_it_takes_filters_between_features_only() -> None:
    network = AINDNet(AINDNetConfig(channels=(8, 8, 8), encoder_blocks=(1, 1, 1)))
    names = hidden_filters(network)
    assert {"encoder1.0.conv1.weight", "up2.weight", "encoder1.0.norm1.gamma_beta.weight"} < names
    for name in ("stem1.weight", "head.weight", "encoder1.0.norm1.conv.weight", "head.bias"):
        assert name not in names
    assert not any(name.startswith("noise_estimator") for name in names)
    plain = hidden_filters(AINDNet(replace(network.config, normalization="none")))
    assert plain == {name for name in names if "gamma_beta" not in name}
    twice = AINDNet(replace(network.config, normalization="none", smoothing=True))
    assert hidden_filters(twice) == plain | {f"smoother.{name}" for name in plain}
    for parameter in twice.parameters():
        parameter.requires_grad_(False)
    assert not hidden_filters(twice)


def layers() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 8, 3), nn.Conv2d(8, 8, 3, bias=False))


def optimizer_of(network: nn.Sequential) -> Muon:
    return Muon(
        [{"params": network[0].parameters()},
         {"params": network[1].parameters(), "lr": 0.02, "muon": True}],
        lr=1e-3,
    )  # fmt: skip


def steps(network: nn.Sequential, optimizer: Muon, count: int) -> list[float]:
    x = torch.randn(4, 3, 12, 12, generator=torch.Generator().manual_seed(1))
    losses = []

    def closure() -> float:
        optimizer.zero_grad()
        loss = (network(x) - 1).square().mean()
        loss.backward()
        return float(loss.detach())

    for _ in range(count):
        losses.append(optimizer.step(closure))
    return losses


def test_it_learns_and_takes_up_where_it_left() -> None:
    network = layers()
    optimizer = optimizer_of(network)
    losses = steps(network, optimizer, 150)
    assert losses[-1] < 0.5 * losses[0]

    other = copy.deepcopy(network)
    taken_up = optimizer_of(other)
    taken_up.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    steps(network, optimizer, 3)
    steps(other, taken_up, 3)
    for a, b in zip(network.parameters(), other.parameters(), strict=True):
        assert torch.equal(a, b)
