"""Brightness correction of pairs whose two sides were exposed differently."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from aindnet.evaluation.datasets.sample import Dataset, Image, Pair
from aindnet.evaluation.metrics import to_unit


def match_brightness(clean: Image, noisy: Image) -> NDArray[np.float64]:
    """The affine map of the clean image, per channel, that is nearest to the noisy one in the least
    squares.

    Both images are `(H, W)` or `(H, W, C)`; the result is float64 on [0, 1]. A channel without
    contrast only gets its mean moved.
    """
    clean_unit, noisy_unit = to_unit(clean), to_unit(noisy)
    axes = (0, 1)
    clean_mean, noisy_mean = clean_unit.mean(axes), noisy_unit.mean(axes)
    variance = np.square(clean_unit - clean_mean).mean(axes)
    covariance = ((clean_unit - clean_mean) * (noisy_unit - noisy_mean)).mean(axes)
    gain = np.divide(covariance, variance, out=np.ones_like(variance), where=variance > 1e-8)
    return np.asarray(np.clip((clean_unit - clean_mean) * gain + noisy_mean, 0.0, 1.0))


def with_matched_brightness(dataset: Dataset) -> Dataset:
    """The data set with every clean side matched to its noisy side, and a protocol that says so."""
    samples = tuple(
        replace(sample, read=partial(_read_matched, sample.read)) for sample in dataset.samples
    )
    note = " Clean sides are mapped to the noisy side's brightness (least-squares gain, offset)."
    return replace(dataset, samples=samples, protocol=dataset.protocol + note)


def _read_matched(read: Callable[[], Pair]) -> Pair:
    pair = read()
    if pair.clean is None:
        return pair
    return Pair(pair.noisy, match_brightness(pair.clean, pair.noisy))
