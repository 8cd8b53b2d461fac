"""Camera response curves: irradiance to brightness and back.

The family is fitted to the 201 measured curves of DoRF (Grossberg and Nayar, "What is the Space of
Camera Response Functions?", CVPR 2003): principal components of the logarithm of the slope, so that
every member rises.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from aindnet.camera.statistics import statistics


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
        return _interpolate(irradiance, knots, self.brightness)[0]

    def inverse(self, brightness: Tensor) -> Tensor:
        """Brightness (B, C, H, W) in [0, 1] → irradiance in [0, 1]."""
        return self.inverse_and_slope(brightness)[0]

    def inverse_and_slope(self, brightness: Tensor) -> tuple[Tensor, Tensor]:
        """Irradiance, and the curve's slope d brightness / d irradiance there (scales small noise).

        Both (B, C, H, W), from brightness in [0, 1].
        """
        knots = self.irradiance.expand_as(self.brightness)
        irradiance, inverse_slope = _interpolate(brightness, self.brightness, knots)
        return irradiance, 1 / inverse_slope


def _interpolate(x: Tensor, knots: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
    """Piecewise linear values and slopes at x (B, C, H, W), a curve an image (B, K)."""
    flat = x.flatten(1).clamp(0, 1).contiguous()
    index = torch.searchsorted(knots, flat, right=True).clamp(1, knots.shape[1] - 1) - 1
    slopes = values.diff(dim=1) / knots.diff(dim=1)
    slope = slopes.gather(1, index)
    y = values.gather(1, index) + (flat - knots.gather(1, index)) * slope
    return y.reshape(x.shape), slope.reshape(x.shape)


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
