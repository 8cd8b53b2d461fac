"""A training recipe: one YAML file, one dataclass, every field a flag of `aindnet train`."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from aindnet.camera import CameraRecipe
from aindnet.errors import RecipeError
from aindnet.network import AINDNetConfig
from aindnet.training.losses import EstimatorLoss, RestorationLoss
from aindnet.training.photos import TILE
from aindnet.training.precision import TrainingPrecision, check_precision
from aindnet.training.recipe_files import read_recipe
from aindnet.training.schedule import parse_budget

HELD_OUT = 0.05
"""Share of own photos that validation takes where the recipe's are not there."""


@dataclass(frozen=True)
class PhotosOfAKind:
    """A part of each batch whose content and camera are not the recipe's.

    Content and noise go together: a full-resolution JPEG of a camera that reduces noise is soft,
    and so is what is left of its noise. Drawn apart, as in the rest of the batch, either tells
    nothing of the other.
    """

    share: float = 0.0
    """Of each batch, rounded to whole images; the synthetic validation set has none."""
    soft_content: float = 0.5
    soft_range: tuple[float, float] = (1.0, 2.2)
    low_contrast: float = 0.0
    contrast_range: tuple[float, float] = (0.25, 1.0)
    camera: CameraRecipe = field(default_factory=CameraRecipe)


