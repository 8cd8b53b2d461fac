"""Noise with the spectra that real cameras' noise was measured to have.

What smoothing, demosaicing and compression leave of noise is told by its power over frequency, of
luma and of both colour differences. `statistics.json` holds, for three kinds of photos, mean and
covariance of the logarithm of that power in six octaves (`tools/fit_noise_spectra.py`). Noise that
is drawn from them is Gaussian, alike in all directions.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor

from aindnet.camera.processing import ycbcr_to_rgb
from aindnet.camera.statistics import statistics

SpectrumKind = Literal["camera_jpeg", "developed", "phone"]
""""camera_jpeg": cameras' own JPEGs (PolyU); "developed": RAW files without noise reduction
(RENOIR); "phone": the same of phones (SIDD)."""
EDGES = (1 / 64, 1 / 32, 1 / 16, 1 / 8, 1 / 4, 1 / 2, 0.75)
"""Of the octaves, in cycles a pixel, along the radius."""
OCTAVES = len(EDGES) - 1


def sample_spectra(kinds: Sequence[str], generator: torch.Generator) -> Tensor:
    """Logarithms of power density, (B, 3, 6): luma, Cb, Cr in the octaves of `EDGES`.

    `kinds` has a `SpectrumKind` for each image. Power is that of noise whose luma has variance 1.
    """
    device = generator.device
    normal = torch.randn(len(kinds), 3 * OCTAVES, generator=generator, device=device)
    means, roots = (torch.stack(each).to(device) for each in zip(*map(_fitted, kinds), strict=True))
    return (means + torch.einsum("bij,bj->bi", roots, normal)).view(-1, 3, OCTAVES)


@functools.cache
def _fitted(kind: str) -> tuple[Tensor, Tensor]:
    """Mean (18,) of a kind's logarithms, and the Cholesky factor (18, 18) of their covariance."""
    fitted = statistics()["spectra"][kind]
    return torch.tensor(fitted["mean"]), torch.linalg.cholesky(torch.tensor(fitted["covariance"]))


def coloured_noise(
    log_density: Tensor, size: tuple[int, int], generator: torch.Generator
) -> Tensor:
    """Gaussian noise (B, 3, H, W) in RGB of those spectra (B, 3, 6), its luma of variance 1.

    Luma and colour differences are ITU-R BT.601's, as in JPEG.

    Between the middles of the octaves the logarithm of the density is interpolated over that of the
    frequency; below the first and above the last it stays.
    """
    height, width = size
    batch = len(log_density)
    y = torch.fft.fftfreq(height, device=log_density.device)
    x = torch.fft.rfftfreq(width, device=log_density.device)
    radius = (y[:, None].square() + x[None, :].square()).sqrt().clamp_min(EDGES[0] / 2)
    centres = torch.tensor(
        [(low * high) ** 0.5 for low, high in pairwise(EDGES)],
        device=log_density.device,
    ).log2()
    place = radius.log2()
    index = torch.searchsorted(centres, place.flatten()).view_as(place).clamp(1, OCTAVES - 1)
    share = (place - centres[index - 1]) / (centres[index] - centres[index - 1])
    share = share.clamp(0, 1)
    log = log_density[..., index - 1].lerp(log_density[..., index], share)
    gain = (0.5 * log).exp()  # (B, 3, H, W/2 + 1)
    white = torch.randn(batch, 3, height, width, generator=generator, device=generator.device)
    noise = torch.fft.irfft2(torch.fft.rfft2(white) * gain, s=(height, width))
    # What the luma's variance is on average. Of the half spectrum every column stands for two but
    # those that are their own mirror image: the first, and of an even width the last.
    twice = torch.full((width // 2 + 1,), 2.0, device=gain.device)
    twice[0] = 1
    if width % 2 == 0:
        twice[-1] = 1
    power = (gain[:, :1].square() * twice).sum(dim=(2, 3), keepdim=True) / (height * width)
    noise = noise / power.sqrt()
    return ycbcr_to_rgb(noise)
