"""Real pairs in memory: noisy photo and target, patches of them, and what is held out."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from aindnet.errors import TooFewPairsError

Image = npt.NDArray[Any]

GAP = 16
"""Pixels between what is trained on and what is held out of one photo."""
SMALLEST_PATCH, ENOUGH_PLACES = 64, 16
"""Pixels of the least patch that is held out, and places from which on patches are larger."""
VARIANCE_BLOCK = 16
"""Pixels a side."""
SCENES_TO_HOLD_OUT_WHOLE = 20
"""From so many scenes on, whole scenes are held out; below, a strip of every photo: fewer than
five scenes say little of others."""


class Pixels(Protocol):
    """An image (H, W, 3), uint8 or uint16, of which parts are taken: an array, or what makes the
    parts when they are asked for.
    """

    @property
    def shape(self) -> tuple[int, ...]:
        """(H, W, 3)."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of the parts."""

    def __getitem__(self, part: tuple[slice, slice], /) -> Image:
        """Rows and columns."""


@dataclass(frozen=True, eq=False)
class PhotoPair:
    """A noisy photo and its target: (H, W, 3) RGB, uint8 or uint16, of one shape."""

    name: str
    noisy: Image
    clean: Pixels
    scene: str
    """Photos of one scene are never on both sides of a split."""
    target_variance: npt.NDArray[np.float32] | None = None
    """Variance of the noise left in `clean`, a mean of few frames, on the [0, 1] scale; one number
    for each `VARIANCE_BLOCK`² pixels, rows first. None where there is none."""

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width."""
        return self.noisy.shape[0], self.noisy.shape[1]


@dataclass(frozen=True, eq=False)
class Region:
    """A rectangle of one pair."""

    pair: PhotoPair
    y: int
    x: int
    height: int
    width: int

    @property
    def target_variance(self) -> float:
        """Variance of the noise left in that part of the pair's clean side."""
        blocks = self.pair.target_variance
        if blocks is None:
            return 0.0
        spans = []
        for start, length, count in zip(
            (self.y, self.x), (self.height, self.width), blocks.shape, strict=True
        ):
            first = min(start // VARIANCE_BLOCK, count - 1)
            spans.append(slice(first, max(-(-(start + length) // VARIANCE_BLOCK), first + 1)))
        return float(blocks[spans[0], spans[1]].mean())

    def read(self, image: Pixels) -> Tensor:
        """That part of one of the pair's images: float32 (3, height, width), white at 1."""
        part = image[self.y : self.y + self.height, self.x : self.x + self.width]
        white = float(np.iinfo(part.dtype).max)
        values = torch.from_numpy(np.ascontiguousarray(part.astype(np.float32)))
        return values.permute(2, 0, 1) / white


@dataclass(frozen=True)
class Division:
    """What of the pairs is trained on, what chooses between weights, what judges the result."""

    training: tuple[Region, ...]
    choosing: tuple[Region, ...]
    judging: tuple[Region, ...]
    by_scene: bool
    """Whether the held-out patches are of scenes that were not trained on at all."""


def whole(pair: PhotoPair) -> Region:
    """All of a pair."""
    return Region(pair, 0, 0, *pair.shape)


def patches(regions: Sequence[Region], size: int, limit: int) -> tuple[Region, ...]:
    """Square patches side by side in the regions, at most `limit`, evenly chosen by place.

    A region smaller than `size` gives one patch of what it has.
    """
    found = []
    for region in regions:
        height, width = min(size, region.height), min(size, region.width)
        for y in range(0, region.height - height + 1, height):
            for x in range(0, region.width - width + 1, width):
                found.append(Region(region.pair, region.y + y, region.x + x, height, width))
    found.sort(key=lambda region: (region.pair.scene, region.y, region.x))
    keep = np.unique(np.linspace(0, len(found) - 1, min(limit, len(found))).round().astype(int))
    return tuple(found[i] for i in keep)


def divide(
    pairs: Sequence[PhotoPair], *, crop: int, seed: int, patch: int = 128, limit: int = 48
) -> Division:
    """Hold a part out: a quarter of the scenes where there are many, else a quarter of each photo.

    A part of it chooses between weights, the rest judges: two thirds of the scenes, for what is
    said of others rests on their number, or half of each strip. Raises `TooFewPairsError` where the
    photos leave nothing to train on.
    """
    for pair in pairs:
        if reason := too_small(pair, crop, patch):
            raise TooFewPairsError(f"{pair.name}: {reason}")
    scenes = sorted({pair.scene for pair in pairs})
    if len(scenes) >= SCENES_TO_HOLD_OUT_WHOLE:
        order = np.random.default_rng(seed).permutation(scenes).tolist()
        count = max(7, len(scenes) // 4)
        choosing, judging = set(order[: count // 3]), set(order[count // 3 : count])
        held = choosing | judging
        return Division(
            tuple(whole(pair) for pair in pairs if pair.scene not in held),
            _checked([whole(p) for p in pairs if p.scene in choosing], patch, limit),
            _checked([whole(p) for p in pairs if p.scene in judging], patch, limit),
            by_scene=True,
        )
    training, upper, lower = [], [], []
    for pair in pairs:
        height, width = pair.shape
        strip = _strip(width, patch)
        x, half = width - strip, (height - GAP) // 2
        training.append(Region(pair, 0, 0, height, width - strip - GAP))
        upper.append(Region(pair, 0, x, half, strip))
        lower.append(Region(pair, height - half, x, half, strip))
    return Division(
        tuple(training),
        _checked(upper, patch, limit),
        _checked(lower, patch, limit),
        by_scene=False,
    )


def _checked(regions: Sequence[Region], size: int, limit: int) -> tuple[Region, ...]:
    """Patches to choose or judge by; smaller ones where places are few, for few say little."""
    while size >= 2 * SMALLEST_PATCH:
        places = {(r.pair.scene, r.y, r.x) for r in patches(regions, size, sys.maxsize)}
        if len(places) >= ENOUGH_PLACES:
            break
        size //= 2
    return patches(regions, size, limit)


def too_small(pair: PhotoPair, crop: int, patch: int = 128) -> str:
    """Why a pair is too small for `divide`, and what is large enough; empty where it is not."""
    height, width = pair.shape
    lowest = max(crop, 2 * 32 + GAP)
    narrowest = next(w for w in itertools.count(crop) if w - _strip(w, patch) - GAP >= crop)
    if width < narrowest or height < lowest:
        return (
            f"{width}×{height} pixels are too few to learn from and to check on; photos of at "
            f"least {narrowest}×{lowest} are needed"
        )
    return ""


def _strip(width: int, patch: int) -> int:
    """Columns that are held out of a photo."""
    return max(width // 4, min(patch, width // 3))


def noise_by_scene(regions: Sequence[Region]) -> dict[str, float]:
    """Root mean square of what noisy and clean sides differ by, on the [0, 1] scale."""
    squares: dict[str, list[float]] = {}
    for region in regions:
        difference = region.read(region.pair.noisy) - region.read(region.pair.clean)
        squares.setdefault(region.pair.scene, []).append(float(difference.square().mean()))
    return {scene: max(float(np.mean(each)), 1e-8) ** 0.5 for scene, each in squares.items()}


def random_pairs(
    regions: Sequence[Region],
    batch: int,
    crop: int,
    generator: torch.Generator,
    weights: dict[str, float] | None = None,
) -> tuple[Tensor, Tensor]:
    """`batch` crops, noisy and clean, float32 (batch, 3, crop, crop), mirrored and turned alike.

    Every scene is as likely as any other, whatever its number of photos, or by its share of
    `weights`.
    """
    scenes: dict[str, list[Region]] = {}
    for region in regions:
        scenes.setdefault(region.pair.scene, []).append(region)
    groups = list(scenes.values())
    shares = np.array([1.0 if weights is None else weights[scene] for scene in scenes])
    bounds = np.cumsum(shares / shares.sum())
    noisy: list[Tensor] = []
    clean: list[Tensor] = []
    for scene, photo, at_y, at_x, turn in torch.rand(batch, 5, generator=generator).tolist():
        group = groups[min(int(np.searchsorted(bounds, scene, side="right")), len(groups) - 1)]
        region = group[int(photo * len(group))]
        height, width = min(crop, region.height), min(crop, region.width)
        y = region.y + int(at_y * (region.height - height + 1))
        x = region.x + int(at_x * (region.width - width + 1))
        part = Region(region.pair, y, x, height, width)
        eighth = int(turn * 8)
        for side, image in ((noisy, region.pair.noisy), (clean, region.pair.clean)):
            pixels = torch.rot90(part.read(image), eighth % 4, dims=(1, 2))
            side.append(pixels.flip(2) if eighth >= 4 else pixels)
    return torch.stack(noisy), torch.stack(clean)
