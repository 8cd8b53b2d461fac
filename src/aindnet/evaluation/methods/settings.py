"""The peers' settings, chosen on the dev part of each data set so that every peer shows its best.

A peer's noise level is the blind estimate of `noise_level.py` times `multiplier`. The numbers are
the best of a grid by mean PSNR; this finds them again:

    python tools/choose_peer_settings.py --root DATA/real --every 4
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from aindnet.evaluation.methods.method import FloatImage
from aindnet.evaluation.methods.noise_level import SUBSAMPLING, estimate_noise_level


@dataclass(frozen=True)
class PeerSettings:
    """One peer's numbers on one data set."""

    multiplier: float
    """Times the blind noise estimate gives the noise level the peer is told."""

    chroma: float = 1.0
    """Strength on colour over strength on brightness, for peers that take the two apart."""

    subsampling: int = SUBSAMPLING
    """Every so-many-th pixel enters the noise estimate; 1 for noise known to be white."""

    chosen_on: str = ""
    """The dev set on which the numbers were best."""

    def noise_level(self, noisy: FloatImage) -> float:
        """The noise level that the peer is told, on [0, 1]."""
        return max(estimate_noise_level(noisy, self.subsampling) * self.multiplier, 1e-5)

    def describe(self, symbol: str = "σ") -> str:
        """The settings in words for a table; `symbol` is the peer's name for its strength."""
        chroma = f", colour strength ×{self.chroma:g}" if self.chroma != 1 else ""
        estimate = "σ̂" if self.subsampling == 1 else f"σ̂ of every {self.subsampling}th pixel"
        where = f" (best on {self.chosen_on})" if self.chosen_on else ""
        return f"{symbol} = {self.multiplier:g} × {estimate}{chroma}{where}"


DEFAULT_DEV_SET = "polyu"

CHOSEN: Mapping[tuple[str, str], PeerSettings] = MappingProxyType(
    {
        ("wavelet", "polyu"): PeerSettings(2.5, chosen_on="polyu"),
        ("nlm", "polyu"): PeerSettings(1.7, 0.5, chosen_on="polyu"),
        ("bm3d", "polyu"): PeerSettings(5.0, chosen_on="polyu"),
        ("ffdnet", "polyu"): PeerSettings(3.0, chosen_on="polyu"),
        ("wavelet", "renoir"): PeerSettings(4.0, chosen_on="renoir"),
        ("nlm", "renoir"): PeerSettings(2.2, 2.0, chosen_on="renoir"),
        ("ffdnet", "renoir"): PeerSettings(4.0, chosen_on="renoir"),
        ("wavelet", "sidd-sample"): PeerSettings(2.0, chosen_on="sidd-sample"),
        ("nlm", "sidd-sample"): PeerSettings(0.8, chosen_on="sidd-sample"),
        ("bm3d", "sidd-sample"): PeerSettings(3.0, chosen_on="sidd-sample"),
        ("ffdnet", "sidd-sample"): PeerSettings(2.5, chosen_on="sidd-sample"),
    }
)
WHITE = PeerSettings(1.0, subsampling=1)
"""For noise made white: the plain estimate is right."""

SAME_CAMERAS = MappingProxyType(
    {"sidd": "sidd-sample", "polyu-fullres": "polyu", "polyu-all": "polyu"}
)
"""Data sets that take the numbers of another part of the same set."""


def settings_for(peer: str, dataset: str) -> PeerSettings:
    """The peer's numbers on this data set, or those of the default dev set where the data set has
    no dev part.
    """
    if dataset == "gaussian":
        return WHITE
    part = SAME_CAMERAS.get(dataset, dataset)
    return CHOSEN.get((peer, part)) or CHOSEN[(peer, DEFAULT_DEV_SET)]
