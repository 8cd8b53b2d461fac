"""The paper's test of the noise-level estimator: clean photos through the synthetic camera, the
true map kept.

Kim et al. 2020 use Kodak24 and six cameras, σ_s ∈ {.08, .12} × σ_c ∈ {.02, .04, .06}, and report
the mean absolute error of the estimated map. The photo is seeded by its name and setting.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np

from aindnet.errors import DatasetError
from aindnet.evaluation.datasets.gaussian import seed_of
from aindnet.evaluation.datasets.image_files import image_files, read_file
from aindnet.evaluation.datasets.sample import (
    Dataset,
    Image,
    Pair,
    Sample,
    require_folder,
    require_samples,
)
from aindnet.evaluation.metrics import to_unit

SHOT_NOISE = (0.08, 0.12)
READ_NOISE = (0.02, 0.04, 0.06)
DOWNLOAD = "a folder of clean colour photos: Kodak24 (r0k.us/graphics/kodak) for the paper's number"


def load_estimator(root: Path) -> Dataset:
    """Every photo under every one of the six cameras; groups are `σs=0.08 σc=0.02`."""
    files = image_files(require_folder(root, DOWNLOAD))
    samples = []
    for shot in SHOT_NOISE:
        for read_noise in READ_NOISE:
            group = f"σs={shot:g} σc={read_noise:g}"
            for stem, path in files.items():
                read = partial(_photograph, path, shot, read_noise, seed_of(f"{stem} {group}", 0))
                samples.append(Sample(f"{stem} {group}", read, group=group, photo=stem))
    return Dataset(
        name="estimator",
        title="Accuracy of the estimated noise level",
        samples=require_samples(samples, root, f"image; expected {DOWNLOAD}"),
        protocol="The paper's synthetic camera (variance L·σs² + σc² on irradiance, mosaic, "
        "measured responses, no JPEG). noise_level_error is the mean absolute difference between "
        "the estimated and the true map on [0, 1]; noise_level_bias the mean of estimate − truth.",
        grouping="camera",
    )


def _photograph(path: Path, shot: float, read_noise: float, seed: int) -> Pair:
    clean = read_file(path)
    if clean.ndim != 3 or min(clean.shape[:2]) < 8:
        raise DatasetError(f"{path}: a colour photo of at least 8×8 pixels is needed")
    noisy, level = photograph(clean, shot, read_noise, seed)
    return Pair(noisy, clean, noise_level=level)


def photograph(clean: Image, shot: float, read_noise: float, seed: int) -> tuple[Image, Image]:
    """A clean photo (H, W, 3) under the paper's camera: the noisy photo and its true noise map.

    Both are float32 (H, W, 3) on [0, 1]; `shot` is σ_s and `read_noise` σ_c of variance L·σ_s² +
    σ_c².
    """
    import torch

    from aindnet.camera import CameraRecipe, SensorNoise, simulate

    batch = torch.from_numpy(to_unit(clean).astype(np.float32).transpose(2, 0, 1).copy())[None]
    sensor = SensorNoise(torch.full((1, 3), shot), torch.full((1, 3), read_noise), "squared")
    generator = torch.Generator().manual_seed(seed % 2**63)
    simulated = simulate(batch, generator, CameraRecipe.paper(), sensor=sensor)
    noisy, level = (
        np.ascontiguousarray(tensor[0].permute(1, 2, 0).numpy())
        for tensor in (simulated.noisy, simulated.noise_level)
    )
    return noisy, level
