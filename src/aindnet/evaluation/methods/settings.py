"""The peers' settings, chosen on the dev part of each data set so that every peer shows its best.

A peer's noise level is the blind estimate of `noise_level.py` times `multiplier`. The numbers lie
in `settings.json`: the best of a grid by mean PSNR, which this finds again and writes there:

    python tools/choose_peer_settings.py --root DATA/real --every 4 --write
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
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
SETTINGS_FILE = "settings.json"

WHITE = PeerSettings(1.0, subsampling=1)
"""For noise made white: the plain estimate is right."""

SAME_CAMERAS = MappingProxyType(
    {
        "sidd": "sidd-sample",
        "sidd-training": "sidd-sample",
        "sidd-benchmark": "sidd-sample",
        "polyu-all": "polyu",
    }
)
"""Data sets that take the numbers of another part of the same set."""


@cache
def chosen_settings() -> Mapping[tuple[str, str], PeerSettings]:
    """The chosen numbers by peer and dev set."""
    text = resources.files("aindnet.evaluation.methods").joinpath(SETTINGS_FILE).read_text("utf-8")
    return MappingProxyType(
        {
            (peer, dataset): PeerSettings(**numbers, chosen_on=dataset)
            for dataset, peers in json.loads(text).items()
            for peer, numbers in peers.items()
        }
    )


def settings_for(peer: str, dataset: str) -> PeerSettings:
    """The peer's numbers on this data set, or those of the default dev set where the data set has
    no dev part.
    """
    if dataset == "gaussian":
        return WHITE
    chosen = chosen_settings()
    part = SAME_CAMERAS.get(dataset, dataset)
    return chosen.get((peer, part)) or chosen[(peer, DEFAULT_DEV_SET)]
