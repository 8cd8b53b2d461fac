"""Whether a user's pair can be learned from: brightness, position, exposure, and which is which."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from aindnet.training.transfer.pairs import PhotoPair, Pixels

SWAPPED = "the clean side is the noisier one: swap the two"
UNEVEN_PER_NOISE = 0.45
"""Block means of noise alone differ by this much of it at most; camera noise is coarse."""
LIKE_BY_CHANCE = 60.0
"""Over a picture's side in pixels: correlation that two pictures of smoothed noise stay below."""
NOISIER = 0.4
"""Share of the finest detail (`noise_share`) from which on a side is the noisier one: of the dev
sets' pairs it is 0.45 and more once they are swapped, and -0.45 and less as they are."""
SMEARED = 1.5
"""Share of the coarser detail from which on the other side was smeared: of swapped pairs it is
1.2 at most, of smeared ones 1.9 and more."""
NOISE_BLOCK = 32
"""Pixels."""
BLOCK = 16
"""Pixels: over means of such blocks noise all but vanishes, and brightness is compared."""


@dataclass(frozen=True)
class Limits:
    """Above these a pair is not used. Brightness is in 8-bit levels."""

    gain: float = 0.15
    """Largest difference of the exposures that is corrected, as a share."""
    offset: float = 0.5
    """Difference of the channels' means from which on the clean side is corrected."""
    uneven: float = 3.0
    """Largest difference of block means after the correction, at the 95th percentile."""
    shift: float = 0.5
    """Pixels."""
    clipped: float = 0.4
    """Share of the target's pixels that are white or black."""


@dataclass(frozen=True)
class Inspection:
    """What was measured on a pair."""

    gain: float
    """The noisy side's brightness over the clean one's, of the channel that differs most."""
    offset: float
    """The largest difference of the channels' means, 8-bit levels."""
    uneven: float
    """Difference of block means that gain and offset leave, at the 95th percentile, levels."""
    shift: tuple[float, float]
    """How far the noisy side lies from the clean one, rows and columns, pixels."""
    clipped: float
    """Share of the clean side's pixels at white or black."""
    noise: float
    """Standard deviation of the difference within blocks, their median, 8-bit levels."""
    corrected: bool
    """Whether the exposures differ by so much that the clean side should be `matched`."""
    problems: tuple[str, ...]
    """Why the pair is not used, and what to do; empty for a good pair."""

    @property
    def swapped(self) -> bool:
        """Whether the clean side seems to be the noisy one."""
        return SWAPPED in self.problems


def inspect(pair: PhotoPair, limits: Limits | None = None) -> Inspection:
    """Measure one pair.

    >>> flat = np.full((64, 64, 3), 128, np.uint8)
    >>> "no noise" in inspect(PhotoPair("a", flat, flat, "a")).problems[0]
    True
    """
    limits = limits or Limits()
    if min(pair.shape) < BLOCK:
        return Inspection(
            1.0, 0.0, 0.0, (0.0, 0.0), 0.0, 0.0, False,
            (f"smaller than {BLOCK} pixels: give whole photos",),
        )  # fmt: skip
    noisy, clean = levels(pair.noisy), levels(pair.clean)
    gain, offset, corrected = _exposure(noisy, clean)
    difference = noisy - corrected
    noise = float(np.median(block_deviations(difference)))
    blocks = np.abs(block_means(difference)).max(axis=2)
    uneven = float(np.percentile(blocks, 95))
    shift = displacement(noisy, clean)
    clipped = float(((clean >= 254) | (clean <= 1)).any(axis=2).mean())
    problems = []
    if noise < 0.3:
        problems.append("no noise: the two sides are all but the same photo")
    elif _noisier(corrected, noisy):
        problems.append(SWAPPED)
    if max(map(abs, shift)) > limits.shift:
        problems.append(
            f"shifted by {shift[0]:+.1f}, {shift[1]:+.1f} pixels: use a tripod and a remote release"
        )
    if abs(gain - 1) > limits.gain:
        problems.append(
            f"exposures differ by {100 * (gain - 1):+.0f} %: set the camera to manual exposure"
        )
    elif uneven > limits.uneven + UNEVEN_PER_NOISE * noise:
        problems.append(
            f"brightness differs from place to place ({uneven:.1f} of 255): something moved, or "
            f"the light changed"
        )
    if clipped > limits.clipped:
        problems.append(f"{100 * clipped:.0f} % of the pixels are white or black: expose it anew")
    return Inspection(
        gain, offset, uneven, shift, clipped, noise, offset > limits.offset, tuple(problems)
    )


def matched(pair: PhotoPair) -> PhotoPair:
    """The pair with its clean side brought to the noisy one's brightness, channel by channel."""
    clean = _exposure(levels(pair.noisy), levels(pair.clean))[2]
    target = np.clip(np.rint(clean * 257), 0, 65535).astype(np.uint16)
    return replace(pair, clean=target)


def levels(image: Pixels) -> npt.NDArray[np.float32]:
    """Samples in 8-bit levels."""
    samples = image[:, :]
    return samples.astype(np.float32) * np.float32(255 / np.iinfo(samples.dtype).max)


