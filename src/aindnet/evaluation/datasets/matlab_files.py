"""MATLAB files of both formats: version 5 through scipy, version 7.3 (HDF5) through h5py."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aindnet.errors import DatasetError, MissingExtraError
from aindnet.evaluation.datasets.sample import require_file


def read_variable(path: Path, key: str) -> NDArray[Any]:
    """One variable of a version 5 file; `DatasetError` where it is not there or not readable."""
    from scipy.io import loadmat, whosmat
    from scipy.io.matlab import MatReadError

    try:
        names = [name for name, _, _ in whosmat(str(path))]
        if key not in names:
            raise DatasetError(f"{path}: holds {', '.join(names) or 'nothing'}, not {key}")
        return np.asarray(loadmat(str(path), variable_names=[key])[key])
    except (
        *(MatReadError, ValueError, NotImplementedError, OSError, TypeError),
        *(zlib.error, IndexError),  # a damaged part, and a file of less than a header
    ) as error:
        # NotImplementedError is how scipy refuses version 7.3.
        raise DatasetError(f"{path}: not a readable version 5 .mat file ({error})") from error


def read_blocks(path: Path, key: str, download: str) -> NDArray[np.uint8]:
    """The blocks of a SIDD file: uint8 of shape (images, blocks, height, width, 3)."""
    require_file(path, download)
    blocks = read_variable(path, key)
    if blocks.dtype != np.uint8 or blocks.ndim != 5 or blocks.shape[4] != 3:
        raise DatasetError(
            f"{path}: {key} is {blocks.dtype} of shape {blocks.shape}; "
            "uint8 of (40, 32, 256, 256, 3) is the published file"
        )
    return blocks


@contextmanager
def open_hdf5(path: Path, download: str) -> Iterator[Any]:
    """A version 7.3 .mat file, open for reading."""
    try:
        import h5py
    except ImportError as error:
        raise MissingExtraError("h5py", "evaluate") from error

    require_file(path, download)
    try:
        file = h5py.File(path, "r")
    except OSError as error:
        raise DatasetError(f"{path}: not a readable version 7.3 .mat (HDF5) file") from error
    with file:
        yield file