@dataclass(frozen=True)
class TrainingRecipe:
    """Everything that decides a training run."""

    name: str
    """Name of the model that comes out."""
    data: tuple[Path, ...]
    """Clean photos: folders of image files, and tar shards of tiles."""
    output: Path = Path("runs")
    """Folder for the run: OUTPUT/NAME holds checkpoints, logs and the model."""
    validation: tuple[Path, ...] = ()
    """Clean photos for the synthetic validation set; never trained on."""
    hold_out: float = 0.0
    """Share of the tiles of `data`, its last ones, that are the synthetic validation set where
    `validation` names none, whole photos where that is about as many; never trained on. As a flag
    without --validation it goes before the file's `validation`."""
    real_pairs: tuple[Path, ...] = ()
    """Folders with noisy/ and clean/ for validation on real noise; never trained on."""
    budget: str = "2h"
    """Wall-clock time ("25m", "2h") or steps ("2000 steps"); the schedule ends exactly there."""
    network: AINDNetConfig = field(default_factory=AINDNetConfig)
    camera: CameraRecipe = field(default_factory=CameraRecipe)
    initial: str | None = None
    """Model (name or file) whose weights the run starts from."""
    stages: tuple[tuple[float, int, int], ...] = ((0.0, 128, 16),)
    """(from this share of the budget, crop in pixels, images a step and device)."""
    white_first: float = 0.0
    """Share of the budget over which the camera's `white` falls from 1 to its own value: what
    denoising is, is learned from white noise in minutes, and from all kinds at once in hours."""
    soft_content: float = 0.5
    """Probability that a crop is upsampled: full-resolution photos are softer than reduced ones."""
    soft_range: tuple[float, float] = (1.0, 2.2)
    """Factor of that upsampling."""
    low_contrast: float = 0.0
    """Probability that a crop's contrast is lowered: a crop of a full-resolution photo is flatter
    than as many pixels of a photo that was made smaller."""
    contrast_range: tuple[float, float] = (0.25, 1.0)
    """Factor on the contrast then, log-uniform."""
    patterns: float = 0.0
    """Probability that a crop is of flat patches of strong colour, as signs and screens are: photos
    hold few, and colours that change every few pixels are easily taken for noise."""
    processed: PhotosOfAKind = field(default_factory=PhotosOfAKind)
    """Photos as cameras' own processing leaves them, beside the others."""
    remember: float = 0.0
    """Weight of what is asked of the photos that are not `processed`, where a run goes on from
    `initial`: that model's own results, by `losses.remembering_loss`, in place of the clean photos
    by `loss`. So the kind that is `processed` is learned at the others' cost least. 0: all are
    asked for their clean photos."""
    loss: RestorationLoss = "l1"
    """"l1" (paper), "relative_l1" (each image's over its noise level) or "log_mse"."""
    estimator_loss: EstimatorLoss = "squared"
    """"squared" (paper) or "relative": the error as a share of the noise level."""
    estimator_weight: float = 0.05
    """Weight of the asymmetric noise-level loss."""
    trains: Literal["all", "smoothing"] = "all"
    """Which weights: "smoothing", those of `network.smoothing` alone, as `training.smoothing` says;
    the rest stay as they are in `initial`, and cost no pass."""
    detach_noise_level: bool = False
    """True: the estimator learns from its own loss alone; False: from both (paper)."""
    optimizer: Literal["adamw", "muon", "soap"] = "adamw"
    """"muon": orthogonalised updates for the convolutions inside, AdamW for the rest; "soap": Adam
    in the eigenbases of Shampoo's preconditioners, for all (Vyas et al., "SOAP: Improving and
    stabilizing Shampoo using Adam", 2024; needs the extra `soap`)."""
    learning_rate: float = 4e-4
    """AdamW's, or SOAP's."""
    muon_learning_rate: float = 0.02
    modulation_rate: float = 1.0
    """Factor on both learning rates for the AIN modules: under statistics that are constants, γ and
    β multiply from layer to layer with nothing to hold them."""
    weight_decay: float = 1e-4
    """AdamW's, or SOAP's, of filters; those that Muon updates never decay."""
    betas: tuple[float, float] = (0.9, 0.99)
    gradient_clip: float = 1.0
    """Largest norm of the gradient; 0: any."""
    warmup: float = 0.02
    """Share of the budget in which the learning rate rises."""
    flat: float = 0.4
    """Share of the budget after which it falls."""
    own_batch: float = 1.0
    """Share of the budget in which `normalization: running` takes each batch's own statistics;
    after it, the running ones as they are then, as inference does."""
    ema_decay: float = 0.999
    """Exponential moving average of the weights; shorter at the start of a run."""
    seed: int = 0
    precision: TrainingPrecision = "auto"
    """"bf16" (autocast), "fp32", or "auto": bf16 where the hardware multiplies in it."""
    compile: bool = False
    """torch.compile the network."""
    accelerator: str = "auto"
    """Lightning's: "auto", "cpu", "gpu", "mps"."""
    devices: int = 1
    nodes: int = 1
    strategy: str = "auto"
    """Lightning's: "auto", "ddp", …"""
    validate_every: str = "5m"
    """Time or steps between validations."""
    checkpoint_every: str = "4m"
    """Time or steps between checkpoints."""
    synthetic_crops: int = 32
    """Crops in the synthetic validation set."""
    licence: str = "Apache-2.0"
    """Of the weights: at most as free as the data allow."""
    description: str = ""
    trained_on: str = ""
    """Data and their licences, for the model card."""

    def __post_init__(self) -> None:
        if self.name in ("", "..") or Path(self.name).name != self.name:
            raise RecipeError(
                f"recipe: name {self.name!r} must be that of a file, without a slash; folders go "
                "before it by `output`"
            )
        if self.initial == "":
            raise RecipeError("recipe: `initial` is empty: name a model, or leave it out")
        if not self.data:
            raise RecipeError("recipe: `data` names no clean photos; give folders or tar shards")
        if self.trains not in ("all", "smoothing"):
            raise RecipeError(f"recipe: trains {self.trains!r}; choose all or smoothing")
        if self.trains == "smoothing" and (
            self.remember
            or self.compile
            or self.processed.share
            or any(batch < 2 for _, _, batch in self.stages)
        ):
            raise RecipeError(
                "recipe: `trains: smoothing` needs two images a step at least, and knows no "
                "`remember`, `compile` or `processed`"
            )
        if not self.stages or self.stages[0][0] != 0:
            raise RecipeError("recipe: the first of `stages` must begin at 0")
        for _, crop, batch in self.stages:
            if not 32 <= crop <= TILE or batch < 1:
                raise RecipeError(
                    f"recipe: a stage needs a crop of 32 to {TILE} pixels (a tile's), and a batch"
                )
        begins = [begin for begin, _, _ in self.stages]
        if begins != sorted(set(begins)) or not begins[-1] < 1:
            raise RecipeError("recipe: `stages` must begin one after the other, before 1")
        of_both = all(0 < round(self.processed.share * n) < n for _, _, n in self.stages)
        if self.remember and not (self.initial and of_both):
            raise RecipeError(
                "recipe: `remember` holds a run to what `initial` made of the photos beside those "
                "of `processed`; name a model to start from, and a share that gives every stage's "
                "batch some of both"
            )
        self._check_numbers()
        for name in ("budget", "validate_every", "checkpoint_every"):
            parse_budget(getattr(self, name), name)
        check_precision(self.precision)

    def _check_numbers(self) -> None:
        for name in ("white_first", "own_batch", "warmup", "flat"):
            if not 0 <= getattr(self, name) <= 1:
                raise RecipeError(f"recipe: `{name}` is a share of the budget, 0 to 1")
        for name in ("soft_content", "low_contrast", "patterns"):
            if not 0 <= getattr(self, name) <= 1:
                raise RecipeError(f"recipe: `{name}` is a probability, 0 to 1")
        for name in ("share", "soft_content", "low_contrast"):
            if not 0 <= getattr(self.processed, name) <= 1:
                raise RecipeError(f"recipe: `processed.{name}` must be 0 to 1")
        for name in ("hold_out", "ema_decay"):
            if not 0 <= getattr(self, name) < 1:
                raise RecipeError(f"recipe: `{name}` must be at least 0 and below 1")
        for name in ("learning_rate", "muon_learning_rate"):
            if not 0 < getattr(self, name) < math.inf:
                raise RecipeError(f"recipe: `{name}` must be above 0")
        for name in (
            *("estimator_weight", "remember", "modulation_rate", "weight_decay"),
            "gradient_clip",
        ):
            if not 0 <= getattr(self, name) < math.inf:
                raise RecipeError(f"recipe: `{name}` must be 0 or above")
        for of in (self, self.processed):
            if not 1 <= of.soft_range[0] <= of.soft_range[1] < math.inf:
                raise RecipeError(
                    "recipe: `soft_range` must be two factors from 1 up, the lower first"
                )
            if not 0 < of.contrast_range[0] <= of.contrast_range[1] <= 1:
                raise RecipeError(
                    "recipe: `contrast_range` must be two factors above 0 and up to 1, the lower "
                    "first"
                )
        if not all(0 <= beta < 1 for beta in self.betas):
            raise RecipeError("recipe: `betas` must be at least 0 and below 1")
        if (self.devices < 1 and self.devices != -1) or self.nodes < 1:
            raise RecipeError(
                "recipe: `devices` must be at least 1, or -1 for all; `nodes` at least 1"
            )
        if not 0 <= self.seed < 2**32 or self.synthetic_crops < 0:
            raise RecipeError("recipe: `seed` and `synthetic_crops` must be 0 or above")

    def noise_model(self) -> str:
        """The cameras of a batch, for the model card."""
        said = str(self.camera)
        if self.processed.share:
            said += f"; {self.processed.share:.0%} of each batch: {self.processed.camera}"
        if self.trains == "smoothing":
            said += "; the smoother's: white Gaussian noise"
        return said

    def camera_at(self, progress: float) -> CameraRecipe:
        """The camera at `progress`, 0 … 1 of the budget."""
        if progress >= self.white_first:
            return self.camera
        white = 1 - (1 - self.camera.white) * progress / self.white_first
        return replace(self.camera, white=white)


