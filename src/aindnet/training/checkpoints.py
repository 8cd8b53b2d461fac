"""A run's checkpoints: when they are written, what may go on from them, what they replace."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import re
import signal
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

import pytorch_lightning as pl  # noqa: TID253  (this file is imported by training runs only)
import torch
from pytorch_lightning.callbacks import ModelCheckpoint  # noqa: TID253
from pytorch_lightning.utilities import rank_zero_only  # noqa: TID253

from aindnet.errors import ImageWriteError, InvalidModelFileError, RecipeError
from aindnet.pretrained import ModelCard, load_model
from aindnet.training.recipe import TrainingRecipe
from aindnet.training.schedule import parse_budget
from aindnet.training.task import without_repeated

LAST = "last.ckpt"
LOCK = "run.lock"
"""Of a run's folder, while it is at work there."""
SETTINGS = "aindnet_recipe"
"""Under this a checkpoint has its recipe's `settings`."""
CARDS = "aindnet_cards"
"""Under this it has cards as JSON: "model", of its own weights, and "start", of the model that they
were trained from, if there is one."""
FREE = (
    *("name", "output", "budget", "description", "licence", "trained_on"),
    *("validation", "real_pairs", "synthetic_crops", "validate_every", "checkpoint_every"),
    *("precision", "compile", "accelerator", "devices", "nodes", "strategy"),
)
"""Fields that a resumed run may change and still be that run: how long and on what it runs, what it
looks at and where it writes."""


def settings(recipe: TrainingRecipe) -> dict[str, str]:
    """What decides what a run learns, but for `FREE`: by field ("camera.jpeg"), its value.

    `hold_out` counts only where it takes tiles from the training.
    """
    if recipe.validation:
        recipe = dataclasses.replace(recipe, hold_out=0.0)
    return {name: value for name, value in _flat(recipe).items() if name not in FREE}


def _flat(part: Any, prefix: str = "") -> dict[str, str]:
    flat: dict[str, str] = {}
    for each in dataclasses.fields(part):
        value = getattr(part, each.name)
        if dataclasses.is_dataclass(value):
            flat |= _flat(value, f"{prefix}{each.name}.")
        elif isinstance(value, (tuple, list)):
            flat[prefix + each.name] = " ".join(str(item) for item in value)
        else:
            flat[prefix + each.name] = str(value)
    return flat


@dataclass(frozen=True)
class Checkpoint:
    """What a resumed run must know of the file that it goes on from."""

    path: Path
    weights: dict[str, torch.Tensor]
    """Of the task, averaged."""
    groups: list[int]
    """Parameters in each of the optimizer's groups."""
    step: int
    spent: float
    """Seconds of the budget."""
    settings: dict[str, str] | None
    """None where the file has none."""
    card: ModelCard | None = None
    """Of its weights; None where the file has none."""
    start: ModelCard | None = None
    """Of the model that they were trained from."""

    def used_up(self, budget: str) -> str | None:
        """In words, what the run has used, where that is all of the budget."""
        seconds, steps = parse_budget(budget)
        if steps is not None and self.step >= steps:
            return f"{self.step} steps"
        if seconds is not None and self.spent >= seconds:
            return f"{self.spent / 60:.1f} minutes"
        return None

    def is_written(self, model: Path) -> bool:
        """Whether the model's file has these weights or later ones; a validation writes it too."""
        if not os.path.isfile(model):
            return False
        try:
            trained = re.search(r"(\d+) steps", load_model(model).card.hardware)
        except InvalidModelFileError:
            return False
        return trained is None or int(trained[1]) >= self.step

    def card_before(self, recipe: TrainingRecipe) -> ModelCard | None:
        """Of what the recipe goes on from: where its photos are others, of these weights."""
        of_these_photos = "data" not in self.changed_fields(recipe)
        return self.start if of_these_photos else self.card

    def changed_fields(self, recipe: TrainingRecipe) -> list[str]:
        """Which `settings` of the recipe are others than the run's so far.

        Fields that were not there yet when the checkpoint was written say nothing.
        """
        then, now = self.settings or {}, settings(recipe)
        return [name for name in sorted(then.keys() & now.keys()) if then[name] != now[name]]

    def changed(self, recipe: TrainingRecipe) -> list[str]:
        """In words, what `changed_fields` are now."""
        then, now = self.settings or {}, settings(recipe)
        return [f"{name} {then[name]} → {now[name]}" for name in self.changed_fields(recipe)]


def read_checkpoint(path: Path) -> Checkpoint:
    """Raises `RecipeError` for a file that is no checkpoint."""
    if path.suffix != ".ckpt":
        raise RecipeError(f"{path}: --resume takes a checkpoint of a run, runs/NAME/{LAST}")
    if not os.path.isfile(path):
        raise RecipeError(f"{path}: there is no such checkpoint")
    try:
        stored = torch.load(path, map_location="cpu", weights_only=True)
        cards = {
            name: ModelCard.from_json(card, source=str(path))
            for name, card in stored.get(CARDS, {}).items()
        }
        return Checkpoint(
            path=path,
            weights=without_repeated(stored["state_dict"]),
            groups=[len(g["params"]) for g in stored["optimizer_states"][0]["param_groups"]],
            step=int(stored.get("global_step", 0)),
            spent=float(stored.get("callbacks", {}).get("Budget", {}).get("spent", 0.0)),
            settings=stored.get(SETTINGS),
            card=cards.get("model"),
            start=cards.get("start"),
        )
    except Exception as error:  # a pickle can fail in any way
        raise RecipeError(
            f"{path}: not a readable checkpoint; --resume takes runs/NAME/{LAST}"
        ) from error


