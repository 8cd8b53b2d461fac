"""tools/add_smoothing.py: a smoother with the weights of a denoiser for white noise."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from aindnet.network import AINDNet
from restore_networks import small_network
from tool_modules import load_tool

add_smoothing = load_tool("add_smoothing").add_smoothing


@torch.inference_mode()
def test_the_smoother_does_what_the_denoiser_for_white_noise_does() -> None:
    first = small_network(normalization="none", unshuffle=2, mean_limit=0.05)
    white = AINDNet(replace(first.config, mean_limit=None)).eval()
    white.head.weight.normal_(std=0.01)
    for name, parameter in white.named_parameters():
        if "gamma_beta.weight" in name:
            parameter.normal_(std=0.1)
    both = add_smoothing(first, white, half_pass=0.4)
    assert (both.config.smoothing, both.config.half_pass) == (True, 0.4)
    photo = torch.rand(2, 3, 64, 96, generator=torch.Generator().manual_seed(0))
    white.noise_estimator.conv5.weight.zero_()  # the map that it sees is the same all over
    expected = white(photo)
    assert (expected.denoised - photo).abs().mean() > 1e-4
    found = photo + both.smoother(photo, expected.noise_level)
    torch.testing.assert_close(found, expected.denoised, rtol=0, atol=1e-6)
    less = photo + both.smoother(photo, 0.5 * expected.noise_level)
    assert (less - found).abs().max() > 1e-6  # the level counts
    for name, value in first.state_dict().items():
        assert torch.equal(both.state_dict()[name], value)


def test_both_are_of_one_architecture() -> None:
    first = small_network(normalization="none")
    with pytest.raises(ValueError, match="one architecture"):
        add_smoothing(first, small_network(normalization="none", unshuffle=2), half_pass=None)


def test_a_smoother_is_taken_from_a_model_that_has_one() -> None:
    torch.manual_seed(0)
    old, first = (small_network(normalization="none", unshuffle=2) for _ in range(2))
    before = AINDNet(replace(old.config, smoothing=True, colour_pass=True))
    both = add_smoothing(first, before, half_pass=0.4)
    assert (both.config.half_pass, both.config.colour_pass) == (0.4, True)
    smoother = {f"smoother.{name}": value for name, value in before.smoother.state_dict().items()}
    for name, value in (first.state_dict() | smoother).items():
        assert torch.equal(both.state_dict()[name], value), name
