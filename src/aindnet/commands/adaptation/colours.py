"""Whether two photos mean the same colours by the same numbers."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from aindnet.errors import ImageReadError
from aindnet.photo import Page, shown
from aindnet.photo.icc import profile_name

STEPS = (0.1, 0.4, 0.75, 1.0)
GREYS = np.repeat(np.array(STEPS, np.float32)[:, None], 3, axis=1)
PATCHES = np.array([*GREYS, *itertools.product((0.1, 0.5, 0.9), repeat=3)], np.float32)
"""(patches, 3), as the network sees them: greys first, which a grey photo has too."""
ALIKE = 2.0
"""ΔE (CIE 1976) up to which colours are as good as the same: profiles of one name differ by less,
sRGB and Display P3 by 20."""


@dataclass(frozen=True, eq=False)
class Colours:
    """What the numbers of a photo mean."""

    name: str
    """Of its profile."""
    lab: npt.NDArray[np.float32]
    """CIELAB of `PATCHES`, of a grey photo of `GREYS`, (patches, 3)."""

    def like(self, other: Colours) -> bool:
        """Whether the same numbers are about the same colours."""
        count = min(len(self.lab), len(other.lab))
        apart = np.square(self.lab[:count] - other.lab[:count]).sum(axis=1)
        return float(apart.max()) <= ALIKE**2


def colours_of(page: Page, *, source: str) -> Colours:
    """The colours of a page's profile; without one, or with one that cannot be read, sRGB's.

    Raises `ImageReadError`, which names the `source`, for a profile that is of no use.
    """
    import pyvips

    grey = page.grey and page.icc is not None
    patches = page.encoding.backward(GREYS if grey else PATCHES)
    samples = np.rint(np.clip(patches[None], 0, 1) * 65535).astype(np.uint16)
    image = pyvips.Image.new_from_array(
        samples[..., :1] if grey else samples, interpretation="grey16" if grey else "rgb16"
    )
    if page.icc is not None:
        image = image.copy()
        image.set_type(pyvips.GValue.blob_type, "icc-profile-data", page.icc)
    try:
        lab = image.icc_import(embedded=True, input_profile="srgb", intent="relative", pcs="lab")
        name = "sRGB" if page.icc is None else profile_name(page.icc)
        return Colours(shown(name), lab.numpy()[0].astype(np.float32))
    except pyvips.Error as error:
        detail = " ".join(str(error.detail).split())
        raise ImageReadError(f"{source}: its colour profile cannot be used ({detail})") from error
