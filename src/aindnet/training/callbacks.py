"""What happens around the steps: the budget, the average, the guard, the printed progress."""

from __future__ import annotations

import contextlib
import logging
import math
import signal
import sys
import time
import warnings
from collections import deque
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Protocol

import pytorch_lightning as pl  # noqa: TID253  (this file is imported by training runs only)
import torch
from pytorch_lightning.callbacks import Callback, WeightAveraging  # noqa: TID253
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from torch import Tensor

from aindnet.errors import TrainingDivergedError
from aindnet.network import RunningNorm, Unnormalized
from aindnet.training.schedule import budget_factor, parse_budget


class Scheduled(Protocol):
    """What a recipe says of its budget."""

    @property
    def budget(self) -> str:
        """Time or steps."""

    @property
    def warmup(self) -> float:
        """Share of the budget in which the learning rate rises."""

    @property
    def flat(self) -> float:
        """Share of the budget after which it falls."""

    @property
    def learning_rate(self) -> float:
        """The optimizer's."""


class Progressing(Protocol):
    """Who must know how much of the budget is used."""

    progress: float


class Budget(Callback):
    """Sets the learning rate by the share of the budget used, and stops the run at its end.

    Time spent is kept in checkpoints: a resumed run has what is left, not a new budget.
    """

    def __init__(self, recipe: Scheduled, data: Progressing) -> None:
        self.recipe, self.data = recipe, data
        self.seconds, self.steps = parse_budget(recipe.budget)
        self.spent = 0.0
        self._resumed_at = time.monotonic()

    def elapsed(self) -> float:
        """Seconds of training so far, earlier sessions of the run included."""
        return self.spent + time.monotonic() - self._resumed_at

    def progress(self, step: int) -> float:
        """Share of the budget used, 0 … 1. On several ranks, rank 0's clock decides."""
        if self.steps is not None:
            return min(step / self.steps, 1.0)
        assert self.seconds is not None
        return min(self.elapsed() / self.seconds, 1.0)

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """The clock starts when the data are there."""
        self._resumed_at = time.monotonic()
        self.data.progress = self._agreed(trainer)

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Set the learning rate for this step."""
        progress = self._agreed(trainer)
        factor = budget_factor(progress, warmup=self.recipe.warmup, flat=self.recipe.flat)
        for group in trainer.optimizers[0].param_groups:
            # From the recipe, not from the group: a resumed run may have been given another.
            which = "muon_learning_rate" if group.get("muon") else "learning_rate"
            rate = float(getattr(self.recipe, which)) * float(group.get("rate", 1.0))
            group["lr"] = rate * factor
        pl_module.log("train/learning_rate", self.recipe.learning_rate * factor)

    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Tell what the next batch is made by, before it is; stop when the budget is used up."""
        self.data.progress = self._agreed(trainer)
        if self.data.progress >= 1.0:
            trainer.should_stop = True

    def _agreed(self, trainer: pl.Trainer) -> float:
        progress = self.progress(trainer.global_step)
        if trainer.world_size > 1:
            progress = float(trainer.strategy.broadcast(progress))
        return progress

    def state_dict(self) -> dict[str, Any]:
        """The time spent."""
        return {"spent": self.elapsed()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take the clock up where the checkpoint left it."""
        self.spent = float(state_dict["spent"])


@contextlib.contextmanager
def quiet_lightning() -> Iterator[None]:
    """Keep the trainer's notes to itself: on accelerators, loader workers, its other packages."""
    logger = logging.getLogger("pytorch_lightning")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(before)


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """Ctrl-C during a fit is a KeyboardInterrupt again: Lightning makes an exit with code 1 of it.

    And its handler, which Lightning takes away for good, is put back.
    """
    handler = signal.getsignal(signal.SIGINT)
    try:
        yield
    except SystemExit as error:
        if isinstance(error.__context__, KeyboardInterrupt):
            signal.signal(signal.SIGINT, handler)
            raise KeyboardInterrupt from error
        raise


def warm_average(decay: float, delay: float = 10.0) -> Any:
    """EMA whose memory grows to `decay`'s: min(decay, (1 + n) / (delay + n)) after n updates."""

    @torch.no_grad()
    def update(average: list[Tensor], current: list[Tensor], updates: Tensor | int) -> None:
        n = float(updates)
        weight = 1 - min(decay, (1 + n) / (delay + n))
        torch._foreach_lerp_(average, current, weight)

    return update


def average_of_weights(decay: float) -> WeightAveraging:
    """Lightning's weight averaging with the warm EMA: validation and the final model use it."""
    return WeightAveraging(multi_avg_fn=warm_average(decay))


class RunningStatistics(Callback):
    """Changes `RunningNorm` from each batch's statistics to the running ones within the budget.

    They stay as they are from then on.
    """

    def __init__(self, data: Progressing, own_batch: float) -> None:
        self.data, self.own_batch = data, own_batch

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Set the kind for this step."""
        own = self.data.progress < self.own_batch
        for module in pl_module.modules():
            if isinstance(module, RunningNorm) and not isinstance(module, Unnormalized):
                module.own_batch = own


def check_finite(tensors: Iterable[Tensor]) -> bool:
    """Whether no value is NaN or infinite."""
    return all(bool(each.isfinite().all()) for each in tensors)


class DivergenceGuard(Callback):
    """Stops at NaN, or at losses far above the recent ones, before the weights are lost.

    A gradient that is not finite never reaches the weights, and weights that are not finite never
    reach a checkpoint. The loss is the mean over the ranks, so that all of them stop, or none.

    One batch may be far off, with the gradient clipped it does no harm; the third within `window`
    steps ends the run. Raises `TrainingDivergedError`; checkpoints already written stay.
    """

    def __init__(self, window: int = 200, factor: float = 20.0, tolerated: int = 2) -> None:
        self.factor, self.tolerated = factor, tolerated
        self.recent: deque[float] = deque(maxlen=window)
        self.far: deque[int] = deque()
        """Steps whose loss was far off, within the window."""

    def on_before_optimizer_step(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, optimizer: torch.optim.Optimizer
    ) -> None:
        """Check this step's gradient."""
        gradients = [p.grad for p in pl_module.parameters() if p.grad is not None]
        norm = float(torch.nn.utils.get_total_norm(gradients))
        if not math.isfinite(norm):
            raise TrainingDivergedError(self._advice(trainer, f"the gradient's norm is {norm}"))

    def on_save_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Check what is about to be written: the weights, and their average."""
        for name in ("state_dict", "current_model_state"):
            if not check_finite(checkpoint.get(name, {}).values()):
                raise TrainingDivergedError(self._advice(trainer, "the weights are not finite"))

    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Check this step's loss."""
        loss = float(outputs["loss"])
        level = float(trainer.callback_metrics.get("train/noise_level", 0.0))
        if trainer.world_size > 1:
            both = torch.tensor([loss, level], device=trainer.strategy.root_device)
            loss, level = trainer.strategy.reduce(both, reduce_op="mean").tolist()
        if not math.isfinite(loss) or not math.isfinite(level):
            raise TrainingDivergedError(self._advice(trainer, f"the loss is {loss}"))
        if len(self.recent) == self.recent.maxlen:
            ordered = sorted(self.recent)
            median = ordered[len(ordered) // 2]
            spread = ordered[-len(ordered) // 20] - ordered[len(ordered) // 20] + 0.05
            while self.far and self.far[0] <= trainer.global_step - len(ordered):
                self.far.popleft()
            if loss > median + self.factor * spread:
                self.far.append(trainer.global_step)
                if len(self.far) > self.tolerated:
                    raise TrainingDivergedError(
                        self._advice(trainer, f"the loss rose to {loss:.3g} from {median:.3g}")
                    )
                return  # and is not taken for what losses are
        self.recent.append(loss)

    def _advice(self, trainer: pl.Trainer, what: str) -> str:
        written = getattr(trainer.checkpoint_callback, "last_model_path", "") or trainer.ckpt_path
        if written and Path(written).is_file():
            kept = f"the last good checkpoint is {written}; resume from it with a lower"
        else:
            kept = "no checkpoint was written yet; start again with a lower"
        return (
            f"training diverged at step {trainer.global_step}: {what}; {kept} --learning-rate or "
            "--gradient-clip"
        )


class PrintedProgress(Callback):
    """One line on a terminal with the time left, and a line for each validation."""

    def __init__(self, budget: Budget) -> None:
        self.budget = budget
        self.console = Console(file=sys.stderr)
        self.bar: Progress | None = None
        self._started = 0.0
        self._first_step = 0

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Show the bar, on rank 0."""
        self._started, self._first_step = time.monotonic(), trainer.global_step
        if not trainer.is_global_zero:
            return
        self.bar = Progress(
            TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:>3.0f} %"),
            TimeElapsedColumn(), TextColumn("{task.fields[left]}"),
            console=self.console, disable=not self.console.is_terminal,
        )  # fmt: skip
        self.bar.start()
        self.task = self.bar.add_task("training", total=1.0, left="")

    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Move the bar."""
        if self.bar is None:
            return
        progress = self.budget.progress(trainer.global_step)
        spent = self.budget.elapsed()
        left = spent * (1 - progress) / max(progress, 1e-6)
        loss = float(outputs["loss"])
        self.bar.update(
            self.task,
            completed=progress,
            description=f"step {trainer.global_step} loss {loss:.4f}",
            left=f"{int(left // 60)} min {int(left % 60)} s left",
        )

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Print the PSNR of each set."""
        if trainer.sanity_checking or not trainer.is_global_zero:
            return
        metrics = {k: float(v) for k, v in trainer.callback_metrics.items()}
        sets = [
            f"{name[4:]} {value:.2f} ({metrics[name + '_gain']:+.2f})"
            for name, value in metrics.items()
            if f"{name}_gain" in metrics
        ]
        error = metrics.get("val/noise_level_error")  # of real pairs it is not known
        level = "" if error is None else f"; noise level off by {100 * error:.0f} %"
        steps = trainer.global_step - self._first_step
        rate = steps / max(time.monotonic() - self._started, 1e-9)
        self.console.print(
            f"[{self.budget.elapsed() / 60:6.1f} min] step {trainer.global_step} ({rate:.2f}/s) "
            + "PSNR: "
            + ", ".join(sets)
            + level,
            markup=False,
            highlight=False,
            soft_wrap=True,
        )

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Close the bar."""
        if self.bar is not None:
            self.bar.stop()

    def on_exception(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException
    ) -> None:
        """Close the bar."""
        if self.bar is not None:
            self.bar.stop()
