"""What the repository's recipes say."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from aindnet.camera import CameraRecipe, simulate
from aindnet.network import AINDNet, AINDNetConfig
from aindnet.training import load_recipe

RECIPES = Path(__file__).parents[2] / "recipes"


def test_the_paper_s_recipe_has_the_paper_s_camera_network_and_losses() -> None:
    recipe = load_recipe(RECIPES / "paper.yaml")
    assert recipe.camera == CameraRecipe.paper()
    assert recipe.network == AINDNetConfig()
    assert recipe.stages == ((0.0, 256, 8),)
    assert (recipe.loss, recipe.estimator_loss) == ("l1", "squared")
    assert recipe.estimator_weight == 0.05
    assert recipe.soft_content == 0
    assert recipe.optimizer == "adamw"
    assert not recipe.detach_noise_level


@pytest.mark.parametrize(("name", "channels"), [("gaussian", 3), ("gaussian_grey", 1)])
def test_the_gaussian_recipes_make_white_noise_and_nothing_else(name: str, channels: int) -> None:
    recipe = load_recipe(RECIPES / f"{name}.yaml")
    assert recipe.network.image_channels == channels
    clean = torch.full((64, 3, 48, 48), 0.02)
    noisy, level, _ = simulate(clean, torch.Generator().manual_seed(0), recipe.camera)
    noise = noisy - clean
    assert noisy.min() < 0  # as the sets have it: not clipped
    sigma = level.mean(dim=(1, 2, 3))
    assert float(sigma.min()) < 2 / 255
    assert 30 / 255 < float(sigma.max()) <= 60 / 255 + 1e-4
    assert torch.allclose(noise.flatten(1).std(dim=1), sigma, rtol=0.05)
    neighbours = (noise[..., 1:] * noise[..., :-1]).mean(dim=(1, 2, 3)) / sigma**2
    assert float(neighbours.abs().max()) < 0.08


@pytest.mark.parametrize(("name", "channels"), [("gaussian", 3), ("gaussian_grey", 1)])
def test_the_flags_for_the_full_network_make_it(name: str, channels: int) -> None:
    path = RECIPES / f"{name}.yaml"
    comment = path.read_text("utf-8").replace("\n# ", " ")
    flags = comment.partition("The full network, on a GPU: ")[2].partition(";")[0].split()
    assert "--budget" in flags
    network = load_recipe(path, flags).network
    same = {
        each: getattr(network, each) for each in ("normalization", "map_limit", "feature_limit")
    }
    assert network == replace(AINDNetConfig(image_channels=channels), **same)
    if channels == 3:
        with torch.device("meta"):
            weights = sum(each.numel() for each in AINDNet(network).parameters())
        assert weights == 13_764_014


def test_the_full_recipe_has_the_content_and_camera_of_the_fast_one() -> None:
    full, fast = (load_recipe(RECIPES / f"{name}.yaml") for name in ("full", "fast"))
    for name in ("camera", "processed", "soft_content", "soft_range", "patterns", "low_contrast"):
        assert getattr(full, name) == getattr(fast, name), name
    assert replace(full.network, normalization="instance", map_limit=None, feature_limit=None,
                   mean_limit=None) == AINDNetConfig()  # fmt: skip
