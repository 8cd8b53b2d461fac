"""The SIDD benchmark's submission: the CSV that is scored now, and the .mat of the old server."""

from __future__ import annotations

import base64
import csv
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from aindnet.errors import DatasetError
from aindnet.evaluation.datasets.sample import Dataset
from aindnet.evaluation.methods.method import Method, checked
from aindnet.evaluation.metrics import to_uint8
from aindnet.evaluation.runner import Progress, as_float
from aindnet.evaluation.whole_files import whole_file

IMAGES, BLOCKS, SIDE = 40, 32, 256


def denoise_sidd(
    dataset: Dataset, method: Method, blocks: Path, progress: Progress | None = None
) -> None:
    """Write `00_00.npy` … , each (256, 256, 3) uint8; whole files are kept."""
    for index, sample in enumerate(dataset.samples):
        path = blocks / f"{sample.name}.npy"
        if progress:
            progress(index, len(dataset.samples), sample.name)
        if path.is_file():
            continue
        noisy = as_float(sample.read().noisy)
        denoised = to_uint8(checked(method, method(noisy), noisy).image)
        with whole_file(path) as partial:
            np.save(partial, denoised)
    if progress:
        progress(len(dataset.samples), len(dataset.samples), "")


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
    with (
        whole_file(bundle / "SubmitSrgb.csv") as partial,
        partial.open("w", newline="", encoding="ascii") as stream,
    ):
        writer = csv.writer(stream)
        writer.writerow(["ID", "BLOCK"])
        for identity, block in enumerate(cells.reshape(-1)):
            writer.writerow([identity, base64.b64encode(block.tobytes()).decode("ascii")])
    optional = {"MethodName": method, "Authors": "", "PaperTitle": "", "Venue": ""}
    contents = {
        "DenoisedBlocksSrgb": cells,
        "TimeMPSrgb": seconds_per_megapixel,
        "OptionalData": optional,
    }
    with whole_file(bundle / "SubmitSrgb.mat") as partial:
        savemat(partial, contents)


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
