"""A burst of a still scene as pairs: the mean of the other frames is the target of each.

With n frames the target keeps 1/(n - 1) of the noise's variance, independent of the frame's own
noise (Noise2Noise, Lehtinen et al., ICML 2018; with two frames it is just that), and it is taken
off when the result is measured. L1 learns the median: noise that is not symmetric, as where it is
clipped at black, biases it a little, the less the more frames there are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from aindnet.errors import BurstError
from aindnet.training.transfer.inspection import block_means, displacement, levels
from aindnet.training.transfer.pairs import VARIANCE_BLOCK, Image, PhotoPair

MAX_SHIFT = 16
"""Pixels that a frame may lie beside the others; whole pixels are moved back."""
MAX_RESIDUAL = 0.35
"""Pixels that may be left then: interpolation would smooth the noise."""
MAX_FLICKER = 0.02
"""Share by which a frame's brightness may differ from the burst's."""
MAX_MOVED = 0.01
"""Share of blocks in which something may have moved."""
MAX_CLIPPED = 0.4
"""Share of pixels that may be white or black."""
LEAST_NOISE = 0.3
"""Deviation between frames, 8-bit levels: below it they are copies of one."""


@dataclass(frozen=True, eq=False)
class Frame:
    """One photo of a burst: (H, W, 3), uint8 or uint16."""

    name: str
    image: Image


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

    Raises `BurstError` where sizes differ, fewer than two frames are left, there is no noise, or
    too much is white or black.
    """
    if len(frames) < 2:
        raise BurstError(f"{scene}: {len(frames)} frame; a burst needs 2 at least, better 8")
    shapes = {frame.image.shape for frame in frames}
    if min(frames[0].image.shape[:2]) < VARIANCE_BLOCK:
        raise BurstError(f"{scene}: frames of less than {VARIANCE_BLOCK} pixels a side")
    if len(shapes) > 1:
        sizes = ", ".join(sorted(f"{s[1]}×{s[0]}" for s in shapes))
        raise BurstError(f"{scene}: frames of several sizes ({sizes}); give each burst a folder")
    left_out: dict[str, str] = {}
    means = np.stack([block_means(levels(frame.image)) for frame in frames]).mean(axis=3) + 1
    # The median of two lies halfway between them.
    halved = 2 if len(frames) == 2 else 1
    for frame, ratios in zip(frames, means / np.median(means, axis=0), strict=True):
        flicker = halved * (float(np.median(ratios)) - 1)
        if abs(flicker) > MAX_FLICKER:
            left_out[frame.name] = f"its light differs by {100 * flicker:+.1f} %"
    kept = [frame for frame in frames if frame.name not in left_out]
    shifts = _shifts(kept, left_out)
    aligned = _aligned([frame for frame in kept if frame.name in shifts], shifts)
    for frame, reason in _moved(aligned):
        left_out[frame.name] = reason
    aligned = [frame for frame in aligned if frame.name not in left_out]
    if len(aligned) < 2:
        reasons = "; ".join(f"{name}: {reason}" for name, reason in left_out.items())
        raise BurstError(f"{scene}: fewer than 2 usable frames ({reasons}); shoot it again")
    clipped = _clipped(aligned)
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
    """Each frame with the mean of the others, as uint16."""
    total = sum(levels(frame.image).astype(np.float64) for frame in burst.frames)
    others = len(burst.frames) - 1
    pairs = []
    for frame in burst.frames:
        mean = (total - levels(frame.image)) / others
        target = np.clip(np.rint(mean * 257), 0, 65535).astype(np.uint16)
        pairs.append(
            PhotoPair(
                f"{burst.scene}/{frame.name}",
                frame.image,
                target,
                burst.scene,
                target_variance=burst.noise_variance / np.float32(others),
            )
        )
    return pairs


def _shifts(frames: Sequence[Frame], left_out: dict[str, str]) -> dict[str, tuple[int, int]]:
    """Whole pixels that each frame lies beside the middle one; why others are left out."""
    if not frames:
        return {}
    anchor = levels(frames[len(frames) // 2].image)
    found = {f.name: displacement(levels(f.image), anchor) for f in frames}
    # The anchor may be the one that moved: the burst's median place is the reference.
    place = np.percentile([*found.values()], 50, axis=0, method="lower")
    shifts = {}
    for name, shift in found.items():
        dy, dx = shift[0] - float(place[0]), shift[1] - float(place[1])
        whole = round(dy), round(dx)
        residual = max(abs(dy - whole[0]), abs(dx - whole[1]))
        if max(map(abs, whole)) > MAX_SHIFT or residual > MAX_RESIDUAL:
            left_out[name] = f"the camera moved by {dy:+.1f}, {dx:+.1f} pixels"
        else:
            shifts[name] = whole
    return shifts


def _clipped(frames: Sequence[Frame]) -> float:
    """Share of the mean's pixels at white or black."""
    mean = np.mean([levels(frame.image) for frame in frames], axis=0)
    return float(((mean >= 254) | (mean <= 1)).any(axis=2).mean())


def _moved(frames: Sequence[Frame]) -> list[tuple[Frame, str]]:
    """The frames in which something is where it is not in most."""
    if len(frames) < 2:
        return []
    means = np.stack([block_means(levels(frame.image)) for frame in frames])
    middle = np.median(means, axis=0)
    found = []
    for frame, mean in zip(frames, means, strict=True):
        difference = np.abs(mean - middle).max(axis=2)
        # Six times the deviation that noise gives block means, and two levels, is no motion; the
        # median of two frames lies halfway between them.
        bound = (1.0 if len(frames) == 2 else 2.0) + 6 * 1.4826 * float(np.median(difference))
        share = float((difference > bound).mean())
        if share > MAX_MOVED:
            found.append((frame, f"something moved in {100 * share:.0f} % of it"))
    return found


def _aligned(frames: Sequence[Frame], shifts: dict[str, tuple[int, int]]) -> list[Frame]:
    """The frames moved back by whole pixels, cut to what all of them show."""
    if not any(any(shift) for shift in shifts.values()):
        return list(frames)
    found = np.array(list(shifts.values()))
    (top, left), (bottom, right) = -found.min(axis=0).clip(max=0), found.max(axis=0).clip(min=0)
    height, width = frames[0].image.shape[:2]
    moved = []
    for frame in frames:
        dy, dx = shifts[frame.name]
        rows = slice(top + dy, height - bottom + dy)
        columns = slice(left + dx, width - right + dx)
        moved.append(Frame(frame.name, frame.image[rows, columns]))
    return moved


def _variance(frames: Sequence[Frame]) -> npt.NDArray[np.float32]:
    """Variance of one frame's noise, from the frames' differences to their mean.

    (H // 16, W // 16), mean over the block's pixels and channels, on the [0, 1] scale squared.
    """
    count = len(frames)
    mean = sum(levels(frame.image).astype(np.float64) for frame in frames) / count
    squares = sum(np.square(levels(frame.image) - mean) for frame in frames)
    blocks = block_means(np.asarray(squares, np.float32), VARIANCE_BLOCK).mean(axis=2)
    return np.asarray(blocks / (count - 1) / 255**2, np.float32)
