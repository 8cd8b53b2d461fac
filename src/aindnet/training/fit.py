"""From a recipe to a model file: set up, fit, validate, save."""

from __future__ import annotations

import datetime
import importlib.util
import platform
import sys
import warnings
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytorch_lightning as pl  # noqa: TID253  (this file is imported by training runs only)
import torch
from lightning_fabric.utilities.exceptions import MisconfigurationException
from pytorch_lightning.callbacks import Callback  # noqa: TID253
from pytorch_lightning.loggers import TensorBoardLogger  # noqa: TID253

from aindnet.errors import MissingExtraError, RecipeError, TrainingDivergedError
from aindnet.network import AINDNet, AINDNetConfig
from aindnet.pretrained import ModelCard, load_model, save_model
from aindnet.pretrained.card import joined_licence
from aindnet.training.callbacks import (
    Budget,
    DivergenceGuard,
    PrintedProgress,
    RunningStatistics,
    average_of_weights,
    check_finite,
    interruptible,
)
from aindnet.training.checkpoints import (
    Checkpoint,
    Checkpoints,
    RemoveOldRun,
    old_run,
    read_checkpoint,
)
from aindnet.training.data import SyntheticNoiseData
from aindnet.training.precision import lightning_precision
from aindnet.training.recipe import TrainingRecipe
from aindnet.training.schedule import parse_budget
from aindnet.training.smoothing import SmoothingData, SmoothingTask
from aindnet.training.task import SyntheticNoiseTask


