"""Shot and read noise on irradiance, its formulas and its priors.

Formulas in use (published implementations disagree): "squared", variance = σ_s²·L + σ_c² with L
taken as in the paper's text `L·σ_s² + σ_c²`; "linear_std", standard deviation = σ_s·L + σ_c;
"affine", variance = a·L + b, the photon-transfer form that measured camera profiles come in.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor

from aindnet.camera.statistics import statistics

NoiseFormula = Literal["squared", "linear_std", "affine"]
NoisePrior = Literal["uniform", "log_uniform", "cameras", "unprocessing"]


@dataclass(frozen=True)
class SensorNoise:
    """Noise parameters, one pair per image and channel, in units of the white level."""

    shot: Tensor
    """(B, C): σ_s of "squared" and "linear_std", a of "affine"."""
    read: Tensor
    """(B, C): σ_c of "squared" and "linear_std", b of "affine"."""
    formula: NoiseFormula

    def with_gains(self, gains: Tensor) -> SensorNoise:
        """The same noise seen after the white balance multiplied the channels by `gains` (B, C)."""
        if self.formula == "affine":
            return SensorNoise(self.shot * gains, self.read * gains**2, self.formula)
        shot = self.shot * gains.sqrt() if self.formula == "squared" else self.shot
        return SensorNoise(shot, self.read * gains, self.formula)


def noise_variance(irradiance: Tensor, noise: SensorNoise) -> Tensor:
    """Variance of the noise at irradiance (B, C, H, W), L in [0, 1], by the noise's formula.

    >>> level = SensorNoise(torch.full((1, 3), 0.1), torch.full((1, 3), 0.02), "squared")
    >>> round(noise_variance(torch.full((1, 3, 1, 1), 0.5), level)[0, 0].item(), 6)
    0.0054
    """
    shot, read = noise.shot[..., None, None], noise.read[..., None, None]
    if noise.formula == "squared":
        return irradiance * shot**2 + read**2
    if noise.formula == "linear_std":
        return (shot * irradiance + read) ** 2
    return (shot * irradiance + read).clamp_min(0)


def sensor_noise(irradiance: Tensor, noise: SensorNoise, generator: torch.Generator) -> Tensor:
    """Independent Gaussian noise (B, C, H, W) of that variance: the normal limit of shot noise."""
    white = torch.randn(irradiance.shape, generator=generator, device=irradiance.device)
    return white * noise_variance(irradiance, noise).sqrt()


def sample_noise_prior(
    prior: NoisePrior,
    batch: int,
    generator: torch.Generator,
    *,
    shot_range: tuple[float, float] | None = None,
    read_range: tuple[float, float] | None = None,
) -> SensorNoise:
    """Noise parameters of `batch` random cameras, on the generator's device.

    "uniform": σ_s ~ U[0, 0.16], σ_c ~ U[0, 0.06], formula "squared" (paper).
    "unprocessing": a log-uniform 1e-4 … 0.012, log b = 2.18·log a + 1.20 + N(0, 0.26) (Brooks et
    al., CVPR 2019). "cameras": a from 364 cameras at all their ISOs as darktable's profiles have
    it, which is of finest detail after demosaicing, a tenth of a raw channel's (`camera_noise`); b
    given a by the fitted line. "log_uniform": a log-uniform 1e-4 … 0.06, b as "cameras".
    The ranges override shot (all priors but "cameras") and read ("uniform"). Raises `ValueError`
    for another prior.
    """
    if prior not in get_args(NoisePrior):
        raise ValueError(f"no noise prior {prior!r}; choose from {', '.join(get_args(NoisePrior))}")
    device = generator.device

    def uniform(low: float, high: float, count: int = 1) -> Tensor:
        return low + (high - low) * torch.rand(batch, count, generator=generator, device=device)

    def normal(count: int = 1) -> Tensor:
        return torch.randn(batch, count, generator=generator, device=device)

    if prior == "uniform":
        shot = uniform(*(shot_range or (0.0, 0.16)))
        read = uniform(*(read_range or (0.0, 0.06)))
        return SensorNoise(shot.expand(-1, 3), read.expand(-1, 3), "squared")
    if prior == "unprocessing":
        low, high = shot_range or (1e-4, 0.012)
        log_shot = uniform(math.log(low), math.log(high))
        log_read = 2.18 * log_shot + 1.20 + 0.26 * normal()
        return SensorNoise(log_shot.exp().expand(-1, 3), log_read.exp().expand(-1, 3), "affine")
    fitted = statistics()["noise"]
    if prior == "log_uniform":
        low, high = shot_range or (1e-4, 0.06)
        log_shot = uniform(math.log(low), math.log(high))
    else:
        quantiles = torch.tensor(fitted["log_shot_quantiles"], device=device)
        position = uniform(0, len(quantiles) - 1.001)
        index = position.long()
        step = quantiles.diff()[index]
        log_shot = quantiles[index] + (position - index) * step
    scatter = fitted["log_channel_ratio_scatter"]
    ratio = normal(3).clamp(-1.5, 1.5) * torch.tensor([scatter[0], 0.0, scatter[1]], device=device)
    log_read = fitted["log_read_slope"] * log_shot + fitted["log_read_offset"]
    log_read = log_read + fitted["log_read_scatter"] * normal().clamp(-2, 2)
    return SensorNoise((log_shot + ratio).exp(), (log_read + 2 * ratio).exp(), "affine")


def list_cameras() -> list[str]:
    """Names of the cameras whose noise was measured."""
    return sorted(statistics()["cameras"])


def camera_noise(name: str, iso: float, batch: int = 1) -> SensorNoise:
    """The fitted noise of a raw channel of one measured camera ("Nikon D800") at an ISO setting.

    From darktable's profiles, of which `tools/fit_camera_statistics.py` says what they measure.
    Raises KeyError with the nearest names where the camera was not measured.
    """
    cameras: dict[str, list[float]] = statistics()["cameras"]
    wanted = name.casefold()
    match = next((known for known in cameras if known.casefold() == wanted), None)
    if match is None:
        import difflib

        folded = {known.casefold(): known for known in cameras}
        close = [folded[c] for c in difflib.get_close_matches(wanted, folded, n=3, cutoff=0.5)]
        raise KeyError(f"{name}: no measured noise for this camera; nearest: {', '.join(close)}")
    shot_per_iso, read, read_per_iso = cameras[match]
    shot, read = shot_per_iso * iso, read + read_per_iso * iso**2
    return SensorNoise(torch.full((batch, 3), shot), torch.full((batch, 3), read), "affine")
