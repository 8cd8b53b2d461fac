"""DND: 50 photos, 20 boxes in each, no published truth.

Plötz and Roth, "Benchmarking Denoising Algorithms with Real Photographs", CVPR 2017. `info.mat` and
`images_srgb/0001.mat` … `0050.mat` are MATLAB 7.3 files (HDF5), which store arrays transposed.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from aindnet.errors import DatasetError
from aindnet.evaluation.datasets.matlab_files import open_hdf5
from aindnet.evaluation.datasets.sample import Dataset, Pair, Sample, Window

DOWNLOAD = (
    "request the DND data set at noise.visinf.tu-darmstadt.de (dnd_2017.zip) and give "
    "--root the folder with info.mat and images_srgb/"
)
CONTEXT = 80
"""Pixels around a box that the denoiser sees, as in the paper's evaluation; clipped at the border.
"""


@dataclass(frozen=True)
class Box:
    """One box of one photo, in 0-based half-open pixel coordinates."""

    image: int
    index: int
    top: int
    left: int
    bottom: int
    right: int

    @property
    def name(self) -> str:
        """The name of the box's file in a submission, without suffix."""
        return f"{self.image + 1:04d}_{self.index + 1:02d}"

    @property
    def shape(self) -> tuple[int, int, int]:
        """Height, width, channels."""
        return (self.bottom - self.top, self.right - self.left, 3)


def read_boxes(root: Path) -> list[Box]:
    """Every box of `info.mat`, photo by photo."""
    path = root / "info.mat"
    with open_hdf5(path, DOWNLOAD) as file:
        try:
            references = np.asarray(file["info"]["boundingboxes"]).reshape(-1)
            tables = [np.asarray(file["info"][reference]).T for reference in references]
        except (KeyError, ValueError, TypeError) as error:
            raise DatasetError(
                f"{path}: has no info/boundingboxes as DND's info.mat has"
            ) from error
    boxes = []
    for image, table in enumerate(tables):
        if table.ndim != 2 or table.shape[1] != 4:
            raise DatasetError(f"{path}: boxes of image {image + 1} are {table.shape}, not (20, 4)")
        for index, (top, left, bottom, right) in enumerate(table.astype(int)):
            boxes.append(Box(image, index, top - 1, left - 1, bottom, right))
    return boxes


def load_dnd(root: Path, context: int = CONTEXT) -> Dataset:
    """Every box with its context; `Sample.window` cuts the context off again."""
    samples = []
    for box in read_boxes(root):
        path = root / "images_srgb" / f"{box.image + 1:04d}.mat"
        top, left = min(context, box.top), min(context, box.left)
        window: Window = np.s_[top : top + box.shape[0], left : left + box.shape[1]]
        read = partial(_read_with_context, path, box, context)
        samples.append(Sample(box.name, read, group=f"image {box.image + 1:02d}", window=window))
    return Dataset(
        name="dnd",
        title="DND (sRGB)",
        samples=tuple(samples),
        protocol=f"Boxes denoised with {context} pixels of context, which is cut off again. "
        "The truth is not published: the bundle is scored by the benchmark's server.",
        grouping="image",
        has_truth=False,
    )


def _read_with_context(path: Path, box: Box, context: int) -> Pair:
    with open_hdf5(path, DOWNLOAD) as file:
        if "InoisySRGB" not in file:
            raise DatasetError(f"{path}: holds {sorted(file)}, not InoisySRGB")
        stored = file["InoisySRGB"]  # (3, width, height)
        if stored.ndim != 3 or stored.shape[0] != 3:
            raise DatasetError(
                f"{path}: InoisySRGB is {stored.shape[::-1]}; height × width × 3 expected"
            )
        if box.right > stored.shape[1] or box.bottom > stored.shape[2]:
            raise DatasetError(
                f"{path}: box {box.name} lies outside the photo {stored.shape[::-1]}"
            )
        columns = slice(max(0, box.left - context), box.right + context)
        rows = slice(max(0, box.top - context), box.bottom + context)
        try:
            part = np.asarray(stored[:, columns, rows], dtype=np.float32)
        except (OSError, ValueError, TypeError) as error:
            raise DatasetError(f"{path}: InoisySRGB is damaged ({error})") from error
        noisy: NDArray[np.float32] = part.T
    return Pair(np.ascontiguousarray(noisy), None)
