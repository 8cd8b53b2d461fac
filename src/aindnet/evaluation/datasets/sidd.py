"""SIDD: the validation blocks with their truth, and the benchmark blocks without.

Abdelhamed, Lin, Brown, "A High-Quality Denoising Dataset for Smartphone Cameras", CVPR 2018. Both
sets are 40 images × 32 blocks of 256×256 sRGB pixels.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from aindnet.errors import DatasetError
from aindnet.evaluation.datasets.matlab_files import read_blocks
from aindnet.evaluation.datasets.sample import Dataset, Pair, Sample

PAGE = "the SIDD page of York University (abdokamel.github.io/sidd)"
VALIDATION_DOWNLOAD = (
    f"download ValidationNoisyBlocksSrgb.mat and ValidationGtBlocksSrgb.mat from {PAGE} into --root"
)
BENCHMARK_DOWNLOAD = f"download BenchmarkNoisyBlocksSrgb.mat from {PAGE} into --root"


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
        )

    return Dataset(
        name="sidd",
        title="SIDD validation (sRGB)",
        samples=_samples_of(noisy, sample),
        protocol="Mean over all 256×256 blocks; output rounded to 8 bits before measuring "
        "(psnr_float and ssim_float give the other reading).",
        grouping="image",
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
        protocol="The truth is not published: blocks are scored by the benchmark's server.",
        grouping="image",
    )


def _samples_of(file: BlockFile, make: Callable[[int, int], Sample]) -> tuple[Sample, ...]:
    images, blocks = file.blocks.shape[:2]
    return tuple(make(image, block) for image in range(images) for block in range(blocks))
