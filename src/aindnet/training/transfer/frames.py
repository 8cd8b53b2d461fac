"""The frames of a burst that can be used together: why one cannot is told in a few words.

Each of these finds one thing; `aindnet.training.transfer.burst` asks them in turn. Blocks are of 16
pixels.
"""

from __future__ import annotations

import hashlib
import itertools
import math
import warnings
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from aindnet.errors import BurstError
from aindnet.training.transfer.inspection import (
    BLOCK,
    block_means,
    displacement,
    levels,
    noise_share,
)
from aindnet.training.transfer.pairs import Image

WHOLE = slice(None)
MAX_SHIFT = 16
"""Pixels that a frame may lie beside the others; whole pixels are moved back."""
MAX_RESIDUAL = 0.35
"""Pixels that may be left then: interpolation would smooth the noise."""
MAX_FLICKER = 0.02
"""Share by which a frame's brightness may differ from the burst's."""
LEAST_FLICKER = 0.002
"""Share below which a difference of brightness is not told from noise, and left as it is."""
DARK = 16.0
"""Levels below which a channel's brightness is not compared."""
CHANNELS = ("red", "green", "blue")
MAX_MOVED = 0.01
"""Share of blocks in which something may have moved."""
MAX_NOISE_RATIO = 2.0
"""Of a frame's noise variance to the others': it was denoised, or taken at another ISO."""
ONE_SHOT = 0.4
"""Correlation of two frames' noise, over that of two shots', from which on they are one shot."""
MOST_BLOCKS = 512
"""Of a frame, that its noise is compared with others' on."""


@dataclass(frozen=True, eq=False)
class Frame:
    """One photo of a burst: (H, W, 3), uint8 or uint16."""

    name: str
    image: Image
    size: tuple[int, int] | None = None
    """Width and height of the photo that it is the middle of; None: all of it."""
    brightness: tuple[float, float, float] = (1.0, 1.0, 1.0)
    """Of each channel over the burst's, as flicker leaves it."""

    @property
    def whole_size(self) -> tuple[int, int]:
        """Width and height of the photo."""
        return self.size or (self.image.shape[1], self.image.shape[0])

    def levels(self, rows: slice = WHOLE, columns: slice = WHOLE) -> npt.NDArray[np.float32]:
        """In 8-bit levels, of the burst's brightness."""
        light = np.array(self.brightness, np.float32)
        return np.asarray(levels(self.image[rows, columns]) / light, np.float32)


def of_one_size(scene: str, frames: Sequence[Frame], left_out: dict[str, str]) -> list[Frame]:
    """The frames of the size and depth that most have; why others are left out.

    Raises `BurstError` where as many have another: RAW beside JPEG, say.
    """
    kinds = Counter(map(_size_and_depth, frames))
    (common, count), *others = kinds.most_common()
    if others and others[0][1] == count:
        raise BurstError(
            f"{scene}: two kinds of photos, as many of each ({common}; {others[0][0]}): give each "
            "kind a folder"
        )
    for frame in frames:
        if (kind := _size_and_depth(frame)) != common:
            left_out[frame.name] = f"{kind}, others {common}"
    return [frame for frame in frames if frame.name not in left_out]


def _size_and_depth(frame: Frame) -> str:
    width, height = frame.whole_size
    return f"{width}×{height} pixels of {8 * frame.image.itemsize} bits"


def without_copies(frames: Sequence[Frame], left_out: dict[str, str]) -> list[Frame]:
    """The frames without copies: a copy's noise would be in its own target."""
    first: dict[bytes, str] = {}
    for frame in frames:
        digest = hashlib.sha256(frame.image.tobytes()).digest()
        if digest in first:
            left_out[frame.name] = f"a copy of {first[digest]}"
        else:
            first[digest] = frame.name
    return [frame for frame in frames if frame.name not in left_out]


