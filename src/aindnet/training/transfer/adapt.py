"""Adapting a model to a camera: a short training on real pairs, a choice, and a judgement.

The AIN modules, the noise estimator and the last convolution move (Kim et al., CVPR 2020, section
3.4); the other weights keep what pictures look like. Part of each batch is the pairs' clean sides
under simulated noise, so that other cameras are not forgotten. How far to go from the base weights
towards the adapted ones is chosen on held-out patches, and judged on others.
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytorch_lightning as pl  # noqa: TID253  (this file is imported by training runs only)
import torch
from pytorch_lightning.callbacks import Callback  # noqa: TID253
from torch import Tensor
from torch.utils.data import DataLoader

from aindnet.camera import simulate
from aindnet.camera.dead_leaves import dead_leaves
from aindnet.errors import TrainingDivergedError
from aindnet.network import AINDNet
from aindnet.pretrained.camera_profile import transfer_tensors
from aindnet.training.callbacks import (
    Budget,
    average_of_weights,
    interruptible,
    quiet_lightning,
)
from aindnet.training.losses import remembering_loss, restoration_loss
from aindnet.training.precision import (
    lightning_precision,
    runs_in_bf16,
)
from aindnet.training.schedule import parse_budget
from aindnet.training.transfer.batches import RealPairBatches, clean_enough
from aindnet.training.transfer.held_out import (
    Gain,
    between,
    bootstrap_gain,
    choose_share,
    decibels,
    noisy_errors,
    places_of,
    square_errors,
)
from aindnet.training.transfer.methods import (
    PROFILE_METHODS,
    finish,
    prepare,
    trainable,
)
from aindnet.training.transfer.pairs import (
    Division,
    PhotoPair,
    Region,
    divide,
    patches,
    whole,
)
from aindnet.training.transfer.recipe import RETRAIN_RATE, AdaptationRecipe

OTHER_CAMERAS = 32
"""Simulated cameras, at least, that forgetting is measured on."""
ELSEWHERE_SEED = 7_919
"""Beside a recipe's own, so that no made-up picture is one of those that were trained on."""

LEAST_TRAINING = 0.25
"""Share of a wall-clock budget that is trained in, however long choosing and judging take."""

Watcher = Callable[[float, float], None]
"""Told the share of the budget used, and the loss."""


@dataclass(frozen=True)
class Adaptation:
    """What came out."""

    network: AINDNet
    """The adapted network, in evaluation mode, on the CPU."""
    share: float
    """How far from the base towards the trained weights it lies."""
    gain: Gain
    """Over the base, on patches that neither trained nor chose."""
    over_noisy: float
    """dB over those patches as they are; below zero, noise so weak is not worth cleaning. NaN where
    it cannot be told (`Gain.decibels`)."""
    by_scene: bool
    """Whether those are of scenes that were not trained on."""
    steps: int
    seconds: float


def adapt(
    base: AINDNet,
    pairs: Sequence[PhotoPair],
    recipe: AdaptationRecipe | None = None,
    *,
    division: Division | None = None,
    watcher: Watcher | None = None,
) -> Adaptation:
    """Adapt a copy of `base` to the camera of `pairs`.

    Choosing and judging are within a budget of time. `division` replaces the automatic hold-out;
    `watcher` is told the share of the training done and the loss. Raises `TooFewPairsError`,
    `RecipeError` or `TrainingDivergedError`.
    """
    recipe = recipe or AdaptationRecipe()
    started = time.monotonic()
    division = division or divide(pairs, crop=recipe.crop, seed=recipe.seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.seed)  # for a scratch run's start
        network = prepare(copy.deepcopy(base).cpu().train(), recipe.method)
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's stub
    errors = _errors(recipe)
    chooses = recipe.method != "scratch" and bool(division.choosing)
    elsewhere = _other_cameras(division, recipe) if chooses else ()
    looking = time.monotonic()
    before = errors(base, division.judging)
    pace = (time.monotonic() - looking) / _pixels(division.judging)
    to_look_at = _pixels(division.judging)
    if chooses:
        tried = len(recipe.shares)
        to_look_at += tried * _pixels(division.choosing) + (1 + tried) * _pixels(elsewhere)
    around = time.monotonic() - started + pace * to_look_at
    steps = _train(network, division.training, _in_time(recipe, around), watcher)
    trained = finish(network)
    adapted, share = trained, 1.0
    if chooses:
        share = choose_share(
            base, trained, division.choosing, recipe.shares, errors, elsewhere, recipe.forgetting
        )
        adapted = between(base, trained, share)
    if share and recipe.method in PROFILE_METHODS:
        # What is judged is what a camera profile stores.
        stored = {name: value.float() for name, value in transfer_tensors(adapted).items()}
        adapted.load_state_dict(stored, strict=False)
    after = errors(adapted, division.judging)
    left = np.array([region.target_variance for region in division.judging])
    places = places_of(division.judging, by_scene=division.by_scene)
    gain = bootstrap_gain(before, after, left, places, seed=recipe.seed)
    over_noisy = decibels(noisy_errors(division.judging), after, left)
    seconds = time.monotonic() - started
    return Adaptation(adapted, share, gain, over_noisy, division.by_scene, steps, seconds)


def _pixels(regions: Sequence[Region]) -> int:
    return sum(region.height * region.width for region in regions)


