"""Photos that share a part, so that what is held out of one would be learned from the other, and
photos of one scene.

The place is found by normalized cross-correlation over what both would show (Padfield, IEEE Trans.
Image Process. 21, 2012) of block means. scikit-image has it for masks of any shape, which needs
several spectra for each two photos; whole photos need one each, and sums. Whether it is the same is
judged by the detail.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

import numpy as np
import numpy.typing as npt

from aindnet.training.transfer.inspection import block_means, levels
from aindnet.training.transfer.pairs import GAP, PhotoPair

Grey = npt.NDArray[np.float32]
Shape = tuple[int, ...]

SKETCH, BLOCK = 128, 4
"""Blocks of a photo's longer side, at most, and pixels of a block's side, at least."""
LEAST_SHARE = 0.08
"""Part of the smaller photo that must be shared to be found."""
SAME_PLACE, PERHAPS = 0.9, 0.6
"""Correlation of two sketches as they lie, and of the part that they may share."""
FLAT = 0.2
"""Deviation, in 8-bit levels, of what shows nothing."""
ALIKE = 0.65
"""Correlation of the shared part's finest detail. Of PolyU's published crops of one scene, whose
places are known, 37 of the 45 that share something are found so (the others share less, or a flat
wall), and of the 51 that do not, 2 are taken for such (texture that repeats); of the 1795 of two
scenes none is."""
SHIFTS = np.fft.fftfreq(2 * SKETCH, 1 / (2 * SKETCH)).astype(int)
"""Rows, or columns, that a sketch may lie beside another, in the order of a spectrum's inverse."""


class _Sketch:
    """Block means of a photo without its large shapes, which are alike in any photo."""

    def __init__(self, grey: Grey, block: int) -> None:
        from scipy.fft import rfft2
        from scipy.ndimage import gaussian_filter

        means = block_means(grey[..., None], block)[..., 0]
        self.image: Grey = means - gaussian_filter(means, 6.0)
        self.spectrum = rfft2(self.image, (2 * SKETCH, 2 * SKETCH))
        squares = np.square(self.image, dtype=np.float64).cumsum(axis=0).cumsum(axis=1)
        self._squares = np.pad(squares, ((1, 0), (1, 0)))
        self._weights: dict[tuple[Shape, int], Grey] = {}

    def weights(self, other: Shape, sign: int) -> Grey:
        """By shift of a sketch of that shape (-1: of this one against it), one over the root of the
        sum of squares of what this one shares with it; 0 where both share too little.
        """
        if (other, sign) not in self._weights:
            shape = self.image.shape
            (top, bottom), (left, right) = (
                (np.clip(sign * SHIFTS, 0, side), np.clip(sign * SHIFTS + beside, 0, side))
                for side, beside in zip(shape, other, strict=True)
            )
            rows = self._squares[bottom] - self._squares[top]
            energy = rows[:, right] - rows[:, left]
            shared = np.outer(bottom - top, right - left)
            enough = shared >= max(LEAST_SHARE * min(np.prod(shape), np.prod(other)), 1)
            found = np.where(enough, np.maximum(energy, shared * FLAT**2), np.inf) ** -0.5
            self._weights[other, sign] = found.astype(np.float32)
        return self._weights[other, sign]


class _Shown:
    """What the clean side of a pair shows."""

    def __init__(self, pair: PhotoPair) -> None:
        self.pair = pair
        self._sketches: dict[int, _Sketch] = {}

    def sketch(self, block: int) -> _Sketch:
        """In blocks of so many pixels a side."""
        if block not in self._sketches:
            self._sketches[block] = _Sketch(self._grey(), block)
        return self._sketches[block]

    @cached_property
    def detail(self) -> Grey:
        """The finest detail, of all pixels."""
        from scipy.ndimage import gaussian_filter

        grey = self._grey()
        return np.asarray(grey - gaussian_filter(grey, 3.0), np.float32)

    def _grey(self) -> Grey:
        return np.asarray(levels(self.pair.clean).mean(axis=2), np.float32)


