"""tools/to_grey.py: a grey network that does what the colour one does to grey photos."""

from __future__ import annotations

import torch

from restore_networks import small_network
from tool_modules import load_tool


def test_equals_the_colour_network_where_all_channels_are_the_same() -> None:
    colour = small_network(unshuffle=2)
    with torch.no_grad():
        # Where the estimator treats the channels alike the two are the same; in what is averaged
        # over its ReLUs they are not.
        estimator = colour.noise_estimator
        for name in ("conv5", "conv6", "conv7"):
            layer = getattr(estimator, name)
            layer.weight.copy_(layer.weight.mean(0, keepdim=True).expand_as(layer.weight))
            layer.bias.copy_(layer.bias.mean().expand_as(layer.bias))
    grey = load_tool("to_grey").to_grey(colour)
    photo = torch.rand(2, 1, 40, 56, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        expected, given = colour(photo.expand(-1, 3, -1, -1)), grey(photo)
    assert (expected.denoised - photo).abs().mean() > 1e-3
    same = expected.denoised.mean(1, keepdim=True)
    torch.testing.assert_close(given.denoised, same, rtol=0, atol=1e-5)
    level = expected.noise_level.mean(1, keepdim=True)
    torch.testing.assert_close(given.noise_level, level, rtol=0, atol=1e-5)
