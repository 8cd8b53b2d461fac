"""SIDD: the training photos, the validation blocks with their truth, the benchmark blocks without.

Abdelhamed, Lin, Brown, "A High-Quality Denoising Dataset for Smartphone Cameras", CVPR 2018. Both
sets of blocks are 40 images × 32 blocks of 256×256 sRGB pixels; the training photos are whole.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from aindnet.errors import DatasetError
from aindnet.evaluation.datasets.image_files import is_visible
from aindnet.evaluation.datasets.matlab_files import read_blocks
from aindnet.evaluation.datasets.pairs import read_pair
from aindnet.evaluation.datasets.sample import (
    Dataset,
    Pair,
    Sample,
    require_folder,
    require_samples,
)

PAGE = "the SIDD page of York University (abdokamel.github.io/sidd)"
VALIDATION_DOWNLOAD = (
    f"download ValidationNoisyBlocksSrgb.mat and ValidationGtBlocksSrgb.mat from {PAGE} into --root"
)
BENCHMARK_DOWNLOAD = f"download BenchmarkNoisyBlocksSrgb.mat from {PAGE} into --root"
PUBLISHED_SHAPE = (40, 32, 256, 256, 3)
SCENE_FIELDS = 7
TRAINING_DOWNLOAD = (
    f"the folder SIDD_Small_sRGB_Only or SIDD_Medium_Srgb of {PAGE}: "
    "Data/SCENE_FOLDER/NOISY_SRGB_010.PNG with GT_SRGB_010.PNG"
)


@dataclass
class BlockFile:
    """One .mat file of blocks, read whole when the first block is asked for."""

    path: Path
    key: str
    download: str

    @cached_property
    def blocks(self) -> NDArray[np.uint8]:
        """(images, blocks, height, width, 3) uint8."""
        return read_blocks(self.path, self.key, self.download)

    @property
    def deviation(self) -> str:
        """What is not as in the published file, for the protocol; empty where all is."""
        if self.blocks.shape == PUBLISHED_SHAPE:
            return ""
        here, published = (
            f"{shape[0]} images of {shape[1]} blocks of {shape[2]}×{shape[3]}"
            for shape in (self.blocks.shape, PUBLISHED_SHAPE)
        )
        return f" {here} here; the published file has {published}."


def load_sidd_validation(root: Path) -> Dataset:
    """The validation blocks; PSNR and SSIM per block, then the mean over all blocks."""
    noisy = BlockFile(
        root / "ValidationNoisyBlocksSrgb.mat", "ValidationNoisyBlocksSrgb", VALIDATION_DOWNLOAD
    )
    clean = BlockFile(
        root / "ValidationGtBlocksSrgb.mat", "ValidationGtBlocksSrgb", VALIDATION_DOWNLOAD
    )
    if noisy.blocks.shape != clean.blocks.shape:
        raise DatasetError(
            f"{clean.path}: {clean.blocks.shape} blocks for {noisy.blocks.shape} noisy ones"
        )

    def sample(image: int, block: int) -> Sample:
        return Sample(
            f"{image:02d}_{block:02d}",
            lambda: Pair(noisy.blocks[image, block], clean.blocks[image, block]),
            group=f"image {image:02d}",
            photo=f"image {image:02d}",
        )

    return Dataset(
        name="sidd",
        title="SIDD validation (sRGB)",
        samples=_samples_of(noisy, sample),
        protocol="Mean over all blocks; output rounded to 8 bits before measuring (psnr_float and "
        "ssim_float give the other reading)." + noisy.deviation,
        grouping="image",
        as_published=not noisy.deviation,
    )


def load_sidd_benchmark(root: Path) -> Dataset:
    """The benchmark blocks: noisy only, in the order in which a submission numbers them."""
    noisy = BlockFile(
        root / "BenchmarkNoisyBlocksSrgb.mat", "BenchmarkNoisyBlocksSrgb", BENCHMARK_DOWNLOAD
    )

    def sample(image: int, block: int) -> Sample:
        return Sample(
            f"{image:02d}_{block:02d}",
            lambda: Pair(noisy.blocks[image, block], None),
            group=f"image {image:02d}",
        )

    return Dataset(
        name="sidd-benchmark",
        title="SIDD benchmark (sRGB)",
        samples=_samples_of(noisy, sample),
        protocol="The truth is not published: blocks are scored by the benchmark's server."
        + noisy.deviation,
        grouping="image",
        has_truth=False,
        as_published=not noisy.deviation,
    )


def load_sidd_training(root: Path) -> Dataset:
    """SIDD-Small (160 pairs) or SIDD-Medium (320): whole photos, `Data/0001_001_S6_…/`.

    A folder's name is number, scene, phone, ISO, shutter, temperature and brightness; photos of one
    scene are a group, whatever the phone.
    """
    require_folder(root, TRAINING_DOWNLOAD)
    samples = []
    for path in sorted(path for path in root.rglob("*NOISY_SRGB_*") if is_visible(path, root)):
        clean = path.with_name(path.name.replace("NOISY_SRGB", "GT_SRGB"))
        if not clean.is_file():
            raise DatasetError(f"{path}: has no {clean.name} beside it")
        parts = path.parent.name.split("_")
        if len(parts) != SCENE_FIELDS:
            raise DatasetError(
                f"{path.parent}: SIDD's folders are named like 0001_001_S6_00100_00060_3200_L"
            )
        number = re.sub(r".*NOISY_SRGB_", "", path.stem)
        name = f"{path.parent.name}/{number}"
        read = partial(read_pair, name, path, clean)
        samples.append(Sample(name, read, group=f"scene {parts[1]}"))
    return Dataset(
        name="sidd-training",
        title="SIDD training photos (sRGB)",
        samples=require_samples(samples, root, f"NOISY_SRGB photo; expected {TRAINING_DOWNLOAD}"),
        protocol="Whole photos as stored. Many networks were trained on them.",
        grouping="scene",
    )


def _samples_of(file: BlockFile, make: Callable[[int, int], Sample]) -> tuple[Sample, ...]:
    images, blocks = file.blocks.shape[:2]
    return tuple(make(image, block) for image in range(images) for block in range(blocks))
