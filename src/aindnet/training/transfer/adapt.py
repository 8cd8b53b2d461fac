"""Adapting a model to a camera: a short training on real pairs, a choice, and a judgement.

The AIN modules, the noise estimator and the last convolution move (Kim et al., CVPR 2020, section
3.4); the other weights keep what pictures look like. Part of each batch is the pairs' clean sides
under simulated noise, so that other cameras are not forgotten. How far to go from the base weights
towards the adapted ones is chosen on held-out patches, and judged on others.
"""

from __future__ import annotations

import copy
import itertools
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, get_args

import numpy as np
import pytorch_lightning as pl  # noqa: TID253  (this file is imported by training runs only)
import torch
from pytorch_lightning.callbacks import Callback  # noqa: TID253
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset

from aindnet.camera import CameraRecipe, simulate
from aindnet.camera.dead_leaves import dead_leaves
from aindnet.camera.measured import MeasuredNoise, measure_noise_of_pairs
from aindnet.errors import RecipeError, TooFewPairsError, TrainingDivergedError
from aindnet.network import AINDNet
from aindnet.pretrained.camera_profile import transfer_tensors
from aindnet.training.callbacks import (
    Budget,
    average_of_weights,
    interruptible,
    quiet_lightning,
)
from aindnet.training.losses import RestorationLoss, restoration_loss
from aindnet.training.precision import (
    TrainingPrecision,
    check_precision,
    lightning_precision,
    runs_in_bf16,
)
from aindnet.training.schedule import parse_budget
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
    Method,
    finish,
    prepare,
    trainable,
)
from aindnet.training.transfer.pairs import (
    Division,
    PhotoPair,
    Region,
    divide,
    noise_by_scene,
    patches,
    random_pairs,
    whole,
)

OTHER_CAMERAS = 32
"""Simulated cameras, at least, that forgetting is measured on."""

LEAVES = 32
"""Made-up pictures that one adaptation draws from."""

CLEAN_VARIANCE = (1 / 255) ** 2
"""Noise that may be left in a target that stands for a clean picture under simulated noise. The
mean of a few frames holds more: it would teach that the camera's own noise is to be kept."""

Watcher = Callable[[float, float], None]
"""Told the share of the budget used, and the loss."""


