from __future__ import annotations

from typing import Any, cast

import pytest
import torch
from torch import nn

from aindnet.restore.backends.int8 import Int8Conv2d
from aindnet.restore.backends.tile_network import (
    GammaBeta,
    GivenPass,
    OwnPass,
    SlidingPass,
    TileNetwork,
    split_modulation,
)
from aindnet.restore.windows import mean_and_deviation
from restore_networks import COARSE_GRIDS, small_network

VARIANTS: list[dict[str, Any]] = [
    {},
    {"unshuffle": 2},
    {"modulation_stride": 4},
    {"one_plus_gamma": False},
    {"map_resize": "average", "coarse_stride": 4},
    {"resize": "tf1"},
    {"padding": "replicate", "unshuffle": 2},
    {"normalization": "running", "unshuffle": 2},
    {"normalization": "running", "one_plus_gamma": False, "modulation_stride": 4},
    {"normalization": "running", "map_limit": 0.02},
    {"normalization": "running", "feature_limit": 0.5, "unshuffle": 2},
    {"normalization": "running", "feature_limit": 0.5, "modulation": "none"},
    {"normalization": "running", "modulation": "none"},
    {"normalization": "running", "modulation": "gated"},
    {"normalization": "none", "unshuffle": 2, "feature_limit": 0.5},
    {"normalization": "none", "modulation": "none"},
    {"normalization": "none", "unshuffle": 2, "mean_limit": 0.1},
    {"mean_limit": 0.1},
    {"normalization": "none", "unshuffle": 2, "mean_limit": 0.1, "half_pass": 0.4},
    {"normalization": "running", "half_pass": 0.4},
    {"normalization": "none", "unshuffle": 2, "looks": 2},
    {"normalization": "none", "unshuffle": 2, "mean_limit": 0.1, "half_pass": 0.4, "looks": 2},
    {"normalization": "none", "smoothing": True},
    {"normalization": "running", "smoothing": True, "modulation_stride": 4},
    {
        "normalization": "none",
        "unshuffle": 2,
        "modulation_stride": 4,
        "feature_limit": 5,
        "map_limit": 0.1,
        "half_pass": 0.4,
        "smoothing": True,
    },
    {"normalization": "running", "unshuffle": 2, "smoothing": True, "colour_pass": True},
    *COARSE_GRIDS,
    {"modulation": "none"},
    {"modulation": "gated"},
    {"modulation": "concatenate"},
]


@pytest.mark.parametrize("config", VARIANTS, ids=str)
@torch.inference_mode()
def test_every_variant_computes_what_the_network_computes(config: dict[str, Any]) -> None:
    network = small_network(**config)
    tiles = torch.rand(2, 3, 64, 96, generator=torch.Generator().manual_seed(1))
    plain = network(tiles)
    fast = TileNetwork(network)
    both, measured_tensor = OwnPass(fast)(tiles)
    torch.testing.assert_close(tiles + both[:, :3], plain.denoised, atol=2e-5, rtol=0)
    torch.testing.assert_close(both[:, 3:], plain.noise_level, atol=1e-6, rtol=0)

    measured = measured_tensor.numpy()
    assert measured.shape == (2, 2, fast.statistic_channels)
    grid = torch.stack([torch.from_numpy(mean_and_deviation(m)) for m in measured])[..., None, None]
    torch.testing.assert_close(GivenPass(fast)(tiles, grid), both, atol=1e-5, rtol=0)

    # The same numbers at each node of a grid are the same everywhere between the nodes.
    rows, columns = (torch.rand(2, n, g).softmax(dim=-1) for n, g in ((64, 3), (96, 5)))
    everywhere = GivenPass(fast)(tiles, grid.expand(-1, -1, -1, 3, 5), rows, columns)
    torch.testing.assert_close(everywhere, both, atol=5e-5, rtol=0)


@pytest.mark.parametrize("in_eight_bits", [False, True])
@torch.inference_mode()
def test_gamma_and_beta_apart_are_the_halves_of_both(in_eight_bits: bool) -> None:
    torch.manual_seed(2)
    both: nn.Module = nn.Conv2d(8, 12, 3, padding=1)
    if in_eight_bits:
        both = Int8Conv2d(cast(nn.Conv2d, both), -1.0, 3.0)
    hidden = torch.rand(1, 8, 6, 7)
    gamma, beta = GammaBeta(both)(hidden)
    torch.testing.assert_close(torch.cat([gamma, beta], dim=1), both(hidden))


@pytest.mark.parametrize("config", VARIANTS, ids=str)
@torch.inference_mode()
def test_a_network_for_graphs_computes_the_same(config: dict[str, Any]) -> None:
    whole, apart = (TileNetwork(small_network(**config)) for _ in range(2))
    split_modulation(apart)
    tiles = torch.rand(1, 3, 64, 96, generator=torch.Generator().manual_seed(3))
    torch.testing.assert_close(
        OwnPass(apart)(tiles)[0], OwnPass(whole)(tiles)[0], atol=1e-5, rtol=0
    )


@torch.inference_mode()
def test_measured_statistics_are_those_of_the_first_layer() -> None:
    network = small_network()
    fast = TileNetwork(network)
    tiles = torch.rand(1, 3, 32, 32)
    first = torch.relu(network.stem1(tiles))
    mean, variance = OwnPass(fast)(tiles)[1][0, :, :6]
    torch.testing.assert_close(mean, first.mean(dim=(0, 2, 3)))
    torch.testing.assert_close(variance, first.var(dim=(0, 2, 3), correction=0))


@torch.inference_mode()
def test_a_window_wider_than_the_tile_has_the_tiles_statistics_in_the_middle() -> None:
    fast = TileNetwork(small_network(modulation="none"))
    tiles = torch.rand(1, 3, 64, 64)
    # Both sides end within two cells of the middle: the box there is nearly the tile.
    sliding = SlidingPass(fast, 64)(tiles)[:, :3, 30:34, 30:34]
    whole = OwnPass(fast)(tiles)[0][:, :3, 30:34, 30:34]
    assert (sliding - whole).abs().max() < 0.35 * whole.std()
