"""tools/add_second_look.py: a second look that starts as the first one's equal."""

from __future__ import annotations

import torch

from restore_networks import small_network
from tool_modules import load_tool


@torch.inference_mode()
def test_the_second_look_does_to_the_photo_what_the_first_does() -> None:
    once = small_network(normalization="none", unshuffle=2)
    once.noise_estimator.conv5.weight.zero_()  # a map that is the same before and after averaging
    both = load_tool("add_second_look").add_second_look(
        once, half_pass=None, modulation_channels=10
    )
    assert both.config.second_weights
    photo = torch.rand(2, 3, 64, 96, generator=torch.Generator().manual_seed(0))
    expected = once(photo)
    assert (expected.denoised - photo).abs().mean() > 1e-4
    level = expected.noise_level
    assert both.second is not None
    found = photo + both.second(photo, expected.denoised, level, 0 * level)
    torch.testing.assert_close(found, expected.denoised, rtol=0, atol=1e-5)


def test_what_it_does_not_listen_to_yet_can_be_learned() -> None:
    once = small_network(normalization="none", unshuffle=2)
    both = load_tool("add_second_look").add_second_look(once, half_pass=0.4, modulation_channels=10)
    assert both.config.half_pass == 0.4
    assert both.second is not None
    photo = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    both(photo).denoised.square().mean().backward()
    result = both.second.stem1.weight.grad
    assert result is not None
    assert result[:, 12:].abs().max() > 0
    modulation = both.second.encoder1[0].norm1
    assert modulation.gamma_beta.weight.grad[:, 6:].abs().max() > 0
    assert modulation.conv.weight.grad[:6, 3:].abs().max() > 0