def of_one_light(frames: Sequence[Frame], left_out: dict[str, str]) -> list[Frame]:
    """The frames whose brightness, in each channel, is about the burst's, with what they differ
    by.
    """
    ratios = _ratios([levels(frame.image) for frame in frames])
    light = _percentile(ratios, 50, (1, 2))
    light = light / np.median(light, axis=0)  # a block's median leans to where frames are off
    kept = []
    for frame, found in zip(frames, light, strict=True):
        worst = int(np.argmax(np.abs(found - 1)))
        flicker = _from_middle(frames) * float(found[worst] - 1)
        if abs(flicker) > MAX_FLICKER:
            alike = float(np.ptp(found)) < MAX_FLICKER
            which = "light" if alike else f"{CHANNELS[worst]} light (white balance)"
            left_out[frame.name] = f"its {which} differs by {100 * flicker:+.1f} %"
        else:
            red, green, blue = np.where(np.abs(found - 1) > LEAST_FLICKER, found, 1.0).tolist()
            kept.append(replace(frame, brightness=(red, green, blue)))
    return kept


def find_shifts(frames: Sequence[Frame], left_out: dict[str, str]) -> dict[str, tuple[int, int]]:
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


def move_back(frames: Sequence[Frame], shifts: dict[str, tuple[int, int]]) -> list[Frame]:
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
        moved.append(replace(frame, image=frame.image[rows, columns]))
    return moved


def banded(frames: Sequence[Frame]) -> list[tuple[Frame, str]]:
    """The frames whose light differs from row to row, or column to column, as a pulsing lamp's
    does while the shutter runs over the sensor.
    """
    if len(frames) < 2:
        return []
    found = []
    for frame, ratios in zip(frames, _ratios([f.levels() for f in frames]), strict=True):
        for axis, along in ((1, "row to row"), (0, "column to column")):
            # What most of a row or column shares; what moved in a part of it is no band.
            low, high = (_percentile(ratios, share, (axis, 2)) for share in (30, 70))
            bands = np.maximum(np.maximum(low - 1, 1 - high), 0.0)
            band = _from_middle(frames) * float(np.percentile(bands, 90))
            if band > MAX_FLICKER:
                found.append((frame, f"its light differs from {along}, by {100 * band:.1f} %"))
                break
    return found


def moved(frames: Sequence[Frame]) -> list[tuple[Frame, str]]:
    """The frames in which something is where it is not in most."""
    if len(frames) < 2:
        return []
    means = np.stack([block_means(frame.levels()) for frame in frames])
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


def of_other_noise(frames: Sequence[Frame]) -> list[tuple[Frame, str]]:
    """Frames whose noise is not the others': denoised before, or of another ISO."""
    if len(frames) < 3:
        return _two_of_other_noise(*frames) if len(frames) == 2 else []
    total = sum_of_frames(frames)
    others = len(frames) - 1
    apart = []
    for frame in frames:
        difference = frame.levels() - (total - frame.levels()) / others
        squares = block_means(np.square(difference).astype(np.float32)).mean(axis=2)
        apart.append(float(np.median(squares)))
    # Each is v + (sum of the others' v) / others²: solved for v.
    whole = sum(apart) / (1 + 1 / others)
    weight = 1 - 1 / others**2
    noise = np.maximum((np.array(apart) - whole / others**2) / weight, 0.0)
    usual = float(np.median(noise))
    return [
        (frame, f"its noise is another ({each**0.5:.1f} of 255, of most {usual**0.5:.1f})")
        for frame, each in zip(frames, noise, strict=True)
        if not usual / MAX_NOISE_RATIO <= each <= usual * MAX_NOISE_RATIO
    ]


def _two_of_other_noise(one: Frame, other: Frame) -> list[tuple[Frame, str]]:
    """Both, where their noise differs; which of them is as the camera took it is not known."""
    share, _ = noise_share(one.levels(), other.levels())
    # Of variances v and r·v, of independent noise.
    if abs(share) <= (MAX_NOISE_RATIO - 1) / (MAX_NOISE_RATIO + 1):
        return []
    more, less = (one, other) if share > 0 else (other, one)
    reason = f"{less.name} has less noise than {more.name}: denoised, or of another ISO"
    return [(one, reason), (other, reason)]


