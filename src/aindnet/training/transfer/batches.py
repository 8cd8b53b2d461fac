"""The batches of an adaptation: real pairs, and clean sides under simulated noise."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor
from torch.utils.data import IterableDataset

from aindnet.camera import simulate
from aindnet.camera.dead_leaves import dead_leaves
from aindnet.camera.measured import MeasuredNoise, measure_noise_of_pairs
from aindnet.errors import TooFewPairsError
from aindnet.training.transfer.pairs import Region, noise_by_scene, random_pairs
from aindnet.training.transfer.recipe import AdaptationRecipe

LEAVES = 32
"""Made-up pictures that one adaptation draws from."""

CLEAN_VARIANCE = (1 / 255) ** 2
"""Noise that may be left in a target that stands for a clean picture under simulated noise. The
mean of a few frames holds more: it would teach that the camera's own noise is to be kept."""


def clean_enough(regions: Sequence[Region]) -> list[Region]:
    """Those whose clean sides are as good as clean."""
    return [region for region in regions if region.target_variance <= CLEAN_VARIANCE]


class RealPairBatches(IterableDataset[tuple[Tensor, Tensor]]):
    """Noisy and clean crops (B, 3, crop, crop) without end; a batch is a function of its number."""

    def __init__(self, regions: Sequence[Region], recipe: AdaptationRecipe) -> None:
        self.regions, self.recipe = regions, recipe
        self.noise = _noise_of(regions) if recipe.own_share else None
        self.weights = noise_by_scene(regions) if recipe.by_noise else None
        self.clean = clean_enough(regions)
        self.leaves: list[Tensor] = []
        if recipe.simulated_share and (recipe.leaves_share or not self.clean):
            generator = torch.Generator().manual_seed(recipe.seed)
            self.leaves = [dead_leaves(recipe.crop, generator) for _ in range(LEAVES)]

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        recipe = self.recipe
        simulated = recipe.simulated
        for step in itertools.count():
            generator = torch.Generator().manual_seed(recipe.seed * 100_000_007 + step)
            noisy, clean = random_pairs(
                self.regions, recipe.batch, recipe.crop, generator, self.weights
            )
            made_up = math.ceil(recipe.leaves_share * simulated) if self.clean else simulated
            if made_up < simulated and len(self.clean) < len(self.regions):
                clean[:simulated] = random_pairs(self.clean, simulated, recipe.crop, generator)[1]
            for place in range(made_up if self.leaves else 0):
                index, turn = divmod(
                    int(torch.randint(0, 4 * LEAVES, (1,), generator=generator)), 4
                )
                clean[place] = self.leaves[index].rot90(turn, (1, 2))
            if simulated:
                seen = simulate(clean[:simulated], generator, recipe.camera)
                noisy[:simulated], clean[:simulated] = seen.noisy, seen.clean
            if self.noise is not None:
                own = slice(simulated, simulated + recipe.own)
                again = clean[own] + self.noise.sample(clean[own], generator)
                noisy[own] = (again.clamp(0, 1) * 255).round() / 255
            yield noisy, clean


def _noise_of(regions: Sequence[Region]) -> MeasuredNoise:
    try:
        return measure_noise_of_pairs(_with_own_noise_alone(region) for region in regions)
    except ValueError as error:
        raise TooFewPairsError(f"own_share: {error}") from error


def _with_own_noise_alone(region: Region) -> tuple[Tensor, Tensor]:
    """Noisy and clean side, their difference without the power of the noise left in the clean one,
    which is independent of the noisy one's.
    """
    noisy, clean = region.read(region.pair.noisy), region.read(region.pair.clean)
    power = float((noisy - clean).square().mean())
    kept = max(power - region.target_variance, 0.0) / max(power, 1e-12)
    return clean + kept**0.5 * (noisy - clean), clean
