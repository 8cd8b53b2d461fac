"""What the repository's recipes say."""

from __future__ import annotations

from pathlib import Path

from aindnet.camera import CameraRecipe
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
