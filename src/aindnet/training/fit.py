"""From a recipe to a model file: set up, fit, validate, save."""

from __future__ import annotations

import importlib.util
import sys
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytorch_lightning as pl  # noqa: TID253  (this file is imported by training runs only)
import torch
from lightning_fabric.utilities.exceptions import MisconfigurationException
from pytorch_lightning.callbacks import Callback  # noqa: TID253
from pytorch_lightning.loggers import TensorBoardLogger  # noqa: TID253
from pytorch_lightning.utilities import rank_zero_only  # noqa: TID253

from aindnet.errors import MissingExtraError, RecipeError
from aindnet.network import AINDNet, AINDNetConfig
from aindnet.pretrained import ModelCard, load_model
from aindnet.pretrained.card import joined_licence
from aindnet.training.callbacks import (
    Budget,
    DivergenceGuard,
    PrintedProgress,
    RunningStatistics,
    average_of_weights,
    interruptible,
    quiet_lightning,
)
from aindnet.training.checkpoints import (
    Checkpoint,
    Checkpoints,
    RemoveOldRun,
    alone_in,
    old_run,
    read_checkpoint,
)
from aindnet.training.data import SyntheticNoiseData
from aindnet.training.model_file import SaveModel
from aindnet.training.precision import lightning_precision
from aindnet.training.recipe import TrainingRecipe
from aindnet.training.schedule import parse_budget
from aindnet.training.smoothing import SmoothingData, SmoothingTask
from aindnet.training.task import SyntheticNoiseTask
from aindnet.whole_files import require_writable_folder


def fit(
    recipe: TrainingRecipe, *, file: str = "", resume: Path | None = None, overwrite: bool = False
) -> Path:
    """Train by a recipe and return the path of the model file.

    `file` is for the card: the recipe's file name, and the flags that overrode it.
    `resume` is a checkpoint of the same recipe: the run goes on with the budget that is left.
    Where that is used up and the run ended before its model was written, the model is written.
    `overwrite` lets a run take the place of another one that its folder holds.
    Raises `DatasetError`, `ImageWriteError`, `MissingExtraError`, `RecipeError`, or
    `TrainingDivergedError`.
    """
    if recipe.optimizer == "soap" and importlib.util.find_spec("pytorch_optimizer") is None:
        raise MissingExtraError("pytorch-optimizer", "soap")
    pl.seed_everything(recipe.seed, verbose=False)
    folder = recipe.output / recipe.name
    require_writable_folder(folder)
    with alone_in(folder):
        return _fit(recipe, folder, file, resume, overwrite)


def _fit(
    recipe: TrainingRecipe, folder: Path, file: str, resume: Path | None, overwrite: bool
) -> Path:
    checkpoint = None if resume is None else read_checkpoint(resume)
    goes_on = resume is not None and resume.resolve().parent == folder.resolve()
    replaced = []
    if not goes_on:
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
    if checkpoint is not None:
        start = _begun_from(checkpoint.card_before(recipe), start)
    saver = SaveModel(recipe, folder, budget, file, start)
    if checkpoint is not None:
        _check_resume(checkpoint, task)
        if used := checkpoint.used_up(recipe.budget):
            if goes_on and checkpoint.is_written(saver.path):
                raise RecipeError(f"{resume}: the run is done, {used}; give it a longer --budget")
            saver.save_of(checkpoint, network)
            for path in replaced:
                path.unlink(missing_ok=True)
            return saver.path
        if changed := checkpoint.changed(recipe):
            _say(
                f"{resume}: the run began with other settings, and goes on with the new ones: "
                f"{', '.join(changed)}"
            )
    if start is not None:
        _say_licence(recipe, start)
    data.setup("fit")  # here, before anything is written: photos may be missing or damaged
    _say(f"training on {data.found}")
    remover = RemoveOldRun(replaced)
    with quiet_lightning():
        trainer = _trainer(recipe, folder, budget, [saver, remover])
        with interruptible():
            trainer.fit(
                task, datamodule=data, ckpt_path=resume, weights_only=True if resume else None
            )
    saver.save(trainer, task)
    remover.remove(trainer)
    return saver.path


@rank_zero_only
def _say(text: str) -> None:
    print(f"aindnet: {text}", file=sys.stderr)


def _begun_from(before: ModelCard | None, initial: ModelCard | None) -> ModelCard | None:
    """The card of what a resumed run began from, whether or not `initial` is named again."""
    if before is None or initial is None:
        return before or initial
    return initial.started_from(before)


def _check_resume(checkpoint: Checkpoint, task: SyntheticNoiseTask) -> None:
    """Raise `RecipeError` where the checkpoint is another network's or optimizer's."""
    path, changed = checkpoint.path, checkpoint.changed(task.recipe)
    stored, shapes = (
        {name: value.shape for name, value in state.items()}
        for state in (checkpoint.weights, task.state_dict())
    )
    of_network = [each for each in changed if each.startswith("network.")]
    if of_network or stored != shapes:
        which = f" ({', '.join(of_network)})" if of_network else ""
        raise RecipeError(
            f"{path}: of another network{which}; resume with the recipe and flags it has"
        )
    groups = [len(g["params"]) for g in task.configure_optimizers().param_groups]
    if checkpoint.groups != groups:
        raise RecipeError(f"{path}: of another optimizer; resume with the recipe and flags it has")


def _say_licence(recipe: TrainingRecipe, start: ModelCard) -> None:
    """Say, before anything is trained, where the model may not have the recipe's licence."""
    licence = joined_licence(recipe.licence, start.licence)
    if licence != recipe.licence:
        _say(
            f"the model's licence will be {licence!r}, not {recipe.licence!r}: "
            f"{recipe.initial or start.name}, which it starts from, is not as free"
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
