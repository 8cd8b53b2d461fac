"""How far the estimated noise level is off on simulated photos, by how strong the noise is.

    python tools/noise_levels.py recipes/fast.yaml --data DATA aindnet-medium aindnet-fast

Photos are those of the recipe's validation: its camera over crops of 192 pixels of photos that
training has not seen, of a mean true level from 1 to 50 of 255. Of each, the error is |estimate −
truth| / truth of the mean level over the photo and its channels, and of every pixel's level over
the mean one. In one pass of the plain network, in float32.

A second table is of the crops of `tools/crop_scores.py`: real pairs, whose true level is the root
mean square of noisy − clean (what is wrong with the clean sides counts as noise, too), and Kodak's
photos under white noise; of those without noise it is the mean level that is found.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from crop_scores import real_crops, white_crops

from aindnet.evaluation.report.markdown import markdown_table
from aindnet.network import AINDNet
from aindnet.pretrained import load_model
from aindnet.training.data import Batch, synthetic_validation
from aindnet.training.recipe import load_recipe
from aindnet.training.transfer.inspection import levels
from aindnet.training.transfer.pairs import PhotoPair

BANDS = (1, 2, 4, 8, 16, 50)
"""Levels of 255 between which photos are put together."""


@dataclass(frozen=True)
class Level:
    """Of one photo, on the 0 to 255 scale."""

    true: float
    estimated: float
    by_pixel: float
    """Mean |estimate − truth| of the pixels."""

    @property
    def error(self) -> float:
        """|estimate − truth| / truth."""
        return abs(self.estimated - self.true) / self.true


def levels_of(network: AINDNet, batches: Sequence[Batch]) -> list[Level]:
    """The true and the estimated level of every photo in the bands.

    Photos and levels are (B, C, H, W) on the [0, 1] scale; the levels found on the 0 to 255 scale.
    """
    found = []
    with torch.inference_mode():
        for batch in batches:
            assert batch.noise_level is not None
            estimated = network(batch.noisy).noise_level
            for true, guess in zip(batch.noise_level * 255, estimated * 255, strict=True):
                off = float((guess - true).abs().mean())
                level = Level(float(true.mean()), float(guess.mean()), off)
                if BANDS[0] <= level.true <= BANDS[-1]:
                    found.append(level)
    return found


def row_of(name: str, levels: Sequence[Level]) -> list[str]:
    """A row of the table: errors in percent."""
    errors = np.array([level.error for level in levels])
    by_pixel = np.array([level.by_pixel / level.true for level in levels])
    ratio = np.array([level.estimated / level.true for level in levels])
    cells = [name, str(len(levels))]
    cells += [f"{100 * value:.0f}" for value in (errors.mean(), np.median(errors))]
    cells += [f"{100 * by_pixel.mean():.0f}", f"{np.median(ratio):.2f}"]
    for low, high in pairwise(BANDS):
        inside = [e for e, level in zip(errors, levels, strict=True) if low <= level.true < high]
        cells.append(f"{100 * np.mean(inside):.0f} ({len(inside)})" if inside else "")
    return cells


def as_batch(pair: PhotoPair) -> Batch:
    """A pair with the level of its noise, alike all over the photo."""
    noisy, clean = (
        torch.from_numpy(levels(side)).permute(2, 0, 1)[None] / 255
        for side in (pair.noisy, pair.clean)
    )
    level = (noisy - clean).square().mean().sqrt()
    return Batch(noisy, clean, level.expand_as(noisy), pair.name)


def cell_of(network: AINDNet, pairs: Sequence[PhotoPair]) -> str:
    """Mean error in percent, and the median of estimate over truth; or the level of no noise."""
    batches = [as_batch(pair) for pair in pairs]
    if not any(bool(batch.noise_level.any()) for batch in batches if batch.noise_level is not None):
        with torch.inference_mode():
            found = [float(network(batch.noisy).noise_level.mean()) for batch in batches]
        return f"{255 * np.mean(found):.2f}"
    of_pairs = levels_of(network, batches)
    ratio = np.median([level.estimated / level.true for level in of_pairs])
    return f"{100 * np.mean([level.error for level in of_pairs]):.0f} ({ratio:.2f})"


def main() -> None:
    """Print a row for each model, in both tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("recipe", type=Path)
    parser.add_argument("models", nargs="+")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--photos", type=int, default=400)
    given = parser.parse_args()
    recipe = load_recipe(given.recipe)
    files = tuple(given.data / "clean" / path.name for path in recipe.validation)
    batches = synthetic_validation(
        replace(recipe, validation=files, synthetic_crops=given.photos, real_pairs=())
    )
    bands = [f"σ {low} to {high}" for low, high in pairwise(BANDS)]
    headings = ["off by, %", "photos", "mean", "median", "by pixel", "estimate/truth", *bands]
    networks = {name: load_model(name).network for name in given.models}
    rows = [row_of(name, levels_of(network, batches)) for name, network in networks.items()]
    print(markdown_table(headings, rows), end="\n\n", flush=True)

    sets = real_crops(given.data) | white_crops(given.data / "clean-test/kodak8")
    headings = ["off by, % (estimate/truth)", *(f"{name} ({len(of)})" for name, of in sets.items())]
    rows = [
        [name, *(cell_of(network, pairs) for pairs in sets.values())]
        for name, network in networks.items()
    ]
    print(markdown_table(headings, rows))


if __name__ == "__main__":
    main()
