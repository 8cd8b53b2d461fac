"""A small set that needs no download: scikit-image's sample photos with three kinds of seeded
noise.

It is for trying the command, and for seeing at once when a change costs quality; its numbers
compare versions of this project with one another, not with published tables.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from aindnet.errors import DatasetError
from aindnet.evaluation.datasets.estimator import photograph
from aindnet.evaluation.datasets.gaussian import add_gaussian_noise, seed_of
from aindnet.evaluation.datasets.sample import Dataset, Image, Pair, Sample
from aindnet.evaluation.metrics import to_uint8, to_unit

SIDE = 192
CROPS: Mapping[str, tuple[int, int]] = MappingProxyType(
    {"astronaut": (20, 130), "chelsea": (60, 100), "coffee": (100, 180), "rocket": (120, 200)}
)
"""Photos with the top left corner of the crop: a face, fur, wood and china, a night sky."""

WHITE_SIGMA = 20.0
SHOT_NOISE, READ_NOISE = 0.10, 0.03


def white_noise(clean: Image, seed: int) -> NDArray[np.uint8]:
    """White Gaussian noise of 20 levels, rounded to 8 bits."""
    return to_uint8(add_gaussian_noise(clean, WHITE_SIGMA, seed))


def correlated_noise(clean: Image, seed: int) -> NDArray[np.uint8]:
    """Noise as in-camera smoothing leaves it: brighter parts noisier, fine in luma, coarse in
    chroma.
    """
    from scipy.ndimage import gaussian_filter

    random = np.random.default_rng(seed)
    unit = to_unit(clean)
    fine = gaussian_filter(random.normal(size=(*unit.shape[:2], 1)), (0.7, 0.7, 0))
    coarse = gaussian_filter(random.normal(size=unit.shape), (2.0, 2.0, 0))
    noise = 0.7 * fine / fine.std() + 0.7 * coarse / coarse.std()
    level = np.sqrt(0.0004 + 0.0016 * unit.mean(axis=2, keepdims=True))
    return to_uint8(unit + level * noise)


def camera_noise(clean: Image, seed: int) -> Image:
    """The paper's synthetic camera at σ_s 0.10, σ_c 0.03."""
    return photograph(clean, SHOT_NOISE, READ_NOISE, seed)[0]


KINDS: Mapping[str, Callable[[Image, int], Image]] = MappingProxyType(
    {"white": white_noise, "correlated": correlated_noise, "camera": camera_noise}
)


def load_samples(kinds: Iterable[str] = tuple(KINDS), *, grey: bool = False) -> Dataset:
    """Four crops of 192×192 under each of `kinds` of noise; groups are the kinds.

    `grey`: of each, the luma (H, W), and noise on that.
    """
    samples = [
        Sample(f"{photo} {kind}", partial(_read, photo, kind, grey), group=kind, photo=photo)
        for kind in kinds
        for photo in CROPS
    ]
    return Dataset(
        name="samples",
        title="Sample photos with synthetic noise",
        samples=tuple(samples),
        protocol="scikit-image's sample photos, 192×192 crops, under seeded noise: white "
        f"(σ = {WHITE_SIGMA:g} of 255), correlated and signal-dependent, and the paper's camera "
        f"(σs = {SHOT_NOISE:g}, σc = {READ_NOISE:g}). For comparing versions, not with papers.",
        grouping="noise setting",
    )


def _read(photo: str, kind: str, grey: bool) -> Pair:
    import skimage.color
    import skimage.data

    try:
        whole = getattr(skimage.data, photo)()
    except (OSError, AttributeError, ValueError) as error:
        raise DatasetError(f"{photo}: this scikit-image does not have the sample photo") from error
    top, left = CROPS[photo]
    clean = np.ascontiguousarray(whole[top : top + SIDE, left : left + SIDE, :3])
    if grey:
        clean = to_uint8(skimage.color.rgb2gray(clean))
    return Pair(KINDS[kind](clean, seed_of(photo, 0)), clean)
