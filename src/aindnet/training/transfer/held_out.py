"""What an adaptation gains on patches that it has not seen."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F

from aindnet.network import AINDNet
from aindnet.training.transfer.pairs import Region

Errors = npt.NDArray[np.float64]
RESAMPLES = 2000
OUTSIDE = 0.025
"""Share of the draws on either side of the interval."""
SKETCH, ALIKE = 8, 3.0
"""Blocks a side that a patch's picture is compared by, and levels by which the same may differ."""
SEEN = (2 / 255) ** 2
"""Mean square error of about what one begins to see: two of 255 levels."""


@dataclass(frozen=True)
class Gain:
    """The adapted weights over the base ones, in dB of the mean square error of all patches."""

    decibels: float
    """NaN where it cannot be told: as far as is known, all that is left is the targets' noise."""
    low: float
    high: float
    """Bounds of the 95 % confidence interval, bootstrap over places; infinite for one place, and
    where the gain cannot be told."""
    patches: int
    places: int
    """What was drawn whole: scenes, or what the patches show (`places_of`)."""
    base_psnr: float
    """dB of the base's mean square error."""

    @property
    def certain(self) -> bool:
        """Whether the whole interval is above zero."""
        return self.low > 0

    @property
    def hidden(self) -> bool:
        """Whether the targets are too noisy to judge by."""
        return math.isnan(self.decibels)


@torch.inference_mode()
def square_errors(network: AINDNet, regions: Sequence[Region], *, bf16: bool) -> Errors:
    """Mean square error of each patch on [0, 1], denoised and rounded to 8 bits: (patches,)."""
    device = next(network.parameters()).device
    errors = []
    for region in regions:
        noisy, clean = (region.read(side)[None] for side in (region.pair.noisy, region.pair.clean))
        with torch.autocast(device.type, torch.bfloat16, enabled=bf16):
            denoised = network(noisy.to(device)).denoised.float().cpu()
        rounded = (denoised.clamp(0, 1) * 255).round() / 255
        errors.append(float((rounded - clean).double().square().mean()))
    return np.array(errors)


def noisy_errors(regions: Sequence[Region]) -> Errors:
    """Mean square error of each patch as it is, on [0, 1]: (patches,)."""
    differences = [r.read(r.pair.noisy) - r.read(r.pair.clean) for r in regions]
    return np.array([float(d.double().square().mean()) for d in differences])


def decibels(before: Errors, after: Errors, left: Errors) -> float:
    """10·log10 of the ratio of mean square errors, less the noise left in the targets.

    NaN where one of them is no larger than that noise: of what lies below it nothing is known.
    """
    errors = float((before - left).mean()), float((after - left).mean())
    return 10 * math.log10(errors[0] / errors[1]) if min(errors) > 0 else math.nan


def places_of(regions: Sequence[Region], *, by_scene: bool) -> list[int]:
    """For each patch, the number of its place, none of which says anything twice.

    Scenes where the patches stand for scenes that were never seen, for a scene has its own kind of
    detail; else what the patches show: the frames of a burst show the same, whatever they are
    called.
    """
    if by_scene:
        scenes = {region.pair.scene: number for number, region in enumerate(regions)}
        return [scenes[region.pair.scene] for region in regions]
    sketches: list[npt.NDArray[np.float32]] = []
    numbers: list[int] = []
    for region in regions:
        clean = region.read(region.pair.clean)[None]
        shown = 255 * F.adaptive_avg_pool2d(clean, SKETCH)[0].numpy()
        earlier = zip(numbers, regions, sketches, strict=False)
        same = [n for n, other, beside in earlier if _one_place(region, shown, other, beside)]
        numbers.append(min(same, default=max(numbers, default=-1) + 1))
        sketches.append(shown)
    return numbers


