"""Camera response curves: irradiance to brightness and back.

The family is fitted to the 201 measured curves of DoRF (Grossberg and Nayar, "What is the Space of
Camera Response Functions?", CVPR 2003): principal components of the logarithm of the slope, so that
every member rises.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from aindnet.camera.statistics import statistics

LEVELS = 2047
"""Steps of a tabulated curve."""
NODES, FARTHEST = 7, 2.5
"""Places in the normal distribution that stand for it, and the last of them."""


@dataclass(frozen=True)
class Response:
    """One rising curve per image, [0, 1] → [0, 1], straight between knots."""

    irradiance: Tensor
    """(K,) knots, 0 … 1."""
    brightness: Tensor
    """(B, K) values there, 0 … 1."""

    def __call__(self, irradiance: Tensor) -> Tensor:
        """Irradiance (B, C, H, W) in [0, 1] → brightness in [0, 1]."""
        knots = self.irradiance.expand_as(self.brightness).contiguous()
        return _interpolate(irradiance, knots, self.brightness)

    def inverse(self, brightness: Tensor) -> Tensor:
        """Brightness (B, C, H, W) in [0, 1] → irradiance in [0, 1]."""
        knots = self.irradiance.expand_as(self.brightness)
        return _interpolate(brightness, self.brightness, knots)

    def deviation(self, irradiance: Tensor, variance: Tensor, brightness: Tensor) -> Tensor:
        """Root mean square that Gaussian noise of `variance` on `irradiance` has in brightness.

        All (B, C, H, W); `brightness` is the response to `irradiance`. Clipping at black and white
        and the curve's bend count, which its slope alone misses.
        """
        places, weights = _normal()
        deviation = variance.sqrt()
        table = self._by_root()
        square = torch.zeros_like(irradiance)
        for place, weight in zip(places, weights, strict=True):
            index = (irradiance + place * deviation).clamp_(0, 1).sqrt_().mul_(LEVELS).round_()
            value = table.gather(1, index.flatten(1).long()).reshape(irradiance.shape)
            square += weight * (value - brightness).square_()
        return square.sqrt()

    def _by_root(self) -> Tensor:
        """Brightness at evenly spaced roots of irradiance: (B, LEVELS + 1), fine where it bends."""
        roots = torch.linspace(0, 1, LEVELS + 1, device=self.brightness.device)
        knots = self.irradiance.expand_as(self.brightness).contiguous()
        places = roots.square().expand(len(self.brightness), -1)
        return _interpolate(places[:, None, None], knots, self.brightness)[:, 0, 0]


def clipped_deviation(photo: Tensor, deviation: Tensor) -> Tensor:
    """Root mean square of Gaussian noise on brightness (B, C, H, W) after clipping to [0, 1]."""
    places, weights = _normal()
    square = torch.zeros_like(photo)
    for place, weight in zip(places, weights, strict=True):
        square += weight * ((photo + place * deviation).clamp_(0, 1) - photo).square_()
    return square.sqrt()


def _normal() -> tuple[list[float], list[float]]:
    """Places, in standard deviations, and weights for an expectation under the normal.

    Evenly spaced: functions with a kink, as clipping makes, are off by half of what they are with
    Gauss-Hermite's places, and by 4 % at most near black in sRGB.
    """
    places = np.linspace(-FARTHEST, FARTHEST, NODES)
    weights = np.exp(-np.square(places) / 2)
    weights /= weights.sum()
    places /= np.sqrt((weights * np.square(places)).sum())
    return places.tolist(), weights.tolist()


def _interpolate(x: Tensor, knots: Tensor, values: Tensor) -> Tensor:
    """Piecewise linear values at x (B, C, H, W), a curve an image (B, K)."""
    flat = x.flatten(1).clamp(0, 1).contiguous()
    index = torch.searchsorted(knots, flat, right=True).clamp(1, knots.shape[1] - 1) - 1
    slope = (values.diff(dim=1) / knots.diff(dim=1)).gather(1, index)
    y = values.gather(1, index) + (flat - knots.gather(1, index)) * slope
    return y.reshape(x.shape)


def sample_responses(
    batch: int, generator: torch.Generator, *, spread: float = 1.0, share_srgb: float = 0.0
) -> Response:
    """`batch` random curves of the measured family, on the generator's device.

    `spread` scales the family's standard deviations; a share of the curves can be sRGB's instead.
    """
    fitted, device = statistics()["response"], generator.device
    edges = torch.tensor(fitted["edges"], device=device)
    deviation = torch.tensor(fitted["deviation"], device=device)
    weights = torch.randn(batch, len(deviation), generator=generator, device=device).clamp(-2, 2)
    components = torch.tensor(fitted["components"], device=device)
    mean = torch.tensor(fitted["mean_log_slope"], device=device)
    steps = torch.exp(mean + (spread * weights * deviation) @ components) * edges.diff()
    curves = torch.cat([steps.new_zeros(batch, 1), steps.cumsum(1)], dim=1)
    curves = curves / curves[:, -1:]
    plain = torch.rand(batch, 1, generator=generator, device=device) < share_srgb
    return Response(edges, torch.where(plain, _encode_srgb(edges), curves))


def srgb_response(batch: int, device: torch.device | str = "cpu") -> Response:
    """The sRGB encoding (IEC 61966-2-1) as a response."""
    edges = torch.tensor(statistics()["response"]["edges"], device=device)
    return Response(edges, _encode_srgb(edges).expand(batch, -1).contiguous())


def identity_response(batch: int, device: torch.device | str = "cpu") -> Response:
    """Brightness is irradiance: for photos that are linear already, or to leave the stage out.

    >>> identity_response(1)(torch.full((1, 3, 1, 1), 0.25)).flatten().tolist()
    [0.25, 0.25, 0.25]
    """
    edges = torch.tensor([0.0, 1.0], device=device)
    return Response(edges, edges.expand(batch, -1).contiguous())


def _encode_srgb(linear: Tensor) -> Tensor:
    return torch.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
