"""Everything that decides an adaptation."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import get_args

from aindnet.camera import CameraRecipe
from aindnet.errors import RecipeError
from aindnet.training.losses import RestorationLoss
from aindnet.training.precision import TrainingPrecision, check_precision
from aindnet.training.schedule import parse_budget
from aindnet.training.transfer.methods import Method

RETRAIN_RATE = 0.3
"""At the whole rate, 60 steps of retraining are so far off that nothing of them is taken."""


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
    remember: float = 0.3
    """Weight of what the simulated share asks for: the base's own results, held to by their square
    distance over a tenth of the noise ("Learning without Forgetting", Li and Hoiem, ECCV 2016).
    0: the clean sides, by `loss`, as the real pairs. A scratch run has no base to remember."""
    by_noise: bool = False
    """True: scenes are drawn in proportion to their noise; False: all alike."""
    own_share: float = 0.0
    """Share of a batch that is clean sides under new noise like the pairs' own, by brightness and
    spectrum (`camera.measured`)."""
    loss: RestorationLoss = "l1"
    """"l1", the paper's; "relative_l1": each image's over its noise + 10/255, so that loudly
    simulated photos do not outweigh a quiet camera's."""
    learning_rate: float = 1e-3
    """Of AdamW. "retrain", where all of a trained network moves, takes `RETRAIN_RATE` of it."""
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
        if not 0 <= self.remember < math.inf:
            raise RecipeError("remember: a number from 0 on")
        if self.simulated + self.own >= self.batch:
            raise RecipeError(
                f"a batch of {self.batch} has no place for a real pair: {self.simulated} simulated "
                f"crops and {self.own} under the pairs' own noise; a larger batch or lower shares"
            )
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

    @property
    def simulated(self) -> int:
        """Crops of a batch under simulated noise."""
        return round(self.simulated_share * self.batch)

    @property
    def own(self) -> int:
        """Crops of a batch under new noise like the pairs' own."""
        return round(self.own_share * self.batch)
