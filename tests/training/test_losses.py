"""The losses' signs and minima: an inverted or collapsing loss fails here."""

from __future__ import annotations

import pytest
import torch

from aindnet.network import AINDNet, AINDNetConfig, AINDNetOutput
from aindnet.training.losses import (
    asymmetric_loss,
    noise_level_loss,
    remembering_loss,
    restoration_loss,
    synthetic_noise_loss,
)


def output(denoised: torch.Tensor, level: float) -> AINDNetOutput:
    full = torch.full_like(denoised, level)
    return AINDNetOutput(denoised, full, full[..., ::8, ::8], full)


def test_under_estimation_costs_three_times_over_estimation() -> None:
    truth = torch.full((2, 3, 16, 16), 0.1)
    under, over = asymmetric_loss(truth - 0.05, truth), asymmetric_loss(truth + 0.05, truth)
    assert under == pytest.approx(0.75 * 0.05**2)
    assert over == pytest.approx(0.25 * 0.05**2)


def test_the_estimator_s_loss_is_least_at_the_truth_not_at_zero() -> None:
    x, truth = torch.rand(1, 3, 32, 32), torch.full((1, 3, 32, 32), 0.08)
    losses = {s: float(noise_level_loss(output(x, s), truth)) for s in (0.0, 0.04, 0.08, 0.16)}
    assert min(losses, key=losses.get) == 0.08
    assert losses[0.0] == max(losses.values())
    assert losses[0.08] == pytest.approx(0.0, abs=1e-12)


def test_the_weights_of_the_scales_are_the_paper_s() -> None:
    truth = torch.full((1, 3, 32, 32), 0.1)
    right, wrong = truth, torch.zeros_like(truth)
    only_fine = AINDNetOutput(truth, truth, right[..., ::8, ::8], wrong)
    only_coarse = AINDNetOutput(truth, truth, wrong[..., ::8, ::8], right)
    fine, coarse = (float(noise_level_loss(o, truth)) for o in (only_fine, only_coarse))
    assert coarse / fine == pytest.approx(4.0, rel=1e-4)
    assert fine == pytest.approx(0.2 * 0.75 * 0.01, rel=1e-4)


def test_a_training_step_moves_the_estimate_towards_the_truth() -> None:
    """Both ways: a map that is too low rises, one that is too high falls; none collapses."""
    for truth_level in (0.02, 0.3):
        torch.manual_seed(0)
        config = AINDNetConfig(channels=(8, 8, 8), encoder_blocks=(1, 1, 1), decoder_blocks=(1, 1))
        network = AINDNet(config)
        clean = torch.rand(2, 3, 32, 32)
        truth = torch.full_like(clean, truth_level)
        optimizer = torch.optim.Adam(network.parameters(), lr=1e-3)
        before = None
        for _ in range(40):
            out = network(clean)
            mean = float(out.noise_level.detach().mean())
            before = mean if before is None else before
            optimizer.zero_grad()
            synthetic_noise_loss(out, clean, truth, estimator_weight=1.0).total.backward()
            optimizer.step()
        assert abs(mean - truth_level) < abs(before - truth_level)
        assert mean > 0


def test_log_mse_counts_decibels() -> None:
    clean = torch.zeros(1, 3, 8, 8)
    one, ten = (
        restoration_loss(clean + 0.3, clean, "log_mse"),
        restoration_loss(clean + 0.03, clean, "log_mse"),
    )
    decibels = (one - ten) * 20 / torch.log(torch.tensor(10.0))
    assert decibels == pytest.approx(20.0, abs=0.1)
    assert restoration_loss(clean + 0.3, clean) == pytest.approx(0.3)


def test_relative_l1_weighs_images_by_their_noise() -> None:
    clean = torch.zeros(2, 3, 8, 8)
    level = torch.tensor([10 / 255, 90 / 255]).reshape(2, 1, 1, 1).expand_as(clean)
    error = torch.tensor([0.02, 0.1]).reshape(2, 1, 1, 1).expand_as(clean)
    loss = restoration_loss(error, clean, "relative_l1", level)
    assert loss == pytest.approx((0.02 / (20 / 255) + 0.1 / (100 / 255)) / 2)
    with pytest.raises(ValueError, match="noise level"):
        restoration_loss(error, clean, "relative_l1")


def test_what_moves_by_a_tenth_of_the_noise_costs_as_in_l1() -> None:
    known = torch.full((2, 3, 8, 8), 0.5)
    levels = torch.tensor([0.0, 0.3])[:, None, None, None]
    steps = 0.1 * levels + 2 / 255
    assert remembering_loss(known, known, levels) == 0
    assert remembering_loss(known + steps, known, levels) == pytest.approx(
        float(steps.mean()), rel=1e-5
    )
    half = remembering_loss(known + steps / 2, known, levels)
    assert half == pytest.approx(float(steps.mean()) / 4, rel=1e-5)
