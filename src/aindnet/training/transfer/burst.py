"""A burst of a still scene as pairs: the mean of the other frames is the target of each.

With n frames the target keeps 1/(n - 1) of the noise's variance, independent of the frame's own
noise (Noise2Noise, Lehtinen et al., ICML 2018; with two frames it is just that), and it is taken
off when the result is measured. L1 learns the median: noise that is not symmetric, as where it is
clipped at black, biases it a little, the less the more frames there are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from aindnet.errors import BurstError
from aindnet.training.transfer.frames import (
    Frame,
    banded,
    clipped_share,
    find_shifts,
    move_back,
    moved,
    of_one_light,
    of_one_shot,
    of_one_size,
    of_other_noise,
    sum_of_frames,
    without_copies,
)
from aindnet.training.transfer.inspection import block_means
from aindnet.training.transfer.pairs import VARIANCE_BLOCK, Image, PhotoPair

MAX_CLIPPED = 0.4
"""Share of pixels that may be white or black."""
LEAST_NOISE = 0.3
"""Deviation between frames, 8-bit levels: below it they are copies of one."""


@dataclass(frozen=True, eq=False)
class MeanOfOthers:
    """A frame's target, made when a part of it is asked for: uint16 (H, W, 3).

    The burst's frames share one sum, so a burst takes little more memory than its frames.
    """

    total: npt.NDArray[np.float32]
    """Of all frames, in 8-bit levels of the burst's brightness."""
    frame: Frame
    others: int
    dtype: np.dtype[Any] = field(default_factory=lambda: np.dtype(np.uint16))

    @property
    def shape(self) -> tuple[int, ...]:
        """(H, W, 3)."""
        return self.total.shape

    def __getitem__(self, part: tuple[slice, slice], /) -> Image:
        """The mean of the other frames there, as bright as the frame."""
        mean = (self.total[part] - self.frame.levels(*part)) / self.others
        white = 257 * mean * np.array(self.frame.brightness, np.float32)
        return np.clip(np.rint(white), 0, 65535).astype(np.uint16)


@dataclass(frozen=True)
class Burst:
    """The frames of one scene that agree, and why the others were left out."""

    scene: str
    frames: tuple[Frame, ...]
    left_out: dict[str, str]
    """Frame → reason."""
    noise_variance: npt.NDArray[np.float32]
    """Of one frame, on the [0, 1] scale, measured between the frames, in blocks of 16 pixels."""


def check_burst(scene: str, frames: Sequence[Frame]) -> Burst:
    """Find the frames that show the same thing at the same place in the same light.

    Raises `BurstError` where fewer than two frames are left, there is no noise, or too much is
    white or black.
    """
    if len(frames) < 2:
        raise BurstError(f"{scene}: {len(frames)} frame; a burst needs 2 at least, better 8")
    left_out: dict[str, str] = {}
    frames = without_copies(of_one_size(scene, frames, left_out), left_out)
    if len(frames) < 2:
        raise _too_few(scene, left_out)
    if min(frames[0].image.shape[:2]) < VARIANCE_BLOCK:
        raise BurstError(f"{scene}: frames of less than {VARIANCE_BLOCK} pixels a side")
    kept = of_one_light(frames, left_out)
    shifts = find_shifts(kept, left_out)
    aligned = move_back([frame for frame in kept if frame.name in shifts], shifts)
    for find in (banded, moved, of_one_shot, of_other_noise):
        for frame, reason in find(aligned):
            left_out[frame.name] = reason
        aligned = [frame for frame in aligned if frame.name not in left_out]
    if len(aligned) < 2:
        raise _too_few(scene, left_out)
    clipped = clipped_share(aligned)
    if clipped > MAX_CLIPPED:
        raise BurstError(
            f"{scene}: {100 * clipped:.0f} % of the pixels are white or black; expose it anew"
        )
    variance = _variance(aligned)
    if 255 * float(np.median(variance)) ** 0.5 < LEAST_NOISE:
        raise BurstError(
            f"{scene}: no noise: the frames are all but the same photo; use the ISO that you want "
            "cleaned"
        )
    return Burst(scene, tuple(aligned), left_out, variance)


def burst_pairs(burst: Burst) -> list[PhotoPair]:
    """Each frame with the mean of the others."""
    total = np.asarray(sum_of_frames(burst.frames), np.float32)
    others = len(burst.frames) - 1
    return [
        PhotoPair(
            f"{burst.scene}/{frame.name}",
            frame.image,
            MeanOfOthers(total, frame, others),
            burst.scene,
            target_variance=burst.noise_variance / np.float32(others),
        )
        for frame in burst.frames
    ]


def _too_few(scene: str, left_out: dict[str, str]) -> BurstError:
    reasons = "; ".join(f"{name}: {reason}" for name, reason in left_out.items())
    return BurstError(f"{scene}: fewer than 2 usable frames ({reasons}); shoot it again")


def _variance(frames: Sequence[Frame]) -> npt.NDArray[np.float32]:
    """Variance of one frame's noise, from the frames' differences to their mean.

    (H // 16, W // 16), mean over the block's pixels and channels, on the [0, 1] scale squared.
    """
    count = len(frames)
    mean = sum_of_frames(frames) / count
    squares = np.zeros_like(mean)
    for frame in frames:
        squares += np.square(frame.levels() - mean)
    blocks = block_means(np.asarray(squares, np.float32), VARIANCE_BLOCK).mean(axis=2)
    return np.asarray(blocks / (count - 1) / 255**2, np.float32)