def _one_place(
    region: Region,
    shown: npt.NDArray[np.float32],
    other: Region,
    beside: npt.NDArray[np.float32],
) -> bool:
    """Whether two patches, with what they show, (3, rows, columns) in levels, are of one place.

    At one position of one scene the frames of bursts are, for all the noise that their targets
    hold. Pairs may be crops of a scene, and must look alike there too, but for the exposure, and
    for what noise adds to black.
    """
    if (region.pair.scene, region.y, region.x) == (other.pair.scene, other.y, other.x):
        if region.pair.target_variance is not None and other.pair.target_variance is not None:
            return True
        middles = [side.mean(axis=(1, 2), keepdims=True) for side in (shown, beside)]
        spreads = [side.std(axis=(1, 2), keepdims=True) + 1 for side in (shown, beside)]
        shown = (shown - middles[0]) * spreads[1] / spreads[0] + middles[1]
    return bool(np.square(shown - beside).mean() < ALIKE**2)


def bootstrap_gain(
    before: Errors, after: Errors, left: Errors, places: Sequence[int], *, seed: int
) -> Gain:
    """The gain with its interval; all of shape (patches,).

    Whole places are drawn. Percentiles of few are too narrow, so their distances from the gain are
    widened by Student's t over the normal's. Draws whose gain cannot be told may be of any, and
    where a percentile could be one of them the gain is not known either.

    >>> gain = bootstrap_gain(np.full(9, 4e-4), np.full(9, 2e-4), np.zeros(9), range(9), seed=0)
    >>> round(gain.decibels, 2), gain.certain
    (3.01, True)
    >>> bootstrap_gain(np.full(9, 4e-4), np.full(9, 2e-4), np.zeros(9), [0] * 9, seed=0).certain
    False
    """
    from scipy.stats import norm, t

    psnr = -10 * math.log10(max(float((before - left).mean()), 1e-8))
    total = decibels(before, after, left)
    members = [np.flatnonzero(np.asarray(places) == place) for place in sorted(set(places))]
    count = len(members)
    if count < 2 or math.isnan(total):
        return Gain(total, -math.inf, math.inf, len(before), count, psnr)
    random = np.random.default_rng(seed)
    gains = []
    for draw in random.integers(0, count, (RESAMPLES, count)):
        chosen = np.concatenate([members[place] for place in draw])
        gains.append(decibels(before[chosen], after[chosen], left[chosen]))
    unknown = np.isnan(gains)
    if unknown.mean() >= OUTSIDE:
        return Gain(math.nan, -math.inf, math.inf, len(before), count, psnr)
    wider = float(t.ppf(1 - OUTSIDE, count - 1) / norm.ppf(1 - OUTSIDE))
    low, high = (
        total + wider * (float(np.percentile(np.where(unknown, worst, gains), share)) - total)
        for worst, share in ((-math.inf, 100 * OUTSIDE), (math.inf, 100 * (1 - OUTSIDE)))
    )
    return Gain(total, low, high, len(before), count, psnr)


def between(base: AINDNet, adapted: AINDNet, share: float) -> AINDNet:
    """The network whose weights are (1 - share) · base + share · adapted."""
    mixed = copy.deepcopy(base).cpu().eval()
    other = adapted.state_dict()
    weights = {k: torch.lerp(v, other[k], share) for k, v in mixed.state_dict().items()}
    mixed.load_state_dict(weights)
    return mixed


def choose_share(
    base: AINDNet,
    trained: AINDNet,
    regions: Sequence[Region],
    shares: Sequence[float],
    errors: Callable[[AINDNet, Sequence[Region]], Errors],
    elsewhere: Sequence[Region] = (),
    forgetting: float = math.inf,
) -> float:
    """The way from base to trained weights whose error on the patches is least.

    Of those, where there are any `elsewhere`, that lose at most `forgetting` dB there: the mean
    over patches, with `SEEN` added to each error. Photos all but clean lose most in dB and nothing
    to the eye; else they alone would decide.
    """
    known = errors(base, elsewhere) + SEEN if elsewhere else np.zeros(0)
    best, least = shares[0], math.inf
    for share in shares:
        mixed = between(base, trained, share)
        if elsewhere and share:
            lost = 10 * np.log10((errors(mixed, elsewhere) + SEEN) / known)
            if lost.mean() > forgetting:
                continue
        total = float(errors(mixed, regions).mean())
        if total < least:
            best, least = share, total
    return best
