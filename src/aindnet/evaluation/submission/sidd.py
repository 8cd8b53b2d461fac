"""The SIDD benchmark's submission: the CSV that is scored now, and the .mat of the old server."""

from __future__ import annotations

import base64
import csv
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from aindnet.errors import DatasetError
from aindnet.evaluation.datasets.sample import Dataset, Image, Sample
from aindnet.evaluation.methods.method import FloatImage, Method
from aindnet.evaluation.metrics import to_uint8
from aindnet.evaluation.runner import Progress
from aindnet.evaluation.submission.parts import FailedPart, denoise_parts
from aindnet.whole_files import whole_folder

IMAGES, BLOCKS, SIDE = 40, 32, 256


def denoise_sidd(
    dataset: Dataset, method: Method, blocks: Path, progress: Progress | None = None
) -> list[FailedPart]:
    """Write `00_00.npy` … , each (256, 256, 3) uint8; files of the same block are kept if
    whole. Returns what failed.
    """

    def write(path: Path, sample: Sample, denoised: FloatImage) -> None:
        np.save(path, to_uint8(denoised))

    def check(path: Path, sample: Sample, noisy: Image) -> None:
        _checked_block(path, noisy.shape[0])

    return denoise_parts(dataset, method, blocks, ".npy", write, check, progress)


def check_sidd(dataset: Dataset) -> None:
    """Raise `DatasetError` unless the blocks are as many and as large as the benchmark's."""
    images = len({sample.group for sample in dataset.samples})
    blocks, shape = len(dataset.samples) // images, dataset.samples[0].read().noisy.shape
    if (images, blocks, shape) != (IMAGES, BLOCKS, (SIDE, SIDE, 3)):
        raise DatasetError(
            f"{dataset.name}: {images} images of {blocks} blocks of {shape}; the benchmark has "
            f"{IMAGES} of {BLOCKS} of {(SIDE, SIDE, 3)}, and takes no other bundle"
        )


def bundle_sidd(
    blocks: Path,
    bundle: Path,
    *,
    shape: tuple[int, int, int] = (IMAGES, BLOCKS, SIDE),
    seconds_per_megapixel: float,
    method: str,
) -> None:
    """Check every block and write `SubmitSrgb.csv` (ID, BLOCK) and `SubmitSrgb.mat`.

    IDs run over the blocks of the first image, then the second, …; BLOCK is base64 of the block's
    uint8 bytes, row by row, RGB. The .mat has `DenoisedBlocksSrgb` (a cell of images × blocks),
    `TimeMPSrgb` and `OptionalData`. Raises `DatasetError` naming the first block that is not as it
    must be; nothing is written then.
    """
    from scipy.io import savemat

    images, per_image, side = shape
    cells = np.empty((images, per_image), dtype=object)
    for image in range(images):
        for block in range(per_image):
            cells[image, block] = _checked_block(blocks / f"{image:02d}_{block:02d}.npy", side)
    optional = {"MethodName": method, "Authors": "", "PaperTitle": "", "Venue": ""}
    contents = {
        "DenoisedBlocksSrgb": cells,
        "TimeMPSrgb": seconds_per_megapixel,
        "OptionalData": optional,
    }
    with whole_folder(bundle) as folder:
        with (folder / "SubmitSrgb.csv").open("w", newline="", encoding="ascii") as stream:
            writer = csv.writer(stream)
            writer.writerow(["ID", "BLOCK"])
            for identity, block in enumerate(cells.reshape(-1)):
                writer.writerow([identity, base64.b64encode(block.tobytes()).decode("ascii")])
        savemat(folder / "SubmitSrgb.mat", contents)


def _checked_block(path: Path, side: int) -> NDArray[np.uint8]:
    if not path.is_file():
        raise DatasetError(f"{path}: missing; run the evaluation to its end before bundling")
    try:
        block = np.load(path, allow_pickle=False)
    except (ValueError, OSError, EOFError) as error:
        raise DatasetError(f"{path}: not readable; delete it and run again") from error
    if block.shape != (side, side, 3) or block.dtype != np.uint8:
        raise DatasetError(
            f"{path}: {block.dtype} of {block.shape}; uint8 of {(side, side, 3)} is needed"
        )
    return np.ascontiguousarray(block)
