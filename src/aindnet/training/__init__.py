"""Training: recipes, photos made noisy on the device, losses, a schedule that ends on time."""

from aindnet.training.losses import asymmetric_loss, restoration_loss, synthetic_noise_loss
from aindnet.training.recipe import TrainingRecipe, load_recipe
from aindnet.training.schedule import budget_factor, parse_budget

__all__ = [
    "TrainingRecipe",
    "asymmetric_loss",
    "budget_factor",
    "load_recipe",
    "parse_budget",
    "restoration_loss",
    "synthetic_noise_loss",
]