def of_one_shot(frames: Sequence[Frame]) -> list[tuple[Frame, str]]:
    """The frames that are a shot once more, as another kind of file is: it would be in its target.

    Of two frames it cannot be told: what each differs from their mean by is the other's, negated.
    """
    if len(frames) < 3:
        return []
    noise = _noise_of_blocks(frames)
    # Of all frames: what little denoised ones differ by, the others' noise in the mean, is alike.
    energy = np.square(noise).sum(axis=2).mean(axis=0)
    there = energy > 0
    if not there.any():
        return []
    noise = noise[:, there] / np.sqrt(energy[there, None])
    alike = np.einsum("ibs,jbs->ij", noise, noise) / there.sum()
    bound = ONE_SHOT - 1 / (len(frames) - 1)
    found: dict[int, int] = {}
    for one, other in itertools.combinations(range(len(frames)), 2):
        if not {one, other} & found.keys() and alike[one, other] > bound:
            found[other] = one
    return [(frames[other], f"the same shot as {frames[one].name}") for other, one in found.items()]


def _noise_of_blocks(frames: Sequence[Frame]) -> npt.NDArray[np.float32]:
    """What each frame differs from their mean by, in some blocks: (frames, blocks, samples).

    Less what a shift of less than a pixel, or another sharpness, explains: that is no noise, and
    some frames have it in common. Of the blocks the flattest half, where it explains nearly all.
    """
    height, width = (side // BLOCK for side in frames[0].image.shape[:2])
    step = math.ceil((height * width / MOST_BLOCKS) ** 0.5)
    columns = slice(0, width * BLOCK)
    seen = []
    for frame in frames:
        rows = [
            frame.levels(slice(y, y + BLOCK), columns).mean(axis=2).reshape(BLOCK, -1, BLOCK)
            for y in range(0, height * BLOCK, step * BLOCK)
        ]
        seen.append(np.concatenate([row[:, ::step].swapaxes(0, 1) for row in rows]))
    blocks = np.stack(seen)
    mean = blocks.mean(axis=0)
    slopes = np.gradient(mean, axis=(1, 2))
    curvature = sum(np.gradient(slope, axis=at) for slope, at in zip(slopes, (1, 2), strict=True))
    steep = sum(np.square(slope).sum(axis=(1, 2)) for slope in slopes)
    flat = np.argsort(steep)[: -(-len(steep) // 2)]
    picture = np.stack([np.ones_like(mean), *slopes, curvature], axis=-1)
    basis = np.linalg.qr(picture[flat].reshape(len(flat), -1, 4)).Q
    noise = (blocks - mean)[:, flat].reshape(len(frames), len(flat), -1)
    explained = np.einsum("bsk,fbk->fbs", basis, np.einsum("bsk,fbs->fbk", basis, noise))
    return np.asarray(noise - explained, np.float32)


def clipped_share(frames: Sequence[Frame]) -> float:
    """Share of the mean's pixels at white or black."""
    mean = sum_of_frames(frames) / len(frames)
    return float(((mean >= 254) | (mean <= 1)).any(axis=2).mean())


def sum_of_frames(frames: Sequence[Frame]) -> npt.NDArray[np.float64]:
    """Sum of the frames, in levels of the burst's brightness, one of them in memory at a time."""
    total = np.zeros(frames[0].image.shape)
    for frame in frames:
        total += frame.levels()
    return total


def _ratios(images: Sequence[npt.NDArray[np.float32]]) -> npt.NDArray[np.float32]:
    """Of each image's block means to the median image's: (images, H // 16, W // 16, 3); NaN where
    it is dark, and clipped noise brightens it.
    """
    means = np.stack([block_means(image) for image in images])
    middle = np.median(means, axis=0)
    return np.where(middle >= DARK, means / np.maximum(middle, DARK), np.float32(np.nan))


def _percentile(
    ratios: npt.NDArray[np.float32], share: float, axes: tuple[int, ...]
) -> npt.NDArray[np.float64]:
    """Of the ratios that there are; 1 where there is none."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # of places that are dark throughout
        found = np.nanpercentile(ratios, share, axis=axes)
    return np.nan_to_num(np.asarray(found, np.float64), nan=1.0)


def _from_middle(frames: Sequence[Frame]) -> int:
    """What a frame's distance from the median of all is multiplied by: that of two lies halfway."""
    return 2 if len(frames) == 2 else 1
