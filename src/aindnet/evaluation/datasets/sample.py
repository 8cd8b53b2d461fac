"""What every data set is to the rest of the room: named samples that are read one at a time."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from aindnet.errors import DatasetError

Image = NDArray[np.generic]
Window = tuple[slice, slice]


@dataclass(frozen=True)
class Pair:
    """One noisy image and, where the data set has it, the clean one; the same shape, each of its
    own dtype.
    """

    noisy: Image
    clean: Image | None
    noise_level: Image | None = None
    """The true noise map on [0, 1], where the noise was made."""


@dataclass(frozen=True)
class Sample:
    """One image of a data set, read when asked for."""

    name: str
    """Unique within the data set; the key under which scores are kept."""

    read: Callable[[], Pair]

    window: Window | None = None
    """Rows and columns of the noisy image that count; what lies around them is context to be cut
    off.
    """

    group: str = ""
    """Scene, camera or noise setting, where the data set has such (`Dataset.grouping`). Images of
    one scene are one draw to the intervals.
    """

    photo: str = ""
    """The photo, where several samples are made of one: a subset has all of them or none, and they
    are one draw to the intervals.
    """


@dataclass(frozen=True)
class Dataset:
    """A data set's samples in a fixed order, with what one must know to get the same numbers."""

    name: str
    title: str
    samples: tuple[Sample, ...]
    protocol: str
    """How the pairs were made, selected or corrected, in words for the report."""

    selection: str = ""
    """Which part of the samples is here, in words; empty for all."""

    grouping: str = ""
    """What `Sample.group` names: scene, image, noise setting; empty where there are no groups."""

    has_truth: bool = True
    """Whether there are clean sides."""

    as_published: bool = True
    """Whether the images are as many and as large as those of published tables, where such are
    known."""

    def __post_init__(self) -> None:
        """Raise `DatasetError` for two samples of one name."""
        counts = Counter(sample.name for sample in self.samples)
        name, count = counts.most_common(1)[0] if counts else ("", 0)
        if count > 1:
            raise DatasetError(
                f"{self.name}: {count} images are named {name}; rename them, or leave out a folder"
            )

    def subset(
        self, *, every: int = 1, limit: int | None = None, contains: str | None = None
    ) -> Dataset:
        """Every `every`-th photo, at most `limit` of those whose name contains `contains`."""
        if every < 1 or (limit is not None and limit < 1):
            raise DatasetError("--every and --limit take whole numbers from 1 on")
        named = [sample for sample in self.samples if contains is None or contains in sample.name]
        photos = list(dict.fromkeys(sample.photo or sample.name for sample in named))
        taken = set(photos[::every][:limit])
        chosen = [sample for sample in named if (sample.photo or sample.name) in taken]
        if not chosen:
            raise DatasetError(
                f"{self.name}: no image is left to evaluate; loosen --only, --every or the filters"
            )
        if len(chosen) == len(self.samples):
            return self
        selection = f"Subset: {len(chosen)} of {len(self.samples)} images."
        return replace(self, samples=tuple(chosen), selection=selection)


def require_folder(root: Path, what: str) -> Path:
    """The folder itself, or an error that says what it should hold."""
    if not os.path.isdir(root):
        raise DatasetError(f"{root}: no such folder; expected {what}")
    return root


def require_file(path: Path, what: str) -> Path:
    """The file itself, or an error that says where to get it."""
    if not os.path.isfile(path):
        raise DatasetError(f"{path}: no such file; {what}")
    return path


def require_samples(samples: Sequence[Sample], root: Path, what: str) -> tuple[Sample, ...]:
    """The samples, or an error where a folder held none."""
    if not samples:
        raise DatasetError(f"{root}: holds no {what}")
    return tuple(samples)


def check_pair(name: str, noisy: Image, clean: Image) -> Pair:
    """A pair whose sides have the same shape, or an error that names it."""
    if noisy.shape != clean.shape:
        raise DatasetError(
            f"{name}: noisy is {noisy.shape} and clean is {clean.shape}; they must be of one size"
        )
    return Pair(noisy, clean)