@dataclass(frozen=True)
class AdaptationRecipe:
    """Everything that decides an adaptation."""

    method: Method = "transfer"
    """"transfer" (AIN modules, estimator, last convolution), a part of these ("modulation",
    "low_rank", "gains"), or all weights ("retrain", "scratch")."""
    budget: str = "10m"
    """Wall-clock time ("10m") or steps ("400 steps")."""
    crop: int = 128
    """Pixels."""
    batch: int = 8
    simulated_share: float = 0.5
    """Share of a batch that is clean sides under simulated noise, against forgetting."""
    leaves_share: float = 0.5
    """Share of those whose clean side is a made-up picture (`camera.dead_leaves`) instead: a few
    photos of one scene may hold little that could be blurred."""
    camera: CameraRecipe = field(default_factory=lambda: CameraRecipe(white=0.25))
    """The cameras of that share."""
    by_noise: bool = False
    """True: scenes are drawn in proportion to their noise; False: all alike."""
    own_share: float = 0.0
    """Share of a batch that is clean sides under new noise like the pairs' own, by brightness and
    spectrum (`camera.measured`)."""
    loss: RestorationLoss = "l1"
    """"l1", the paper's; "relative_l1": each image's over its noise + 10/255, so that loudly
    simulated photos do not outweigh a quiet camera's."""
    learning_rate: float = 3e-4
    weight_decay: float = 0.0
    pull: float = 0.0
    """Share of the way back to the base weights that each step takes, times the learning rate:
    decoupled L2-SP (Li et al., "Explicit Inductive Bias for Transfer Learning", ICML 2018)."""
    betas: tuple[float, float] = (0.9, 0.99)
    gradient_clip: float = 1.0
    warmup: float = 0.05
    flat: float = 0.3
    ema_decay: float = 0.99
    shares: tuple[float, ...] = (0.0, 0.25, 0.5, 0.75, 1.0)
    """Ways from the base weights (0) to the adapted ones (1) that are tried on held-out patches;
    a scratch run has no base to mix with."""
    forgetting: float = 0.1
    """dB that may be lost on clean sides under simulated noise of many cameras
    (`held_out.choose_share`): a share that loses more is not chosen, unless it is the first of
    `shares`."""
    seed: int = 0
    precision: TrainingPrecision = "auto"
    """"bf16" (autocast), "fp32", or "auto": bf16 where the hardware multiplies in it."""
    accelerator: str = "auto"

    def __post_init__(self) -> None:
        parse_budget(self.budget)
        if not 0 <= self.simulated_share < 1:
            raise RecipeError("simulated_share: from 0 to below 1")
        if not 0 <= self.leaves_share <= 1:
            raise RecipeError("leaves_share: from 0 to 1")
        if not 0 <= self.own_share < 1 or self.simulated_share + self.own_share >= 1:
            raise RecipeError("own_share: from 0, and with simulated_share below 1")
        check_precision(self.precision)
        if self.crop < 32 or self.batch < 1:
            raise RecipeError("a crop of 32 pixels and a batch of 1 are the least")
        if self.learning_rate <= 0 or not 0 <= self.ema_decay < 1:
            raise RecipeError("learning_rate: above 0; ema_decay: from 0 to below 1")
        for name, known in (("method", get_args(Method)), ("loss", get_args(RestorationLoss))):
            if getattr(self, name) not in known:
                raise RecipeError(
                    f"{name} {getattr(self, name)!r}: there is no such; choose {', '.join(known)}"
                )
        if not self.shares or not all(0 <= share <= 1 for share in self.shares):
            raise RecipeError("shares: one or more numbers from 0 to 1")
        if not 0 <= self.seed < 2**31:
            raise RecipeError("seed: from 0 to 2147483647")


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
    """dB over those patches as they are; below zero, noise so weak is not worth cleaning."""
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

    `division` replaces the automatic hold-out; `watcher` is told the share of the budget used and
    the loss. Raises `TooFewPairsError`, `RecipeError` or `TrainingDivergedError`.
    """
    recipe = recipe or AdaptationRecipe()
    started = time.monotonic()
    division = division or divide(pairs, crop=recipe.crop, seed=recipe.seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.seed)  # for a scratch run's start
        network = prepare(copy.deepcopy(base).cpu().train(), recipe.method)
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's stub
    steps = _train(network, division.training, recipe, watcher)
    trained = finish(network)
    adapted, share = trained, 1.0
    if recipe.method != "scratch" and division.choosing:
        share = choose_share(
            base, trained, division.choosing, recipe.shares, _errors(recipe),
            _other_cameras(division, recipe), recipe.forgetting,
        )  # fmt: skip
        adapted = between(base, trained, share)
    if share and recipe.method in PROFILE_METHODS:
        # What is judged is what a camera profile stores.
        stored = {name: value.float() for name, value in transfer_tensors(adapted).items()}
        adapted.load_state_dict(stored, strict=False)
    errors = _errors(recipe)
    after = errors(adapted, division.judging)
    left = np.array([region.target_variance for region in division.judging])
    gain = bootstrap_gain(
        errors(base, division.judging), after, left, places_of(division.judging), seed=recipe.seed
    )
    over_noisy = decibels(noisy_errors(division.judging), after, left)
    seconds = time.monotonic() - started
    return Adaptation(adapted, share, gain, over_noisy, division.by_scene, steps, seconds)


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
    generator = torch.Generator().manual_seed(recipe.seed)
    pictures = [region.read(region.pair.clean) for region in _clean(regions)]
    made_up = OTHER_CAMERAS // 2 if recipe.leaves_share else 0
    if not pictures:
        made_up = OTHER_CAMERAS
    pictures += [dead_leaves(recipe.crop, generator) for _ in range(made_up)]
    seen = []
    for number, clean in enumerate(pictures):
        noisy = simulate(clean[None], generator, recipe.camera).noisy[0]
        a, b = (
            (side * 255).round().to(torch.uint8).permute(1, 2, 0).numpy() for side in (noisy, clean)
        )
        seen.append(whole(PhotoPair(str(number), a, b, str(number))))
    return tuple(seen)


def _clean(regions: Sequence[Region]) -> list[Region]:
    """Those whose clean sides are as good as clean."""
    return [region for region in regions if region.target_variance <= CLEAN_VARIANCE]


class _Batches(IterableDataset[tuple[Tensor, Tensor]]):
    """Noisy and clean crops (B, 3, crop, crop) without end; a batch is a function of its number."""

    def __init__(self, regions: Sequence[Region], recipe: AdaptationRecipe) -> None:
        self.regions, self.recipe = regions, recipe
        self.noise = _noise_of(regions) if recipe.own_share else None
        self.weights = noise_by_scene(regions) if recipe.by_noise else None
        self.clean = _clean(regions)
        self.leaves: list[Tensor] = []
        if recipe.simulated_share and (recipe.leaves_share or not self.clean):
            generator = torch.Generator().manual_seed(recipe.seed)
            self.leaves = [dead_leaves(recipe.crop, generator) for _ in range(LEAVES)]

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        recipe = self.recipe
        simulated = round(recipe.simulated_share * recipe.batch)
        for step in itertools.count():
            generator = torch.Generator().manual_seed(recipe.seed * 100_000_007 + step)
            noisy, clean = random_pairs(
                self.regions, recipe.batch, recipe.crop, generator, self.weights
            )
            made_up = round(recipe.leaves_share * simulated) if self.clean else simulated
            if made_up < simulated and len(self.clean) < len(self.regions):
                clean[:simulated] = random_pairs(self.clean, simulated, recipe.crop, generator)[1]
            for place in range(made_up if self.leaves else 0):
                index, turn = divmod(
                    int(torch.randint(0, 4 * LEAVES, (1,), generator=generator)), 4
                )
                clean[place] = self.leaves[index].rot90(turn, (1, 2))
            if simulated:
                noisy[:simulated] = simulate(clean[:simulated], generator, recipe.camera).noisy
            if self.noise is not None:
                own = slice(simulated, simulated + round(recipe.own_share * recipe.batch))
                again = clean[own] + self.noise.sample(clean[own], generator)
                noisy[own] = (again.clamp(0, 1) * 255).round() / 255
            yield noisy, clean


def _noise_of(regions: Sequence[Region]) -> MeasuredNoise:
    try:
        return measure_noise_of_pairs(
            [(region.read(region.pair.noisy), region.read(region.pair.clean)) for region in regions]
        )
    except ValueError as error:
        raise TooFewPairsError(f"own_share: {error}") from error


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
    """The distance of the denoised from the clean side of pairs; L1 in the paper, section 3.5."""

    def __init__(self, network: AINDNet, recipe: AdaptationRecipe) -> None:
        super().__init__()
        self.network, self.recipe = network, recipe
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
        output = self.network(noisy.contiguous(memory_format=torch.channels_last))
        level = (noisy - clean).square().mean(dim=(1, 2, 3), keepdim=True).sqrt()
        return restoration_loss(output.denoised, clean, self.recipe.loss, level)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """AdamW on what the method updates."""
        recipe = self.recipe
        return torch.optim.AdamW(
            list(trainable(self.network).values()),
            lr=recipe.learning_rate,
            weight_decay=recipe.weight_decay,
            betas=recipe.betas,
        )


def _train(
    network: AINDNet, regions: Sequence[Region], recipe: AdaptationRecipe, watcher: Watcher | None
) -> int:
    """Train in place; the averaged weights are left in the network. Returns the steps done."""
    watch = _Watch(watcher)
    budget = Budget(recipe, watch)
    batches = DataLoader(_Batches(regions, recipe), batch_size=None)
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