@dataclass
class Overlaps:
    """What pairs show of each other, by their names."""

    parts: dict[str, str] = field(default_factory=dict)
    """The pairs to leave out, each with another that shows a part of it at another place."""
    same: list[list[str]] = field(default_factory=list)
    """Those of the others that show the same at the same place, as of one scene at several ISOs."""


def overlapping(pairs: Iterable[PhotoPair]) -> Overlaps:
    """Which pairs show the same, by their clean sides, each compared with each.

    Of pairs that show the same at the same place the same strip is held out, so they may stay; but
    to hold one out whole says nothing of other scenes where another is learned from.
    """
    found = Overlaps()
    group: dict[str, list[str]] = {}
    shown = list(map(_Shown, pairs))
    for one, other in itertools.combinations(shown, 2):
        names = one.pair.name, other.pair.name
        if not found.parts.keys().isdisjoint(names):
            continue
        alike = _what_is_shared(one, other)
        if alike == "a part":
            found.parts[names[1]] = names[0]
        elif alike == "all":
            together = [n for name in names for n in group.get(name, [name])]
            together = list(dict.fromkeys(together))
            group |= dict.fromkeys(together, together)
    named = (group.get(each.pair.name, []) for each in shown)
    kept = {tuple(n for n in names if n not in found.parts): None for names in named}
    found.same = [list(names) for names in kept if len(names) > 1]
    return found


def _what_is_shared(one: _Shown, other: _Shown) -> Literal["all", "a part", ""]:
    """All where both show the same at the same place, a part where it is at different places."""
    from skimage.registration import phase_cross_correlation

    block = max(BLOCK, -(-max(*one.pair.shape, *other.pair.shape) // SKETCH))
    sketches = one.sketch(block), other.sketch(block)
    images = sketches[0].image, sketches[1].image
    still = np.zeros(2, np.int_)
    # Frames that were moved back are cut by some pixels.
    as_large = np.abs(np.subtract(one.pair.shape, other.pair.shape)).max() < GAP
    if as_large and _correlation(*_common(*images, still)) > SAME_PLACE:
        return "all"
    shift = _likeliest_shift(*sketches)
    if _correlation(*_common(*images, shift)) < PERHAPS:
        return ""
    shift = shift * block
    finer, _, _ = phase_cross_correlation(  # type: ignore[no-untyped-call]
        *_common(one.detail, other.detail, shift), normalization=None
    )
    if _correlation(*_common(one.detail, other.detail, shift + finer.astype(int))) <= ALIKE:
        return ""
    return "a part" if shift.any() or not as_large else "all"


def _likeliest_shift(one: _Sketch, other: _Sketch) -> npt.NDArray[np.int_]:
    """Rows and columns that the other lies further, where what both show correlates best."""
    from scipy.fft import irfft2

    together = irfft2(one.spectrum * other.spectrum.conj(), (2 * SKETCH, 2 * SKETCH))
    weights = one.weights(other.image.shape, 1), other.weights(one.image.shape, -1)
    alike = together * weights[0] * weights[1]
    return SHIFTS[np.array(np.unravel_index(int(alike.argmax()), alike.shape))]


def _common(one: Grey, other: Grey, shift: npt.NDArray[np.int_]) -> tuple[Grey, Grey]:
    """What both show where the other one lies so many rows and columns further."""
    parts = []
    for image, beside, start in ((one, other, shift), (other, one, -shift)):
        top, left = np.maximum(start, 0)
        bottom, right = np.minimum(image.shape, np.array(beside.shape) + start)
        parts.append(image[top : max(bottom, top), left : max(right, left)])
    return parts[0], parts[1]


def _correlation(one: Grey, other: Grey) -> float:
    """0 where there is nothing to see, or the shapes differ."""
    if one.shape != other.shape or one.size < 64 or min(one.std(), other.std()) < FLAT:
        return 0.0
    return float(np.corrcoef(one.ravel(), other.ravel())[0, 1])
