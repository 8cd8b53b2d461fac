"""Photos that share a part: what is held out of one would be learned from the other.

The place is found by normalized cross-correlation over what both would show (Padfield, IEEE Trans.
Image Process. 21, 2012) of block means. scikit-image has it for masks of any shape, which needs
several spectra for each two photos; whole photos need one each, and sums. Whether it is the same is
judged by the detail.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from functools import cached_property

import numpy as np
import numpy.typing as npt

from aindnet.training.transfer.inspection import block_means, levels
from aindnet.training.transfer.pairs import PhotoPair

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


def overlapping(pairs: Iterable[PhotoPair]) -> dict[str, str]:
    """The pairs to leave out, by name, each with another that shows a part of it.

    By the clean sides, each compared with each. What two pairs show at the same place, as of one
    scene at several ISOs, is no overlap: the same part of both is held out.
    """
    found: dict[str, str] = {}
    for one, other in itertools.combinations(map(_Shown, pairs), 2):
        if one.pair.name in found or other.pair.name in found:
            continue
        if _share_a_part(one, other):
            found[other.pair.name] = one.pair.name
    return found


def _share_a_part(one: _Shown, other: _Shown) -> bool:
    """Whether both show the same at different places."""
    from skimage.registration import phase_cross_correlation

    block = max(BLOCK, -(-max(*one.pair.shape, *other.pair.shape) // SKETCH))
    sketches = one.sketch(block), other.sketch(block)
    images = sketches[0].image, sketches[1].image
    if _correlation(*images) > SAME_PLACE:
        return False
    shift = _likeliest_shift(*sketches)
    if not shift.any() or _correlation(*_common(*images, shift)) < PERHAPS:
        return False
    shift = shift * block
    finer, _, _ = phase_cross_correlation(  # type: ignore[no-untyped-call]
        *_common(one.detail, other.detail, shift), normalization=None
    )
    return _correlation(*_common(one.detail, other.detail, shift + finer.astype(int))) > ALIKE


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
