"""The distribution of cameras that `simulate` draws from."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, get_args

from aindnet.camera.compression import Subsampling
from aindnet.camera.sensor import NoisePrior
from aindnet.camera.spectra import SpectrumKind

Range = tuple[float, float]
SUBSAMPLINGS: tuple[Subsampling, ...] = ("4:4:4", "4:2:2", "4:2:0")
_PROBABILITIES = (
    *("srgb_share", "white_balance", "mosaic", "resample", "edge_aware", "edge_aware_picture"),
    *("smooth", "luma_coarse", "blotches", "spectra", "white", "jpeg"),
)
_RANGES = (
    *("shot_range", "read_range", "luma_sigma", "sharpen", "luma_coarse_share", "kept"),
    *("chroma_kept", "blotch_strength", "jpeg_quality"),
)
_LOG_RANGES = (
    *("chroma_gain", "resample_range", "edge_aware_radius", "edge_aware_strength", "chroma_sigma"),
    *("luma_coarse_sigma", "blotch_cell", "white_range"),
)
"""Ranges that must be above 0."""
WIDEST_SPREAD = 2.5
"""Up to here every curve of the family rises from knot to knot in float32; beyond it some are
steps, which have no inverse."""


@dataclass(frozen=True)
class CameraRecipe:
    """The distribution of cameras that `simulate` draws; a probability of 0 leaves a stage out."""

    priors: dict[str, float] = field(default_factory=lambda: {"cameras": 0.3, "log_uniform": 0.7})
    """Weights of the noise priors: "uniform" (paper), "log_uniform", "cameras", "unprocessing"."""
    uniform_formula: Literal["squared", "linear_std"] = "squared"
    """How the "uniform" prior's σ_s and σ_c act (`sensor`): published implementations disagree.
    "linear_std" goes with that prior alone."""
    shot_range: Range | None = None
    """Overrides the prior's range of shot noise."""
    read_range: Range | None = None
    """Overrides the "uniform" prior's range of read noise."""
    response: Literal["family", "srgb", "identity"] = "family"
    """Curves of the measured family, the sRGB encoding, or none (noise on the encoded values)."""
    response_spread: float = 0.7
    """Spread of the family's curves, in its standard deviations."""
    srgb_share: float = 0.4
    """Share of images whose response is the sRGB encoding instead."""
    white_balance: float = 0.7
    """Probability of white-balance gains (red 1.2–2.4, blue 1.2–2.2) on the noise."""
    mosaic: float = 0.8
    """Probability of mosaic and demosaic (half bilinear, half Malvar)."""
    chroma_gain: Range = (0.7, 1.8)
    """Log-uniform gain on the noise's chroma, after demosaicing."""
    resample: float = 0.2
    """Probability that a batch's noise was resized."""
    resample_range: Range = (0.6, 1.8)
    """Factor of that resize; above 1 the noise grows coarser."""
    edge_aware: float = 0.0
    """Probability of noise reduction that follows the picture's edges, before what comes next."""
    edge_aware_radius: tuple[int, int] = (1, 4)
    """Its radius in pixels, of luma; of chroma twice as much. One draw a batch."""
    edge_aware_strength: Range = (0.7, 3.0)
    """Contrast of what it takes for noise, in deviations of the noise, log-uniform."""
    edge_aware_picture: float = 0.0
    """Probability, among those, that it takes fine texture from the picture too, as cameras' does:
    what is to be restored is the picture that it leaves."""
    smooth: float = 0.7
    """Probability of in-camera smoothing that does not see the picture."""
    luma_sigma: Range = (0.1, 1.1)
    """Its blur of luma noise, pixels."""
    chroma_sigma: Range = (0.7, 5.0)
    """Its blur of chroma noise, pixels, log-uniform."""
    sharpen: Range = (0.0, 0.8)
    """Unsharp amount on luma noise, after the blur."""
    luma_coarse: float = 0.0
    """Probability, among those, that coarse luma noise is left beside the fine."""
    luma_coarse_share: Range = (0.1, 0.8)
    """Its standard deviation as a share of the fine's."""
    luma_coarse_sigma: Range = (1.5, 5.0)
    """Its blur, pixels, log-uniform."""
    kept: Range = (0.3, 1.0)
    """Share of the luma noise's standard deviation that is left."""
    chroma_kept: Range = (0.2, 0.9)
    """The same of chroma."""
    blotches: float = 0.5
    """Probability of low-frequency noise."""
    blotch_strength: Range = (0.05, 0.35)
    """Its standard deviation as a share of the noise's before smoothing, which takes none of it."""
    blotch_cell: Range = (6.0, 24.0)
    """Its features' size, pixels, log-uniform."""
    spectra: float = 0.0
    """Probability that the noise is Gaussian instead, with a spectrum that real cameras' noise was
    measured to have (`spectra`); its luma is at each place as strong as that of the sensor's noise,
    times `kept`."""
    spectra_kinds: dict[str, float] = field(
        default_factory=lambda: {"camera_jpeg": 0.5, "developed": 0.25, "phone": 0.25}
    )
    """Weights of whose spectra."""
    white: float = 0.0
    """Probability that an image's noise is white and Gaussian instead (scans, other software)."""
    white_range: Range = (1 / 255, 60 / 255)
    """Its standard deviation, log-uniform."""
    jpeg: float = 0.6
    """Probability of JPEG."""
    jpeg_quality: Range = (65.0, 98.0)
    """libjpeg quality."""
    subsampling: dict[str, float] = field(
        default_factory=lambda: {"4:4:4": 0.2, "4:2:2": 0.4, "4:2:0": 0.4}
    )
    """Weights of the chroma subsamplings."""
    round_8_bit: bool = True
    """Round to the levels of an 8-bit file, and clip to [0, 1]."""

    def __post_init__(self) -> None:
        """Raise `ValueError` for what no camera can be."""
        _check_weights("priors", self.priors, get_args(NoisePrior))
        _check_weights("subsampling", self.subsampling, SUBSAMPLINGS)
        _check_weights("spectra_kinds", self.spectra_kinds, get_args(SpectrumKind))
        if self.uniform_formula not in ("squared", "linear_std"):
            raise ValueError('uniform_formula must be "squared" or "linear_std"')
        if self.uniform_formula == "linear_std" and any(
            weight for prior, weight in self.priors.items() if prior != "uniform"
        ):
            raise ValueError('uniform_formula "linear_std" goes with priors {uniform: 1} alone')
        if self.response not in ("family", "srgb", "identity"):
            raise ValueError('response must be "family", "srgb" or "identity"')
        if not 0 <= self.response_spread <= WIDEST_SPREAD:
            raise ValueError(f"response_spread must be 0 to {WIDEST_SPREAD:g}")
        for name in _PROBABILITIES:
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} is a probability, 0 to 1, not {getattr(self, name):g}")
        for name in (*_RANGES, *_LOG_RANGES):
            if (bounds := getattr(self, name)) is None:
                continue
            low, high = bounds
            if not 0 <= low <= high < math.inf or (low == 0 and name in _LOG_RANGES):
                least = "above 0" if name in _LOG_RANGES else "from 0 up"
                raise ValueError(f"{name} must be two numbers {least}, the lower first")
        if self.shot_range and not self.shot_range[0] and set(self.priors) - {"uniform"}:
            raise ValueError('shot_range must be above 0 for all priors but "uniform"')
        if not 1 <= self.jpeg_quality[0] <= self.jpeg_quality[1] <= 100:
            raise ValueError("jpeg_quality must be two numbers from 1 to 100, the lower first")

    @property
    def clips(self) -> bool:
        """Whether photos, or some of them, come out clipped to [0, 1]."""
        return self.round_8_bit or self.jpeg > 0

    @classmethod
    def paper(cls) -> CameraRecipe:
        """The paper's camera: uniform prior, measured responses, mosaic; no JPEG, no processing."""
        return cls(
            priors={"uniform": 1.0}, response_spread=1.0, srgb_share=0.0, white_balance=0.0,
            mosaic=1.0, chroma_gain=(1.0, 1.0), resample=0.0, smooth=0.0, blotches=0.0, jpeg=0.0,
        )  # fmt: skip

    @classmethod
    def plain(cls, prior: NoisePrior = "uniform") -> CameraRecipe:
        """Independent noise on irradiance and nothing else, for statistics and tests."""
        return cls(
            priors={prior: 1.0}, response="identity", white_balance=0.0, mosaic=0.0,
            chroma_gain=(1.0, 1.0), resample=0.0, smooth=0.0, blotches=0.0, jpeg=0.0,
            round_8_bit=False,
        )  # fmt: skip


def _check_weights(name: str, weights: Mapping[str, float], known: tuple[str, ...]) -> None:
    if unknown := sorted(set(map(str, weights)) - set(known)):
        raise ValueError(f"{name} has no {', '.join(unknown)}; choose from {', '.join(known)}")
    if not all(0 <= weight < math.inf for weight in weights.values()) or not any(weights.values()):
        raise ValueError(f"the weights of {name} must be 0 or above, and one of them above 0")
