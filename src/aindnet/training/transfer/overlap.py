"""Crops of one photo that share a part: what is held out of one would be learned from the other.

The place is found by masked normalized cross-correlation (Padfield, IEEE Trans. Image Process. 21,
2012), as scikit-image has it, on block means; whether it is the same is judged by the detail.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from aindnet.training.transfer.inspection import block_means, levels
from aindnet.training.transfer.pairs import PhotoPair

Grey = npt.NDArray[np.float32]

SKETCH, BLOCK = 128, 4
"""Blocks of a crop's longer side, at most, and pixels of a block's side, at least."""
LEAST_SHARE = 0.08
"""Part of a crop that must be shared to be found."""
SAME_PLACE, PERHAPS = 0.9, 0.5
"""Correlation of two sketches as they lie, and of the part that they may share."""
ALIKE = 0.65
"""Correlation of the shared part's finest detail. Of PolyU's published crops of one scene, whose
places are known, 37 of the 45 that share something are found so (the others share less, or a flat
wall), and of the 51 that do not, 2 are taken for such (texture that repeats)."""


class _Shown(NamedTuple):
    """A clean side without its large shapes, which are alike in any photo."""

    sketch: Grey
    detail: Grey


def overlapping(pairs: Sequence[PhotoPair]) -> dict[str, str]:
    """The pairs to leave out, by name, each with the pair of its scene that shows a part of it.

    By the clean sides. What two pairs show at the same place, as of one scene at several ISOs, is
    no overlap: the same part of both is held out.
    """
    scenes: dict[str, list[PhotoPair]] = defaultdict(list)
    for pair in pairs:
        scenes[pair.scene].append(pair)
    found: dict[str, str] = {}
    for members in scenes.values():
        if len(members) < 2:
            continue
        block = max(BLOCK, *(-(-max(pair.shape) // SKETCH) for pair in members))
        shown = {pair.name: _shown(pair, block) for pair in members}
        for one, other in itertools.combinations(shown, 2):
            if one in found or other in found:
                continue
            if _share_a_part(shown[one], shown[other], block):
                found[other] = one
    return found


def _shown(pair: PhotoPair, block: int) -> _Shown:
    from scipy.ndimage import gaussian_filter

    grey = levels(pair.clean).mean(axis=2)
    sketch = block_means(grey[..., None], block)[..., 0]
    return _Shown(sketch - gaussian_filter(sketch, 6.0), grey - gaussian_filter(grey, 3.0))


def _share_a_part(one: _Shown, other: _Shown, block: int) -> bool:
    """Whether both show the same at different places."""
    from skimage.registration import phase_cross_correlation

    if _correlation(one.sketch, other.sketch) > SAME_PLACE:
        return False
    coarse, _, _ = phase_cross_correlation(  # type: ignore[no-untyped-call]
        one.sketch,
        other.sketch,
        reference_mask=np.ones(one.sketch.shape, bool),
        moving_mask=np.ones(other.sketch.shape, bool),
        overlap_ratio=LEAST_SHARE,
    )
    shift = np.asarray(coarse, int)
    if not shift.any() or _correlation(*_common(one.sketch, other.sketch, shift)) < PERHAPS:
        return False
    shift = shift * block
    finer, _, _ = phase_cross_correlation(  # type: ignore[no-untyped-call]
        *_common(one.detail, other.detail, shift), normalization=None
    )
    return _correlation(*_common(one.detail, other.detail, shift + finer.astype(int))) > ALIKE


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
    if one.shape != other.shape or one.size < 64 or min(one.std(), other.std()) < 0.2:
        return 0.0
    return float(np.corrcoef(one.ravel(), other.ravel())[0, 1])
