"""What the repository's recipes say."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from aindnet.camera import CameraRecipe, simulate
from aindnet.network import AINDNetConfig
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


def test_the_flags_that_a_recipe_s_comment_names_are_flags() -> None:
    flags = "--network.channels 64 128 256 --network.modulation-channels 64"
    flags += " --network.modulation-stride 1 --network.unshuffle 1 --budget 25m"
    recipe = load_recipe(RECIPES / "gaussian.yaml", flags.split())
    assert recipe.network.channels == (64, 128, 256)
    assert recipe.network.unshuffle == 1
