"""A training run of a few steps."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from aindnet.camera import CameraRecipe
from aindnet.network import AINDNetConfig
from aindnet.pretrained import load_model
from aindnet.training import TrainingRecipe

SMALL = AINDNetConfig(
    channels=(8, 16, 16),
    encoder_blocks=(1, 1, 1),
    decoder_blocks=(1, 1),
    modulation_channels=8,
    unshuffle=2,
)


def recipe(photos: Path, tmp_path: Path, **changes: Any) -> TrainingRecipe:
    settings: dict[str, Any] = {
        "name": "tiny", "data": (photos,), "output": tmp_path / "runs", "network": SMALL,
        "camera": CameraRecipe(jpeg=0.3), "budget": "12 steps", "stages": ((0.0, 32, 4),),
        "validate_every": "6 steps", "checkpoint_every": "6 steps", "learning_rate": 2e-3,
        "precision": "fp32", "accelerator": "cpu", "synthetic_crops": 2,
        "validation": (photos.with_name("others"),),
        "loss": "log_mse",
    }  # fmt: skip
    return TrainingRecipe(**(settings | changes))


def weights(path: Path) -> torch.Tensor:
    return torch.cat([v.flatten() for v in load_model(path).network.state_dict().values()])