class SaveModel(Callback):
    """Writes the averaged weights as a model file at every validation and at the end."""

    def __init__(
        self,
        recipe: TrainingRecipe,
        folder: Path,
        budget: Budget,
        file: str,
        start: ModelCard | None,
    ) -> None:
        self.recipe, self.budget, self.file, self.start = recipe, budget, file, start
        self.path = folder / f"{recipe.name}.safetensors"

    def on_validation_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """The averaged weights are in place during validation."""
        if trainer.is_global_zero and not trainer.sanity_checking:
            self.save(trainer, pl_module)

    def save(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Write the module's present weights with a card."""
        card = ModelCard(
            name=self.recipe.name,
            description=self.recipe.description,
            licence=self.recipe.licence,
            trained_on=self.recipe.trained_on,
            noise_model=self.recipe.noise_model(),
            clipped=self.recipe.camera.round_8_bit,
            recipe=f"{self.file}, seed {self.recipe.seed}"
            + (f", from {Path(self.recipe.initial).name}" if self.recipe.initial else ""),
            hardware=(
                f"{trainer.num_devices} × {trainer.strategy.root_device.type} "
                f"({platform.machine()}, {trainer.precision}), {trainer.global_step} steps, "
                f"{self.budget.elapsed() / 60:.0f} min"
            ),
            date=datetime.date.today().isoformat(),
        )
        if self.start is not None:
            card = card.started_from(self.start)
        assert isinstance(pl_module, SyntheticNoiseTask)
        if not check_finite(pl_module.network.state_dict().values()):
            raise TrainingDivergedError(
                f"training diverged at step {trainer.global_step}: the weights are not finite; "
                f"{self.path} was not written again"
            )
        save_model(self.path, pl_module.network, card)


def fit(
    recipe: TrainingRecipe, *, file: str = "", resume: Path | None = None, overwrite: bool = False
) -> Path:
    """Train by a recipe and return the path of the model file.

    `file` is for the card: the recipe's file name, and the flags that overrode it.
    `resume` is a checkpoint of the same recipe: the run goes on with the budget that is left.
    `overwrite` lets a new run take the place of one that its folder holds.
    Raises `DatasetError`, `MissingExtraError`, `RecipeError`, or `TrainingDivergedError`.
    """
    if recipe.optimizer == "soap" and importlib.util.find_spec("pytorch_optimizer") is None:
        raise MissingExtraError("pytorch-optimizer", "soap")
    pl.seed_everything(recipe.seed, verbose=False)
    folder = recipe.output / recipe.name
    checkpoint = None if resume is None else read_checkpoint(resume)
    replaced = []
    if checkpoint is None:
        replaced = old_run(folder, folder / f"{recipe.name}.safetensors", overwrite=overwrite)
    network, start = _initial(recipe)
    recipe = replace(recipe, network=network.config)
    network.detach_map = recipe.detach_noise_level
    _freeze(network, recipe)
    network = network.train().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    smoothing = recipe.trains == "smoothing"
    data = (SmoothingData if smoothing else SyntheticNoiseData)(recipe)
    task = (SmoothingTask if smoothing else SyntheticNoiseTask)(recipe, network)
    budget = Budget(recipe, data)
    saver = SaveModel(recipe, folder, budget, file, start)
    if checkpoint is not None:
        _check_resume(checkpoint, task, budget)
    if start is not None:
        _say_licence(recipe, start)
    remover = RemoveOldRun(replaced)
    trainer = _trainer(recipe, folder, budget, [saver, remover])
    with warnings.catch_warnings():
        # One endless stream made on the device: loader workers would only be in the way.
        warnings.filterwarnings("ignore", ".*does not have many workers.*")
        with interruptible():
            trainer.fit(
                task, datamodule=data, ckpt_path=resume, weights_only=False if resume else None
            )
    if trainer.is_global_zero:
        saver.save(trainer, task)
    remover.remove(trainer)
    return saver.path


def _check_resume(checkpoint: Checkpoint, task: SyntheticNoiseTask, budget: Budget) -> None:
    """Say what the recipe changes in the run. Raise `RecipeError` where the checkpoint is another
    network's or optimizer's, or at the budget's end.
    """
    path, changed = checkpoint.path, checkpoint.changed(task.recipe)
    shapes = {name: value.shape for name, value in task.state_dict().items()}
    of_network = [each for each in changed if each.startswith("network.")]
    if of_network or checkpoint.shapes != shapes:
        which = f" ({', '.join(of_network)})" if of_network else ""
        raise RecipeError(
            f"{path}: of another network{which}; resume with the recipe and flags it has"
        )
    groups = [len(g["params"]) for g in task.configure_optimizers().param_groups]
    if checkpoint.groups != groups:
        raise RecipeError(f"{path}: of another optimizer; resume with the recipe and flags it has")
    used = None
    if budget.steps is not None and checkpoint.step >= budget.steps:
        used = f"{checkpoint.step} steps"
    if budget.seconds is not None and checkpoint.spent >= budget.seconds:
        used = f"{checkpoint.spent / 60:.1f} minutes"
    if used:
        raise RecipeError(f"{path}: the run is done, {used}; give it a longer --budget")
    if changed:
        print(
            f"aindnet: {path}: the run began with other settings, and goes on with the new ones: "
            f"{', '.join(changed)}",
            file=sys.stderr,
        )


def _say_licence(recipe: TrainingRecipe, start: ModelCard) -> None:
    """Say, before anything is trained, where the model may not have the recipe's licence."""
    licence = joined_licence(recipe.licence, start.licence)
    if licence != recipe.licence:
        print(
            f"aindnet: the model's licence will be {licence!r}, not {recipe.licence!r}: "
            f"{recipe.initial}, which it starts from, is not as free",
            file=sys.stderr,
        )


def _initial(recipe: TrainingRecipe) -> tuple[AINDNet, ModelCard | None]:
    """A new network, or one with the weights of the model which the recipe names, and its card.

    Of `network`, limits and passes may be others than that model's: they have no weights.
    """
    if not recipe.initial:
        return AINDNet(recipe.network), None
    start = load_model(recipe.initial)
    network = start.network
    if recipe.network in (AINDNetConfig(), network.config):
        return network, start.card
    if not recipe.network.has_weights_of(network.config):
        raise RecipeError(
            f"recipe: `network` is not that of {recipe.initial}, which it starts from; leave out "
            f"one of the two"
        )
    changed = AINDNet(recipe.network)
    changed.load_state_dict(network.state_dict())
    return changed, start.card


def _freeze(network: AINDNet, recipe: TrainingRecipe) -> None:
    """Leave training what the recipe trains. Raises `RecipeError` where that is nothing."""
    if recipe.trains == "all":
        return
    if network.smoother is None or not recipe.initial:
        raise RecipeError(
            "recipe: `trains: smoothing` needs a trained network with `smoothing`: --initial names "
            "one that tools/add_smoothing.py wrote"
        )
    network.requires_grad_(False)
    network.smoother.requires_grad_(True)


def _trainer(
    recipe: TrainingRecipe, folder: Path, budget: Budget, own: list[Callback]
) -> pl.Trainer:
    """Raises `RecipeError` for an accelerator, devices or a strategy that there is not."""
    seconds, steps = parse_budget(recipe.checkpoint_every)
    every: dict[str, Any] = (
        {"every_n_train_steps": steps}
        if steps is not None
        else {"train_time_interval": timedelta(seconds=seconds or 0)}
    )
    validate_seconds, validate_steps = parse_budget(recipe.validate_every)
    validate: dict[str, Any] = (
        {"val_check_interval": validate_steps}
        if validate_steps is not None
        else {"val_check_interval": timedelta(seconds=validate_seconds or 0)}
    )
    options: dict[str, Any] = dict(
        accelerator=recipe.accelerator,
        devices=recipe.devices,
        num_nodes=recipe.nodes,
        strategy=recipe.strategy,
        precision=lightning_precision(recipe.precision, recipe.accelerator),
        max_epochs=1,
        max_steps=budget.steps if budget.steps is not None else -1,
        check_val_every_n_epoch=None,
        num_sanity_val_steps=0,
        use_distributed_sampler=False,  # every rank makes its own steps and sees all validation
        gradient_clip_val=recipe.gradient_clip,
        log_every_n_steps=25,
        logger=TensorBoardLogger(recipe.output, name=recipe.name, version=""),
        enable_progress_bar=False,
        enable_model_summary=False,
        callbacks=[
            *own,  # before the average, which takes its weights out again after a validation
            average_of_weights(recipe.ema_decay),
            budget,
            RunningStatistics(budget.data, recipe.own_batch),
            DivergenceGuard(),
            PrintedProgress(budget),
            Checkpoints(
                recipe,
                folder,
                filename="{step}",
                save_last=True,
                save_top_k=1,
                enable_version_counter=False,
                **every,
            ),
        ],
        **validate,
    )
    try:
        return pl.Trainer(**options)
    except (ValueError, RuntimeError, MisconfigurationException) as error:
        asked = f"--accelerator {recipe.accelerator} --devices {recipe.devices}"
        raise RecipeError(
            f"{asked} --strategy {recipe.strategy}: {' '.join(str(error).split())}"
        ) from error