def block_means(image: npt.NDArray[np.float32], block: int = BLOCK) -> npt.NDArray[np.float32]:
    """(H, W, C) → (H // block, W // block, C)."""
    height, width = (side // block * block for side in image.shape[:2])
    parts = image[:height, :width].reshape(height // block, block, width // block, block, -1)
    return np.asarray(parts.mean(axis=(1, 3)), np.float32)


def displacement(
    moved: npt.NDArray[np.float32], fixed: npt.NDArray[np.float32], side: int = 1024
) -> tuple[float, float]:
    """How far `moved` lies from `fixed`, rows and columns, to a tenth of a pixel.

    By cross correlation of the central `side` pixels; (0, 0) where there is nothing to see but
    noise, or where the sides do not differ less once moved.
    """
    from scipy.ndimage import gaussian_filter
    from scipy.ndimage import shift as shifted
    from skimage.registration import phase_cross_correlation

    height, width = fixed.shape[:2]
    y, x = (max(length - side, 0) // 2 for length in (height, width))
    parts = []
    for image in (fixed, moved):
        grey = image[y : y + side, x : x + side].mean(axis=2)
        # Noise would decide, were the high frequencies left in: they outnumber the picture's.
        parts.append(gaussian_filter(grey, 1.5) - gaussian_filter(grey, 12.0))
    if min(part.std() for part in parts) < 0.2:
        return 0.0, 0.0
    plain = parts
    window = np.outer(*(np.hanning(length) for length in parts[0].shape))
    parts = [part * window for part in parts]
    found, _, _ = phase_cross_correlation(  # type: ignore[no-untyped-call]
        *parts, upsample_factor=10, normalization=None
    )
    back = np.roll(parts[1], np.rint(found).astype(int), axis=(0, 1))
    alike = float((parts[0] * back).sum() / np.sqrt((parts[0] ** 2).sum() * (back**2).sum()))
    # Noise alone finds a place where it looks alike too, the more so in a small picture.
    if alike < max(0.1, LIKE_BY_CHANCE / parts[0].size ** 0.5):
        return 0.0, 0.0
    # Of a picture with little detail the correlation has a flat top, which noise tilts.
    reach = int(np.ceil(np.abs(found).max())) + 1
    inside = tuple(slice(min(reach, n // 4), n - min(reach, n // 4)) for n in plain[0].shape)
    moved_back = shifted(plain[1], found, order=3, mode="nearest")
    still, back_again = (
        float(np.square(plain[0] - part)[inside].sum()) for part in (plain[1], moved_back)
    )
    if back_again >= still:
        return 0.0, 0.0
    return -float(found[0]), -float(found[1])


def block_deviations(image: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Standard deviation within each block, mean of the channels: (H // 16, W // 16)."""
    variance = block_means(image * image) - np.square(block_means(image))
    return np.asarray(np.sqrt(np.clip(variance, 0, None)).mean(axis=2), np.float32)


def noise_share(
    image: npt.NDArray[np.float32], other: npt.NDArray[np.float32]
) -> tuple[float, float]:
    """By how much more `image` varies than `other`, as a share of what they differ by: medians over
    blocks, for the finest detail and for detail of two to four pixels.

    1 where all they differ by is `image`'s own noise, -1 where it is the other's: texture is in
    both, and drops out. Texture that one side lacks, as it was smeared, is no more noise than what
    is left of it there: at the coarser detail its share is far above 1.
    """
    from scipy.ndimage import gaussian_filter

    def blurred(x: npt.NDArray[np.float32], sigma: float) -> npt.NDArray[np.float32]:
        return np.asarray(gaussian_filter(x, (sigma, sigma, 0.0)) if sigma else x, np.float32)

    block = min(NOISE_BLOCK, *image.shape[:2])
    shares = []
    for fine, coarse in ((0.0, 1.0), (0.7, 1.5)):
        own, others, both = (
            block_means(np.square(blurred(x, fine) - blurred(x, coarse)), block).mean(axis=2)
            for x in (image, other, image - other)
        )
        shares.append(float(np.median((own - others) / np.maximum(both, 1e-6))))
    return shares[0], shares[1]


def _noisier(image: npt.NDArray[np.float32], other: npt.NDArray[np.float32]) -> bool:
    finest, coarser = noise_share(image, other)
    return finest > NOISIER and coarser < SMEARED


def _exposure(
    noisy: npt.NDArray[np.float32], clean: npt.NDArray[np.float32]
) -> tuple[float, float, npt.NDArray[np.float32]]:
    """Gain, offset, and the clean side after the least-squares gain and offset of each channel.

    Blocks that the fit leaves far off, where something moved, are left out, and it is made again.
    """
    target, source = (block_means(side).reshape(-1, 3) for side in (noisy, clean))
    usable = ((source > 4) & (source < 250)).all(axis=1)
    if usable.sum() >= 8:
        target, source = target[usable], source[usable]
    for _ in range(3):
        middle = source.mean(axis=0)
        spread = np.square(source - middle).sum(axis=0)
        together = ((source - middle) * (target - target.mean(axis=0))).sum(axis=0)
        gains = np.where(spread > len(source), together / np.maximum(spread, 1e-6), 1.0)
        offsets = target.mean(axis=0) - middle
        off = np.abs(target - (source - middle) * gains - middle - offsets).max(axis=1)
        near = off <= 1.0 + 4 * float(np.median(off))
        if near.all() or near.sum() < 8:
            break
        target, source = target[near], source[near]
    lit = (source > 4).all(axis=1)  # of black, a ratio says nothing
    # The median: what moved does not count.
    ratio = np.median(target[lit] / source[lit], axis=0) if lit.any() else np.ones(3)
    worst = float(ratio[np.argmax(np.abs(ratio - 1))])
    corrected = (clean - middle) * gains + middle + offsets
    return worst, float(np.abs(offsets).max()), corrected.astype(np.float32)
