"""The SN task as a Lightning module."""

from __future__ import annotations

import copy
from collections import defaultdict
from typing import Any

import pytorch_lightning as pl  # noqa: TID253  (this file is imported by training runs only)
import torch
from pytorch_lightning.loggers import TensorBoardLogger  # noqa: TID253
from torch import Tensor

from aindnet.network import AINDNet, AINDNetOutput
from aindnet.training.data import Batch
from aindnet.training.losses import synthetic_noise_loss
from aindnet.training.muon import Muon, hidden_filters
from aindnet.training.recipe import TrainingRecipe


def psnr_8_bit(image: Tensor, reference: Tensor) -> Tensor:
    """PSNR in dB of each image (B, C, H, W), both rounded to 8 bits first: (B,)."""
    a, b = ((x.float() * 255).round().clamp(0, 255) for x in (image, reference))
    mse = (a - b).square().mean(dim=(1, 2, 3))
    return 10 * torch.log10(255**2 / mse.clamp_min(1e-4))


def frozen(network: AINDNet) -> AINDNet:
    """A copy that does not learn: in evaluation, without gradients."""
    return copy.deepcopy(network).requires_grad_(False).eval()


def without_repeated(state: dict[str, Any]) -> dict[str, Any]:
    """A task's state without the network's weights under a second name, as old files have them."""
    return {name: value for name, value in state.items() if not name.startswith("runner.")}


class SyntheticNoiseTask(pl.LightningModule):
    """Denoise simulated photos and estimate their noise; validate on simulated and real ones."""

    def __init__(self, recipe: TrainingRecipe, network: AINDNet) -> None:
        super().__init__()
        self.recipe = recipe
        self.network = network
        # In a list, so that it is no part of checkpoints and averages: a resumed run has it anew.
        # In evaluation: what it gives is what inference gives, and its averages stay as they are.
        self.before = [frozen(network)] if recipe.remember else []
        if recipe.compile:
            network.compile()  # in place: its weights keep their names in checkpoints
        self.scores: dict[str, list[tuple[float, float]]] = defaultdict(list)

    def forward(self, noisy: Tensor) -> AINDNetOutput:
        """Denoise (B, 3, H, W)."""
        output: AINDNetOutput = self.network(noisy.contiguous(memory_format=torch.channels_last))
        return output

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Of checkpoints that name the weights twice, take the network's."""
        for kind in ("state_dict", "current_model_state"):
            if kind in checkpoint:
                checkpoint[kind] = without_repeated(checkpoint[kind])

    def on_train_start(self) -> None:
        """A resumed run has the optimizer's settings of its recipe, not of its checkpoint."""
        [optimizer] = self.trainer.optimizers
        groups = self.configure_optimizers().param_groups
        for group, now in zip(optimizer.param_groups, groups, strict=True):
            group.update({name: value for name, value in now.items() if name != "params"})

    def on_fit_start(self) -> None:
        """What is remembered is computed where the run is."""
        for network in self.before:
            network.to(self.device)

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """The SN loss of one batch; of its first part what `TrainingRecipe.remember` says."""
        assert batch.noise_level is not None
        known = None
        for network in self.before:
            with torch.no_grad():
                kept = batch.noisy[: len(batch.noisy) - batch.processed]
                known = network(kept.contiguous(memory_format=torch.channels_last)).denoised
        loss = synthetic_noise_loss(
            self(batch.noisy),
            batch.clean,
            batch.noise_level,
            kind=self.recipe.loss,
            estimator=self.recipe.estimator_loss,
            estimator_weight=self.recipe.estimator_weight,
            known=known,
            remember=self.recipe.remember,
        )
        parts = {"train/restoration": loss.restoration, "train/noise_level": loss.noise_level}
        if self.before:
            parts["train/remembering"] = loss.remembering
        self.log_dict(parts)
        return loss.total

    def on_validation_epoch_start(self) -> None:
        """Begin the validation's scores."""
        self.scores.clear()

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """PSNR of input and output, rounded to 8 bits; the noise level's relative error."""
        output = self(batch.noisy)
        denoised = output.denoised.float()
        pairs = zip(
            psnr_8_bit(batch.noisy, batch.clean).tolist(),
            psnr_8_bit(denoised, batch.clean).tolist(),
            strict=True,
        )
        self.scores[batch.source].extend(pairs)
        if batch.source == "synthetic" and batch.noise_level is not None:
            estimate = output.noise_level.float().mean(dim=(1, 2, 3))
            truth = batch.noise_level.mean(dim=(1, 2, 3))
            error = ((estimate - truth).abs() / truth.clamp_min(1 / 255)).mean()
            self.log("val/noise_level_error", error, batch_size=len(batch.clean))
        if batch_idx == 0 and isinstance(self.logger, TensorBoardLogger):
            strip = torch.cat([batch.noisy[0], denoised[0].clamp(0, 1), batch.clean[0]], dim=2)
            self.logger.experiment.add_image("before / after / clean", strip, self.global_step)

    def on_validation_epoch_end(self) -> None:
        """Log each set's mean PSNR; `val/psnr` is the mean over the sets."""
        means = {}
        for source, pairs in self.scores.items():
            noisy, denoised = torch.tensor(pairs).mean(0).tolist()
            means[source] = denoised
            self.log_dict({f"val/{source}": denoised, f"val/{source}_gain": denoised - noisy})
        if means:
            self.log("val/psnr", sum(means.values()) / len(means))

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """AdamW, whose one-dimensional tensors do not decay, with or without Muon; or SOAP."""
        recipe = self.recipe
        by_muon = hidden_filters(self.network) if recipe.optimizer == "muon" else set()
        groups: list[dict[str, Any]] = []
        for modulation, rate in ((False, 1.0), (True, recipe.modulation_rate)):
            named = [
                (n, p)
                for n, p in self.network.named_parameters()
                if p.requires_grad and _is_modulation(n) == modulation
            ]
            rest = [p for n, p in named if n not in by_muon]
            groups += [
                {
                    "params": [p for p in rest if p.ndim > 1],
                    "weight_decay": recipe.weight_decay,
                    "rate": rate,
                },
                {"params": [p for p in rest if p.ndim <= 1], "weight_decay": 0.0, "rate": rate},
                {
                    "params": [p for n, p in named if n in by_muon],
                    "lr": recipe.muon_learning_rate,
                    "muon": True,
                    "rate": rate,
                },
            ]
        groups = [group for group in groups if group["params"]]
        if recipe.optimizer == "adamw":
            return torch.optim.AdamW(groups, lr=recipe.learning_rate, betas=recipe.betas)
        if recipe.optimizer == "soap":
            from pytorch_optimizer import SOAP

            return SOAP(groups, lr=recipe.learning_rate, betas=recipe.betas)
        return Muon(groups, lr=recipe.learning_rate, betas=recipe.betas)


def _is_modulation(name: str) -> bool:
    """Whether the parameter makes γ and β."""
    return ".norm1." in name or ".norm2." in name