def _in_time(recipe: AdaptationRecipe, around: float) -> AdaptationRecipe:
    """The recipe with that much less of its wall-clock budget, which choosing and judging take."""
    seconds, _ = parse_budget(recipe.budget)
    if seconds is None:
        return recipe
    left = max(seconds - around, LEAST_TRAINING * seconds)
    return replace(recipe, budget=f"{left:.3f}s")


def _errors(recipe: AdaptationRecipe) -> Callable[[AINDNet, Sequence[Region]], Any]:
    bf16 = runs_in_bf16(recipe.precision, "cpu")
    return lambda network, regions: square_errors(network, regions, bf16=bf16)


def _other_cameras(division: Division, recipe: AdaptationRecipe) -> tuple[Region, ...]:
    """Patches' clean sides, each as seen by another simulated camera, in 8 bits.

    The choosing patches', and where these are few the training's too: cameras differ far more than
    photos do, and a handful of them says nothing. Made-up pictures beside, of what the photos lack.
    """
    regions = division.choosing
    missing = OTHER_CAMERAS - len(regions)
    if missing > 0:
        regions += patches(division.training, recipe.crop, missing)
    generator = torch.Generator().manual_seed(recipe.seed + ELSEWHERE_SEED)
    pictures = [region.read(region.pair.clean) for region in clean_enough(regions)]
    made_up = OTHER_CAMERAS // 2 if recipe.leaves_share else 0
    if not pictures:
        made_up = OTHER_CAMERAS
    pictures += [dead_leaves(recipe.crop, generator) for _ in range(made_up)]
    seen = []
    for number, clean in enumerate(pictures):
        simulated = simulate(clean[None], generator, recipe.camera)
        a, b = (
            (side[0] * 255).round().to(torch.uint8).permute(1, 2, 0).numpy()
            for side in (simulated.noisy, simulated.clean)
        )
        seen.append(whole(PhotoPair(str(number), a, b, str(number))))
    return tuple(seen)


class _Watch(Callback):
    """Knows how much of the budget is used, and tells."""

    progress = 0.0

    def __init__(self, watcher: Watcher | None) -> None:
        self.watcher = watcher

    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Check the loss, and tell."""
        loss = float(outputs["loss"])
        if not math.isfinite(loss):
            raise TrainingDivergedError(
                "the adaptation diverged: lower its learning rate, and look at the photos with "
                "--check"
            )
        if self.watcher is not None:
            self.watcher(self.progress, loss)


class RealPairsTask(pl.LightningModule):
    """The distance of the denoised from the clean side of pairs; L1 in the paper, section 3.5.

    Of the simulated crops, the first of a batch, that of the denoised from what the network made of
    them before (`AdaptationRecipe.remember`).
    """

    def __init__(self, network: AINDNet, recipe: AdaptationRecipe) -> None:
        super().__init__()
        self.network, self.recipe = network, recipe
        self.remembered = recipe.simulated if recipe.remember and recipe.method != "scratch" else 0
        # In the network's own modes, so that nothing is lost before the first step.
        self.before = copy.deepcopy(network).requires_grad_(False) if self.remembered else None
        self.base: list[Tensor] = []

    def on_fit_start(self) -> None:
        """Remember the base's weights, where they are trained."""
        if self.recipe.pull:
            self.base = [p.detach().clone() for p in trainable(self.network).values()]

    def on_train_batch_end(self, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Pull the weights back towards the base's."""
        if not self.base:
            return
        rate = self.trainer.optimizers[0].param_groups[0]["lr"] * self.recipe.pull
        with torch.no_grad():
            torch._foreach_lerp_(
                [p.data for p in trainable(self.network).values()], self.base, min(rate, 1.0)
            )

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        """The loss of one step."""
        noisy, clean = batch
        noisy = noisy.contiguous(memory_format=torch.channels_last)
        denoised = self.network(noisy).denoised
        level = (noisy - clean).square().mean(dim=(1, 2, 3), keepdim=True).sqrt()
        kept = self.remembered
        loss = restoration_loss(denoised[kept:], clean[kept:], self.recipe.loss, level[kept:])
        if self.before is None:
            return loss
        with torch.no_grad():
            known = self.before(noisy[:kept]).denoised
        return loss + self.recipe.remember * remembering_loss(denoised[:kept], known, level[:kept])

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """AdamW on what the method updates."""
        recipe = self.recipe
        rate = RETRAIN_RATE if recipe.method == "retrain" else 1.0
        group = {"params": list(trainable(self.network).values()), "rate": rate}
        return torch.optim.AdamW(
            [group],
            lr=recipe.learning_rate * rate,
            weight_decay=recipe.weight_decay,
            betas=recipe.betas,
        )


def _train(
    network: AINDNet, regions: Sequence[Region], recipe: AdaptationRecipe, watcher: Watcher | None
) -> int:
    """Train in place; the averaged weights are left in the network. Returns the steps done."""
    watch = _Watch(watcher)
    budget = Budget(recipe, watch)
    batches = DataLoader(RealPairBatches(regions, recipe), batch_size=None)
    with quiet_lightning():
        trainer = pl.Trainer(
            accelerator=recipe.accelerator,
            devices=1,
            precision=lightning_precision(recipe.precision, recipe.accelerator),
            max_epochs=1,
            max_steps=-1 if budget.steps is None else budget.steps,
            gradient_clip_val=recipe.gradient_clip,
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            callbacks=[average_of_weights(recipe.ema_decay), budget, watch],
        )
        with interruptible():
            trainer.fit(RealPairsTask(network, recipe), batches)
    network.cpu()
    return trainer.global_step