def load_recipe(path: Path, flags: Sequence[str] = ()) -> TrainingRecipe:
    """Read a YAML recipe; `flags` such as ("--budget", "25m") override fields.

    Relative paths in the file are relative to the working folder. Raises `RecipeError` for a
    missing file, an unknown field or an impossible value.
    """
    return read_recipe(path, TrainingRecipe, flags, command="aindnet train")


def with_what_is_there(
    recipe: TrainingRecipe, flags: Sequence[str] = ()
) -> tuple[TrainingRecipe, list[str]]:
    """The recipe without validation photos that its file names and this machine lacks; notices.

    With `data` among the `flags`, a part of it takes their place, and the card says of photos and
    licence what is true of those. With `hold_out` among them, the part that it names goes before
    the file's `validation`. What flags name stays.
    """
    given = {
        re.split(r"[=.]", flag.lstrip("-").replace("_", "-"))[0]
        for flag in flags
        if flag.startswith("--")
    }
    notices = []
    if "data" in given:
        # What the recipe says of its own photos is not true of others.
        shown = ", ".join(path.resolve().name for path in recipe.data)
        if "trained-on" not in given:
            recipe = replace(recipe, trained_on=f"photos in {shown}")
        if "licence" not in given:
            recipe = replace(recipe, licence="as the photos that it was trained on allow")
    if recipe.hold_out and "hold-out" in given and "validation" not in given:
        recipe = replace(recipe, validation=())
    absent = [path for path in recipe.validation if not os.path.exists(path)]
    if absent and "data" in given and "validation" not in given:
        held_out = recipe.hold_out if "hold-out" in given else HELD_OUT
        recipe = replace(recipe, validation=(), hold_out=held_out)
        instead = f"about {held_out:.0%} of the tiles of --data are held out for validation instead"
        notices.append(
            f"{absent[0]}: not there; {instead if held_out else 'no validation on clean photos'}"
        )
    if "real-pairs" not in given:
        for path in recipe.real_pairs:
            if not os.path.exists(path):
                notices.append(f"{path}: not there; no validation on these real pairs")
        there = tuple(path for path in recipe.real_pairs if os.path.exists(path))
        recipe = replace(recipe, real_pairs=there)
    return recipe, notices
