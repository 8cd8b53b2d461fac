"""A camera's noise measured on noisy photos alone, and more of the same.

Where a photo is flat, what varies is noise. From such blocks come the variance by brightness and
the spectrum, with what the channels have in common at each frequency: in-camera smoothing, colour
noise and compression are in it without a model of them. The variance is affine in brightness, as
in `sensor` (Foi et al., IEEE TIP 2008), though of encoded values.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor

BLOCK = 32
"""Pixels: the coarsest noise that is measured."""
BINS = 12
"""Brightness bins, in each of which the flattest blocks are taken."""
FLATTEST = 0.15
"""Their share."""
FEWEST = 24
"""Blocks without which nothing can be said."""
MOST, MOST_OF_ONE = 4096, 1024
"""Blocks that are looked at, and of one pair."""


@dataclass(frozen=True)
class MeasuredNoise:
    """Noise by brightness, and its spectrum."""

    slope: Tensor
    """(3,): variance of a channel per unit of its brightness, on the [0, 1] scale."""
    intercept: Tensor
    """(3,): variance in the dark."""
    spectrum: Tensor
    """(32, 32, 3, 3) complex: the channels' covariance at each frequency, of noise of variance 1
    in every channel."""
    blocks: int
    """Flat blocks that it was measured on."""

    def level(self, clean: Tensor) -> Tensor:
        """Standard deviation at each sample of (B, 3, H, W)."""
        slope, intercept = (v.to(clean)[:, None, None] for v in (self.slope, self.intercept))
        return (slope * clean + intercept).clamp_min(0).sqrt()

    def sample(self, clean: Tensor, generator: torch.Generator) -> Tensor:
        """Noise for clean photos (B, 3, H, W), sRGB-encoded in [0, 1]: the same shape."""
        batch, _, height, width = clean.shape
        white = torch.randn(
            batch, 3, height, width, generator=generator, device=generator.device
        ).to(clean)
        shape = _at_size(_root(self.spectrum).to(clean.device), height, width)
        transformed = torch.fft.fft2(white)
        coloured = torch.einsum("hwij,bjhw->bihw", shape, transformed)
        noise = torch.fft.ifft2(coloured).real
        noise = noise / noise.square().mean(dim=(2, 3), keepdim=True).sqrt().clamp_min(1e-8)
        scaled: Tensor = noise * self.level(clean)
        return scaled


def measure_noise(photos: Sequence[Tensor]) -> MeasuredNoise:
    """Measure the noise of one camera at one ISO on its photos, each (3, H, W) in [0, 1].

    Raises `ValueError` where they have too few flat blocks.
    """
    found = [_blocks(photo) for photo in photos]
    blocks = torch.cat(found) if found else torch.empty(0, 3, BLOCK, BLOCK)
    flat = _flattest(blocks)
    if len(flat) < FEWEST:
        raise ValueError(
            f"{len(flat)} flat blocks of {BLOCK} pixels in {len(photos)} photos; {FEWEST} are "
            f"needed: add photos with sky, walls or blur in them"
        )
    flat = _evenly(flat, MOST)
    return _measured(without_plane(flat), flat.mean(dim=(2, 3)))


def measure_noise_of_pairs(pairs: Iterable[tuple[Tensor, Tensor]]) -> MeasuredNoise:
    """The same from what is known to be noise: pairs (noisy, clean), each (3, H, W) in [0, 1].

    Raises `ValueError` where they have too few blocks that are neither black nor white.
    """
    noise, brightness = [], []
    for noisy, clean in pairs:
        within, seen = _all_blocks(clean), _all_blocks(noisy)
        chosen = _evenly(_unclipped(seen).nonzero()[:, 0], MOST_OF_ONE)
        noise.append(seen[chosen] - within[chosen])
        brightness.append(within[chosen].mean(dim=(2, 3)))
    found = torch.cat(noise) if noise else torch.empty(0, 3, BLOCK, BLOCK)
    if len(found) < FEWEST:
        raise ValueError(
            f"{len(found)} blocks of {BLOCK} pixels that are neither black nor white in "
            f"{len(noise)} pairs; {FEWEST} are needed"
        )
    index = _evenly(torch.arange(len(found)), MOST)
    return _measured(without_plane(found[index]), torch.cat(brightness)[index])


def _evenly(rows: Tensor, count: int) -> Tensor:
    """At most `count` rows."""
    return rows[torch.linspace(0, max(len(rows) - 1, 0), min(len(rows), count)).long()]


def _measured(noise: Tensor, brightness: Tensor) -> MeasuredNoise:
    """From blocks of noise (N, 3, 32, 32) without their plane, and their brightness (N, 3)."""
    variance = noise.square().mean(dim=(2, 3)) * _lost_to_plane()
    slope, intercept = _line(brightness, variance)
    unit = noise / noise.square().mean(dim=(2, 3), keepdim=True).sqrt().clamp_min(1e-6)
    window = torch.hann_window(BLOCK, periodic=True)
    window = (window[:, None] * window[None, :]).sqrt()
    transformed = torch.fft.fft2(unit * window)
    covariance = torch.einsum("bihw,bjhw->hwij", transformed, transformed.conj()) / len(unit)
    power = torch.diagonal(covariance, dim1=2, dim2=3).real.mean(dim=(0, 1))
    scale = power.sqrt()
    spectrum = covariance / (scale[:, None] * scale[None, :])
    return MeasuredNoise(slope, intercept, spectrum, len(noise))


def _blocks(photo: Tensor) -> Tensor:
    """The blocks (N, 3, 32, 32) of a photo (3, H, W) that hold neither black nor white."""
    blocks = _all_blocks(photo)
    return blocks[_unclipped(blocks)]


def _all_blocks(photo: Tensor) -> Tensor:
    height, width = (side // BLOCK * BLOCK for side in photo.shape[-2:])
    parts = photo[:, :height, :width].float().unfold(1, BLOCK, BLOCK).unfold(2, BLOCK, BLOCK)
    return parts.permute(1, 2, 0, 3, 4).reshape(-1, 3, BLOCK, BLOCK)


def _unclipped(blocks: Tensor) -> Tensor:
    within = (blocks > 2 / 255) & (blocks < 253 / 255)
    return within.float().mean(dim=(1, 2, 3)) > 0.98


def _flattest(blocks: Tensor) -> Tensor:
    """Of each brightness the blocks (N, 3, 32, 32) whose grey varies least beside a plane.

    What varies least has less noise than the rest: the level comes out low, by about 1, 3, 7 and
    14 % for noise that was blurred by 0, 0.7, 1.5 and 2.5 pixels.
    """
    if not len(blocks):
        return blocks
    grey = without_plane(blocks).mean(dim=1, keepdim=True)
    variation = grey.square().mean(dim=(1, 2, 3))
    brightness = blocks.mean(dim=(1, 2, 3))
    chosen = []
    edges = torch.linspace(0, 1, BINS + 1)
    for low, high in pairwise(edges.tolist()):
        index = ((brightness >= low) & (brightness < high)).nonzero()[:, 0]
        count = int(len(index) * FLATTEST)
        if count:
            chosen.append(index[variation[index].argsort()[:count]])
    return blocks[torch.cat(chosen)] if chosen else blocks[:0]


def _plane(side: int) -> Tensor:
    """Orthonormal constant, row and column slopes, (3, side·side)."""
    ramp = torch.linspace(-1, 1, side)
    basis = torch.stack(
        [torch.ones(side, side), ramp[:, None].expand(side, side), ramp.expand(side, side)]
    ).reshape(3, -1)
    unit: Tensor = basis / basis.norm(dim=1, keepdim=True)
    return unit


def without_plane(blocks: Tensor) -> Tensor:
    """Square blocks (N, C, S, S) less the plane that fits each best: mean and slopes."""
    basis = _plane(blocks.shape[-1])
    flat = blocks.flatten(2)
    rest = flat - (flat @ basis.T) @ basis
    shaped: Tensor = rest.reshape(blocks.shape)
    return shaped


def _lost_to_plane() -> float:
    """What taking a plane off white noise takes of its variance, given back."""
    return BLOCK**2 / (BLOCK**2 - 3)


def _line(brightness: Tensor, variance: Tensor) -> tuple[Tensor, Tensor]:
    """Slope and intercept (3,) of variance on brightness, (N, 3) each; the slope never falls."""
    centre, middle = brightness.mean(0), variance.mean(0)
    spread = (brightness - centre).square().mean(0)
    together = ((brightness - centre) * (variance - middle)).mean(0)
    slope = torch.where(spread > 1e-4, together / spread.clamp_min(1e-8), 0.0).clamp_min(0)
    intercept = middle - slope * centre
    negative = intercept < 0
    slope = torch.where(negative, middle / centre.clamp_min(1e-3), slope)
    return slope, torch.where(negative, 0.0, intercept)


def _root(covariance: Tensor) -> Tensor:
    """Hermitian square roots, (…, 3, 3)."""
    values, vectors = torch.linalg.eigh(covariance)
    root: Tensor = (vectors * values.clamp_min(0).sqrt()[..., None, :]) @ vectors.mH
    return root


def _at_size(root: Tensor, height: int, width: int) -> Tensor:
    """The spectrum's square root at another size's frequencies, (H, W, 3, 3) complex."""
    centred = torch.fft.fftshift(root, dim=(0, 1)).permute(2, 3, 0, 1).reshape(9, BLOCK, BLOCK)
    # Frequency 0 lies at BLOCK // 2; the Nyquist frequency stands at both ends.
    closed = torch.cat([centred, centred[..., :1]], dim=-1)
    closed = torch.cat([closed, closed[..., :1, :]], dim=-2)
    y, x = (torch.fft.fftfreq(side, device=root.device) * 2 for side in (height, width))
    grid = torch.stack(torch.meshgrid(x, y, indexing="xy"), dim=-1)[None].float()
    parts = torch.cat([closed.real, closed.imag])[None].float()
    sampled = F.grid_sample(parts, grid, mode="bilinear", align_corners=True)[0]
    shape = torch.complex(sampled[:9], sampled[9:]).reshape(3, 3, height, width)
    return shape.permute(2, 3, 0, 1)
