"""Scores of methods on images, and what follows from them: means, intervals, paired differences."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

BOOTSTRAP_DRAWS = 10_000
CONFIDENCE = 0.95


@dataclass(frozen=True)
class ImageScore:
    """One method on one image."""

    method: str
    image: str
    group: str
    values: dict[str, float]
    """Metric name → value; empty where there is no clean side."""

    seconds: float
    megapixels: float
    peak_memory_mb: float | None
    """Memory that the call added at its peak; None where the system does not tell."""

    noise_level: float | None = None
    """Mean of the method's own noise map on [0, 1], where it makes one."""

    noise_sigma: float | None = None
    """Root of the mean squared difference between noisy and clean, in 8-bit levels."""

    photo: str = ""
    """The photo or scene, where several images are of one: one draw to the intervals."""

    machine: str = ""
    """What `seconds` were taken on."""


@dataclass(frozen=True)
class MethodScores:
    """One method over a data set."""

    name: str
    settings: str
    scores: tuple[ImageScore, ...]

    def values(self, metric: str) -> NDArray[np.float64]:
        """The metric per image, in the data set's order."""
        return np.array([score.values.get(metric, math.nan) for score in self.scores])

    def mean(self, metric: str) -> float:
        """The data set's number: the mean over its images."""
        values = self.values(metric)
        return float(values.mean()) if values.size else math.nan

    @property
    def photos(self) -> list[str]:
        """The photo or scene that each image is of, in the data set's order."""
        return [score.photo or score.image for score in self.scores]

    def interval(self, metric: str) -> tuple[float, float]:
        """The interval of `mean`, over photos or scenes."""
        return bootstrap_interval_of_photos(self.values(metric), self.photos)

    @property
    def seconds_per_megapixel(self) -> float:
        """Time over all images divided by their size; NaN where one was not timed here."""
        megapixels = sum(score.megapixels for score in self.scores)
        return sum(score.seconds for score in self.scores) / megapixels if megapixels else math.nan

    @property
    def peak_memory_mb(self) -> float | None:
        """The largest of all images."""
        known = [score.peak_memory_mb for score in self.scores if score.peak_memory_mb is not None]
        return max(known) if known else None


@dataclass(frozen=True)
class Failure:
    """An image that could not be scored by a method, and why."""

    image: str
    method: str
    reason: str


@dataclass(frozen=True)
class Evaluation:
    """All methods on one data set; the methods share one list of images, so that they can be
    paired. No two have the same name.
    """

    dataset: str
    title: str
    protocol: str
    metrics: tuple[str, ...]
    methods: tuple[MethodScores, ...]
    failures: tuple[Failure, ...] = ()
    """Images that count for no method."""

    dropped: tuple[Failure, ...] = ()
    """Peers that are left out, each with the image that it failed on."""

    grouping: str = ""
    """What the scores' groups are: scene, image, noise setting; empty for none."""

    whole: bool = True
    """Whether these are all images of the set, as published: only then do published numbers say the
    same."""

    def __post_init__(self) -> None:
        """Raise `ValueError` for two methods of one name."""
        names = [method.name for method in self.methods]
        if len(set(names)) < len(names):
            raise ValueError(f"methods of one name: {names}")

    def method(self, name: str) -> MethodScores:
        """The row of one method."""
        return next(method for method in self.methods if method.name == name)


def bootstrap_interval(
    values: Sequence[float] | NDArray[np.float64], seed: int = 0
) -> tuple[float, float]:
    """The 95 % percentile interval of the mean, by resampling the images with replacement.

    NaN on both sides for fewer than two values or where a value is not finite.

    >>> bootstrap_interval([30.0, 30.0, 30.0])
    (30.0, 30.0)
    """
    array = np.asarray(values, dtype=np.float64)
    if array.size < 2 or not np.isfinite(array).all():
        return (math.nan, math.nan)
    random = np.random.default_rng(seed)
    # In blocks: 10,000 draws of 1,280 images at once would take 100 MB.
    means = [
        array[random.integers(0, array.size, (500, array.size))].mean(axis=1)
        for _ in range(BOOTSTRAP_DRAWS // 500)
    ]
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(np.concatenate(means), [tail, 1 - tail])
    return (float(low), float(high))


def bootstrap_interval_of_groups(
    values: Sequence[float] | NDArray[np.float64], groups: Sequence[str], seed: int = 0
) -> tuple[float, float]:
    """As `bootstrap_interval`, but whole groups (scenes) are resampled: crops of one scene are not
    independent.
    """
    array = np.asarray(values, dtype=np.float64)
    names, member = np.unique(np.asarray(groups), return_inverse=True)
    if names.size < 2 or not np.isfinite(array).all():
        return (math.nan, math.nan)
    sums = np.bincount(member, weights=array)
    counts = np.bincount(member).astype(np.float64)
    random = np.random.default_rng(seed)
    draws = random.integers(0, names.size, (BOOTSTRAP_DRAWS, names.size))
    means = sums[draws].sum(axis=1) / counts[draws].sum(axis=1)
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(means, [tail, 1 - tail])
    return (float(low), float(high))


def bootstrap_interval_of_photos(
    values: Sequence[float] | NDArray[np.float64], photos: Sequence[str], seed: int = 0
) -> tuple[float, float]:
    """As `bootstrap_interval`; where several images are of one photo or scene, these are resampled.

    The noise of such images may be independent, but what is under it is the same, or alike.
    """
    if len(set(photos)) == len(photos):
        return bootstrap_interval(values, seed)
    return bootstrap_interval_of_groups(values, photos, seed)


@dataclass(frozen=True)
class PairedDifference:
    """One method minus another, image by image."""

    mean: float
    low: float
    high: float
    wins: int
    images: int


def paired_difference(
    first: MethodScores, second: MethodScores, metric: str, seed: int = 0
) -> PairedDifference:
    """How much better `first` is, with the interval of the mean difference and on how many images
    it wins.
    """
    difference = first.values(metric) - second.values(metric)
    low, high = bootstrap_interval_of_photos(difference, first.photos, seed)
    mean = float(difference.mean()) if difference.size else math.nan
    return PairedDifference(mean, low, high, int((difference > 0).sum()), int(difference.size))
