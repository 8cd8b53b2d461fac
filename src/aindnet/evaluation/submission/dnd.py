"""The DND submission: a crop file per box, then the bundle of 50 files that the server takes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from aindnet.errors import DatasetError
from aindnet.evaluation.datasets.dnd import DOWNLOAD, Box
from aindnet.evaluation.datasets.matlab_files import read_variable
from aindnet.evaluation.datasets.sample import Dataset, Image, Sample
from aindnet.evaluation.methods.method import FloatImage, Method
from aindnet.evaluation.runner import Progress
from aindnet.evaluation.submission.parts import FailedPart, denoise_parts
from aindnet.whole_files import whole_folder

EVALUATION_VERSION = "1.0"
PHOTOS, BOXES = 50, 20


def denoise_dnd(
    dataset: Dataset, method: Method, crops: Path, progress: Progress | None = None
) -> list[FailedPart]:
    """Write `0001_01.mat` … with `Idenoised_crop` (H, W, 3) float32 on [0, 1]; files of the same
    photo are kept if whole. Returns what failed.
    """
    from scipy.io import savemat

    def write(path: Path, sample: Sample, denoised: FloatImage) -> None:
        crop = denoised[sample.window] if sample.window else denoised
        savemat(path, {"Idenoised_crop": np.clip(crop, 0, 1).astype(np.float32)})

    def check(path: Path, sample: Sample, noisy: Image) -> None:
        _checked_crop(path, (noisy[sample.window] if sample.window else noisy).shape)

    return denoise_parts(dataset, method, crops, ".mat", write, check, progress)


def check_dnd(boxes: Sequence[Box]) -> None:
    """Raise `DatasetError` unless the boxes are as many as the server wants."""
    counts = Counter(box.image for box in boxes)
    if len(counts) != PHOTOS or set(counts.values()) != {BOXES}:
        raise DatasetError(
            f"info.mat: {len(boxes)} boxes of {len(counts)} photos; DND has {BOXES} boxes in each "
            f"of {PHOTOS}, and its server takes no other bundle: {DOWNLOAD}"
        )


def bundle_dnd(boxes: Sequence[Box], crops: Path, bundle: Path) -> None:
    """Check every crop (there, shape, float32, finite, within [0, 1]) and write the bundle as a
    whole.

    Each `0001.mat` … holds `Idenoised`, a MATLAB cell of the photo's crops, `israw` false and
    `eval_version` "1.0". Raises `DatasetError` naming the first crop that is not as it must be; no
    bundle is written then.
    """
    from scipy.io import savemat

    with whole_folder(bundle) as folder:
        for image, of_image in groupby(boxes, key=lambda box: box.image):
            own = list(of_image)
            cells = np.empty((len(own),), dtype=object)
            for cell, box in enumerate(own):
                cells[cell] = _checked_crop(crops / f"{box.name}.mat", box.shape)
            contents = {
                "Idenoised": cells,
                "israw": False,
                "eval_version": EVALUATION_VERSION,
            }
            savemat(folder / f"{image + 1:04d}.mat", contents)


def _checked_crop(path: Path, shape: tuple[int, ...]) -> NDArray[np.float32]:
    if not path.is_file():
        raise DatasetError(f"{path}: missing; run the evaluation to its end before bundling")
    crop = read_variable(path, "Idenoised_crop")
    if crop.shape != shape or crop.dtype != np.float32:
        raise DatasetError(f"{path}: {crop.dtype} of {crop.shape}; float32 of {shape} is needed")
    if not np.isfinite(crop).all() or crop.min() < 0 or crop.max() > 1:
        raise DatasetError(f"{path}: values outside [0, 1]; delete it and run again")
    return crop
