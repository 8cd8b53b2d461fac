"""The model file that a run writes, and its card."""

from __future__ import annotations

import datetime
import platform
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytorch_lightning as pl  # noqa: TID253  (this file is imported by training runs only)
from pytorch_lightning.callbacks import Callback  # noqa: TID253

from aindnet.errors import TrainingDivergedError
from aindnet.network import AINDNet
from aindnet.pretrained import ModelCard, save_model
from aindnet.training.callbacks import Budget, check_finite
from aindnet.training.checkpoints import CARDS, Checkpoint
from aindnet.training.recipe import TrainingRecipe
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
        if not trainer.sanity_checking:
            self.save(trainer, pl_module)

    def on_save_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Add what the card of a run that goes on from there must know."""
        cards = {"model": self.card(self.hardware(trainer)), "start": self.start}
        checkpoint[CARDS] = {name: card.to_json() for name, card in cards.items() if card}

    def save(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Write the module's present weights with a card."""
        assert isinstance(pl_module, SyntheticNoiseTask)
        if not check_finite(pl_module.network.state_dict().values()):
            raise TrainingDivergedError(
                f"training diverged at step {trainer.global_step}: the weights are not finite; "
                f"{self.path} was not written again"
            )
        if trainer.is_global_zero:
            save_model(self.path, pl_module.network, self.card(self.hardware(trainer)))

    def save_of(self, checkpoint: Checkpoint, network: AINDNet) -> None:
        """Write the weights of a run that ended before its model was there."""
        prefix = "network."
        of_network = {k: v for k, v in checkpoint.weights.items() if k.startswith(prefix)}
        network.load_state_dict({k.removeprefix(prefix): v for k, v in of_network.items()})
        told = f"{checkpoint.step} steps, {checkpoint.spent / 60:.0f} min"
        card = checkpoint.card or self.card(told)
        save_model(self.path, network, replace(card, name=self.recipe.name))

    def hardware(self, trainer: pl.Trainer) -> str:
        """For the card: what the run is on, and how far it is."""
        return (
            f"{trainer.num_devices} × {trainer.strategy.root_device.type} "
            f"({platform.machine()}, {trainer.precision}), {trainer.global_step} steps, "
            f"{self.budget.elapsed() / 60:.0f} min"
        )

    def card(self, hardware: str) -> ModelCard:
        """The card of the weights that the run has now."""
        cameras = [self.recipe.camera]
        if self.recipe.processed.share:
            cameras.append(self.recipe.processed.camera)
        start = Path(self.recipe.initial).name if self.recipe.initial else ""
        if self.start is not None and not start:
            start = self.start.name
        card = ModelCard(
            name=self.recipe.name,
            description=self.recipe.description,
            licence=self.recipe.licence,
            trained_on=self.recipe.trained_on,
            noise_model=self.recipe.noise_model(),
            clipped=any(camera.clips for camera in cameras),
            recipe=f"{self.file}, seed {self.recipe.seed}" + (f", from {start}" if start else ""),
            hardware=hardware,
            date=datetime.date.today().isoformat(),
        )
        return card if self.start is None else card.started_from(self.start)
