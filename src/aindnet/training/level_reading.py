"""How a level reader learns the noise level of simulated photos, where all else is trained.

Ours, not the paper's: docs/beyond-the-paper.md, "The level that is read".
"""

from __future__ import annotations

from torch import Tensor

from aindnet.training.data import Batch
from aindnet.training.task import SyntheticNoiseTask

LEVEL_OFFSET = 0.5 / 255
"""Level that is added to the true one where the error is set beside it: so the levels of nearly
clean photos count, and do not outweigh the rest."""
BY_PIXEL_WEIGHT = 0.5
"""Of the map's error beside that of its mean."""


class LevelReadingTask(SyntheticNoiseTask):
    """Trains `AINDNet.level_reader` alone."""

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """The loss of the level that the whole network reads."""
        assert batch.noise_level is not None
        loss = level_reading_loss(self(batch.noisy).noise_level.float(), batch.noise_level)
        self.log("train/noise_level", loss)
        return loss


def level_reading_loss(level: Tensor, truth: Tensor) -> Tensor:
    """Errors of each photo's mean level, and of its map (B, C, H, W), over the true level.

    Absolute ones, as neither side costs more: the level is told to people, where the asymmetric
    loss keeps a denoiser from leaving noise.
    """
    true = truth.mean(dim=(1, 2, 3))
    of_photo = (level.mean(dim=(1, 2, 3)) - true).abs()
    by_pixel = (level - truth).abs().mean(dim=(1, 2, 3))
    return ((of_photo + BY_PIXEL_WEIGHT * by_pixel) / (true + LEVEL_OFFSET)).mean()