class Checkpoints(ModelCheckpoint):
    """Lightning's, with the recipe in them; and last.ckpt also where a run ends or is told to stop.

    SIGINT (Ctrl-C) and SIGTERM end a run after the step that it is in, by a KeyboardInterrupt. A
    second one ends it where it is, with the checkpoint that there is.
    """

    def __init__(self, recipe: TrainingRecipe, folder: Path, **options: Any) -> None:
        super().__init__(folder, **options)
        self.recipe, self.last = recipe, folder / LAST
        self._told = False
        self._before: dict[int, Any] = {}

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """From here on there is something to keep."""
        super().on_train_start(trainer, pl_module)
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                if signal.getsignal(number) is not signal.SIG_IGN:  # as in a shell's background
                    self._before[number] = signal.signal(number, self._tell)

    def _tell(self, number: int, frame: FrameType | None) -> None:
        if self._told:
            raise KeyboardInterrupt
        self._told = True

    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Write where it is time to, and stop where it was asked for.

        Raises `ImageWriteError` where the disk is full, say; the checkpoint before is whole.
        """
        try:
            super().on_train_batch_end(trainer, pl_module, outputs, batch, batch_idx)
            told = self._told
            if trainer.world_size > 1:  # all ranks write, or none
                told = bool(trainer.strategy.broadcast(told))
            if told or trainer.should_stop:
                self.last_model_path = str(self.last)
                trainer.save_checkpoint(self.last)
        except OSError as error:
            kept = f"; {self.last} is of an earlier step" if os.path.isfile(self.last) else ""
            raise ImageWriteError(
                f"{self.last.parent}: the checkpoint of step {trainer.global_step} cannot be "
                f"written ({error.strerror or error}){kept}"
            ) from error
        if told:
            if trainer.is_global_zero:
                print(
                    f"aindnet: stopped after step {trainer.global_step}; go on with --resume "
                    f"{self.last}",
                    file=sys.stderr,
                )
            raise KeyboardInterrupt

    def on_save_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Add the recipe."""
        checkpoint[SETTINGS] = settings(self.recipe)

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Give the signals back. The last checkpoint is there, and holds more than the average."""
        self._give_back()

    def on_exception(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException
    ) -> None:
        """Give the signals back."""
        self._give_back()

    def _give_back(self) -> None:
        while self._before:
            number, handler = self._before.popitem()
            with contextlib.suppress(TypeError):  # one that was not set from Python
                signal.signal(number, handler)


@contextlib.contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Keep other runs out of a run's folder, which is made; if nothing comes into it, it goes.

    The first rank holds the lock for all. A killed run's is free. Raises `RecipeError` where a run
    is at work, `ImageWriteError` where no file can be written.
    """
    import fcntl

    if rank_zero_only.rank:  # type: ignore[attr-defined]
        yield
        return
    absent = [each for each in (folder, *folder.parents) if not os.path.exists(each)]
    path = folder / LOCK
    try:
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    except OSError as error:
        raise ImageWriteError(f"{path}: cannot be written ({error.strerror})") from error
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            held = True
        except OSError:  # no locks on this file system: nothing is known of other runs
            held = False
        else:
            held = not os.fstat(descriptor).st_nlink  # by one that ended just now
        if held:
            raise RecipeError(
                f"{folder}: another run is at work there; wait for its end, or give another --name"
            )
        try:
            yield
        finally:
            path.unlink(missing_ok=True)
            for each in absent:
                with contextlib.suppress(OSError):  # there is something in it
                    each.rmdir()
    finally:
        os.close(descriptor)


def old_run(folder: Path, model: Path, *, overwrite: bool) -> list[Path]:
    """The files of a run that the folder holds. Raises `RecipeError` where they are to be kept."""
    checkpoints = sorted(folder.glob("*.ckpt"))
    if not overwrite and (checkpoints or os.path.exists(model)):
        last = folder / LAST
        go_on = f"go on with --resume {last}, " if os.path.isfile(last) else ""
        raise RecipeError(
            f"{folder}: holds a run already; {go_on}give another --name, or pass --overwrite"
        )
    return [*checkpoints, *folder.glob("events.out.tfevents*")]


class RemoveOldRun(pl.Callback):
    """Removes the files of an earlier run, once this one has written a checkpoint of its own."""

    def __init__(self, files: list[Path]) -> None:
        self.files = files

    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Look for the checkpoint."""
        self.remove(trainer)

    def remove(self, trainer: pl.Trainer) -> None:
        """Remove them if there is a checkpoint."""
        written = trainer.checkpoint_callback
        if (
            not self.files
            or not isinstance(written, ModelCheckpoint)
            or not written.last_model_path
        ):
            return
        own = {Path(written.last_model_path).resolve(), Path(written.best_model_path).resolve()}
        if trainer.is_global_zero:
            for path in self.files:
                if path.resolve() not in own:
                    path.unlink(missing_ok=True)
        self.files = []
