"""The synthetic camera: clean photo → irradiance → noise → mosaic → response → processing → JPEG.

The noise that comes out is added to the clean photo itself, `clean + (ISP(noisy) − ISP(clean))`, so
that the pipeline's own round-trip error never becomes noise; noise reduction that follows edges may
act on the photo too (`edge_aware_picture`). The paper's camera is `CameraRecipe.paper()`; the
default is broader, as noise in camera files is: spatially correlated, coarser in colour than in
luma, partly smoothed and compressed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from aindnet.camera.compression import jpeg, round_to_8_bits
from aindnet.camera.mosaic import Demosaic, demosaic, mosaic
from aindnet.camera.processing import (
    POWER_WINDOW,
    chroma_gain,
    edge_aware_noise,
    edge_aware_photo,
    local_power,
    low_frequency_field,
    luma_deviation,
    mixed_variance,
    smooth_noise,
)
from aindnet.camera.recipe import SUBSAMPLINGS, CameraRecipe, Range
from aindnet.camera.response import (
    Response,
    clipped_deviation,
    identity_response,
    sample_responses,
    srgb_response,
)
from aindnet.camera.sensor import (
    NoisePrior,
    SensorNoise,
    noise_variance,
    sample_noise_prior,
    sensor_noise,
)
from aindnet.camera.spectra import coloured_noise, sample_spectra

BILINEAR = 0.5
"""Share of mosaics that are interpolated bilinearly; the others by Malvar et al."""


class Simulated(NamedTuple):
    """A batch of simulated photos."""

    noisy: Tensor
    """(B, 3, H, W), sRGB-encoded, [0, 1] after rounding to 8 bits."""
    noise_level: Tensor
    """(B, 3, H, W): true standard deviation of the noise on the [0, 1] scale."""
    clean: Tensor
    """(B, 3, H, W), [0, 1]: what the same camera would show without noise: the photo that was
    given, but where the camera's noise reduction acted on it too (`edge_aware_picture`)."""


JPEG_WINDOW = 9
"""Pixels: what JPEG does to noise differs from block to block of 8."""
LEAST_OF_LEVEL = 0.05
"""Share of the power that a level says which noise in a window has at least."""


class _Draw:
    """Random draws of one batch, on the generator's device."""

    def __init__(
        self, batch: int, generator: torch.Generator, noise: torch.Generator | None = None
    ) -> None:
        self.batch, self.generator, self.device = batch, generator, generator.device
        self.noise = noise or generator
        """What differs between two photos of one camera."""

    def uniform(self, bounds: Range, count: int | None = None) -> Tensor:
        shape = (self.batch,) if count is None else (self.batch, count)
        low, high = bounds
        return low + (high - low) * torch.rand(shape, generator=self.generator, device=self.device)

    def log_uniform(self, bounds: Range) -> Tensor:
        low, high = torch.tensor(bounds).log().tolist()
        return self.uniform((low, high)).exp()

    def happens(self, probability: float) -> Tensor:
        return self.uniform((0.0, 1.0)) < probability

    def choose(self, weights: Mapping[str, float]) -> list[str]:
        """A name for each image, by weight."""
        names = list(weights)
        share = torch.tensor([float(weights[n]) for n in names], device=self.device)
        index = torch.multinomial(share, self.batch, replacement=True, generator=self.generator)
        return [names[i] for i in index.tolist()]


def simulate(
    clean: Tensor,
    generator: torch.Generator,
    recipe: CameraRecipe | None = None,
    *,
    sensor: SensorNoise | None = None,
    noise_generator: torch.Generator | None = None,
) -> Simulated:
    """Photograph clean photos (B, 3, H, W), sRGB-encoded in [0, 1], with noisy cameras.

    Every image gets a camera of its own from `recipe`; `sensor` fixes the sensor's noise instead of
    drawing it. With a `noise_generator` the noise is its own, and `generator` decides the cameras
    alone: in the same state it gives the same cameras again. `clean` and the generators are on one
    device. H, W ≥ 8.

    >>> clean = torch.full((1, 3, 16, 16), 0.5)
    >>> simulated = simulate(clean, torch.Generator().manual_seed(1), CameraRecipe.paper())
    >>> simulated.noisy.shape == simulated.noise_level.shape == clean.shape
    True
    """
    recipe = recipe or CameraRecipe()
    draw = _Draw(len(clean), generator, noise_generator)
    response = _response(recipe, draw)
    sensor = sensor or _sensor(recipe, draw)
    if recipe.white_balance:
        sensor = _white_balanced(sensor, draw, recipe.white_balance)

    scale = 1.0
    if recipe.resample and float(draw.uniform((0.0, 1.0))[0]) < recipe.resample:
        scale = float(draw.log_uniform(recipe.resample_range)[0])
    noise, level = _sensor_stage(clean, scale, response, sensor, recipe, draw)
    photo, of_sensor = clean, level
    if recipe.edge_aware:
        noise, level, photo = _edge_aware_stage(noise, level, clean, recipe, draw)
    noise, level = _processing_stage(noise, level, recipe, draw)
    if recipe.spectra:
        noise, level = _spectrum_stage(noise, level, of_sensor, recipe, draw)
    if recipe.white:
        noise, level, photo = _white_stage(noise, level, clean, photo, recipe, draw)
    noisy = photo + noise
    if recipe.jpeg:
        noisy, level = _jpeg_stage(noisy, level, photo, recipe, draw)
    if recipe.round_8_bit:
        noisy = round_to_8_bits(noisy)
    return Simulated(noisy, calibrate_level(level, noisy - photo), photo)


def calibrate_level(shape: Tensor, noise: Tensor) -> Tensor:
    """The true noise-level map: its shape from the formulas, its scale from the noise itself.

    Smoothing, clipping and compression change the sensor's σ by a factor that no formula gives; it
    is measured per image and channel, so that the map's mean square is the noise's.
    """
    power = noise.square().mean(dim=(2, 3), keepdim=True)
    return shape * (power / shape.square().mean(dim=(2, 3), keepdim=True).clamp_min(1e-12)).sqrt()


def _response(recipe: CameraRecipe, draw: _Draw) -> Response:
    if recipe.response == "identity":
        return identity_response(draw.batch, draw.device)
    if recipe.response == "srgb":
        return srgb_response(draw.batch, draw.device)
    return sample_responses(
        draw.batch, draw.generator, spread=recipe.response_spread, share_srgb=recipe.srgb_share
    )


def _sensor(recipe: CameraRecipe, draw: _Draw) -> SensorNoise:
    """Each image's noise from the prior that its weight chose; mixed formulas are not one batch."""
    names = draw.choose(recipe.priors)
    drawn: dict[str, SensorNoise] = {}
    for name in recipe.priors:
        prior: NoisePrior = name  # type: ignore[assignment]
        drawn[name] = sample_noise_prior(
            prior, draw.batch, draw.generator,
            shot_range=recipe.shot_range, read_range=recipe.read_range,
        )  # fmt: skip
    if recipe.uniform_formula == "linear_std":
        return replace(drawn["uniform"], formula="linear_std")
    # "uniform" draws standard deviations; squared they are the affine form's a and b.
    affine = {
        name: (noise.shot**2, noise.read**2)
        if noise.formula == "squared"
        else (noise.shot, noise.read)
        for name, noise in drawn.items()
    }
    shot = torch.stack([affine[name][0][i] for i, name in enumerate(names)])
    read = torch.stack([affine[name][1][i] for i, name in enumerate(names)])
    return SensorNoise(shot, read, "affine")


def _white_balanced(sensor: SensorNoise, draw: _Draw, probability: float) -> SensorNoise:
    one = torch.ones(draw.batch, device=draw.device)
    red, blue = draw.uniform((1.2, 2.4)), draw.uniform((1.2, 2.2))
    balanced = draw.happens(probability)
    gains = torch.stack([torch.where(balanced, red, one), one, torch.where(balanced, blue, one)], 1)
    return sensor.with_gains(gains)


def _sensor_stage(
    clean: Tensor,
    scale: float,
    response: Response,
    sensor: SensorNoise,
    recipe: CameraRecipe,
    draw: _Draw,
) -> tuple[Tensor, Tensor]:
    """Encoded noise and its σ by the formula, both (B, 3, H, W); resized by `scale` at the end."""
    size = (clean.shape[-2], clean.shape[-1])
    photo = clean
    if scale != 1.0:
        small = (max(8, round(size[0] / scale)), max(8, round(size[1] / scale)))
        photo = F.interpolate(clean, small, mode="bilinear", antialias=True).clamp(0, 1)
    irradiance = response.inverse(photo)
    noise = sensor_noise(irradiance, sensor, draw.noise)
    variance = noise_variance(irradiance, sensor)
    if recipe.mosaic:
        noise, variance = _mosaic_stage(noise, variance, recipe.mosaic, draw)
    encoded = response((irradiance + noise).clamp(0, 1)) - photo
    level = response.deviation(irradiance, variance, photo)
    if scale != 1.0:
        encoded = F.interpolate(encoded, size, mode="bicubic", antialias=True)
        level = F.interpolate(level, size, mode="bilinear", antialias=True)
    return encoded, level


def _mosaic_stage(
    noise: Tensor, variance: Tensor, probability: float, draw: _Draw
) -> tuple[Tensor, Tensor]:
    """The noise and its variance as demosaicing leaves them, by pixel means of the 2×2 cell."""
    pattern = int(draw.uniform((0.0, 4.0))[0].clamp(max=3.999))
    happens = draw.happens(probability)
    bilinear = draw.happens(BILINEAR)
    noise, variance = noise.clone(), variance.clone()
    methods: tuple[tuple[Demosaic, Tensor], ...] = (
        ("bilinear", happens & bilinear),
        ("malvar", happens & ~bilinear),
    )
    for method, chosen in methods:
        if not bool(chosen.any()):
            continue
        noise[chosen] = demosaic(mosaic(noise[chosen], pattern), pattern, method)
        cells = demosaic(mosaic(variance[chosen], pattern), pattern, method, variance=True)
        variance[chosen] = F.avg_pool2d(
            F.avg_pool2d(F.pad(cells, (1, 1, 1, 1), mode="replicate"), 2, 1), 2, 1
        )
    return noise, variance


def _edge_aware_stage(
    noise: Tensor, level: Tensor, clean: Tensor, recipe: CameraRecipe, draw: _Draw
) -> tuple[Tensor, Tensor, Tensor]:
    """Noise, its σ, and the photo behind it.

    What it leaves is known from the noise alone: its power in windows, after over before.
    """
    happens = draw.happens(recipe.edge_aware)
    low, high = recipe.edge_aware_radius
    radius = int(draw.uniform((low, high + 1.0))[0].clamp(max=high + 0.999))
    strengths = [draw.log_uniform(recipe.edge_aware_strength) for _ in range(2)]
    kept = draw.uniform(recipe.kept)
    # Drawn where it is asked for alone, so that recipes without it go on making what they made.
    of_photo = (
        happens & draw.happens(recipe.edge_aware_picture) if recipe.edge_aware_picture else None
    )
    if not bool(happens.any()):
        return noise, level, clean
    left, level, photo = noise.clone(), level.clone(), clean
    radii, (luma, chroma) = (radius, 2 * radius), strengths
    left[happens] = edge_aware_noise(
        noise[happens], clean[happens], radii, luma[happens], chroma[happens], kept[happens]
    )
    if of_photo is not None and bool(of_photo.any()):
        photo = clean.clone()
        photo[of_photo] = edge_aware_photo(
            clean[of_photo], noise[of_photo], radii, luma[of_photo], chroma[of_photo]
        )
    before, after = (local_power(field[happens], POWER_WINDOW) for field in (noise, left))
    level[happens] *= (after / before.clamp_min(1e-12)).sqrt()
    return left, level, photo


def _processing_stage(
    noise: Tensor, level: Tensor, recipe: CameraRecipe, draw: _Draw
) -> tuple[Tensor, Tensor]:
    one = torch.ones(draw.batch, device=draw.device)
    if recipe.chroma_gain != (1.0, 1.0):
        gain = draw.log_uniform(recipe.chroma_gain)
        noise = chroma_gain(noise, gain)
        level = (
            level
            * (
                mixed_variance(level.square(), one, gain)
                / mixed_variance(level.square(), one, one).clamp_min(1e-12)
            ).sqrt()
        )
    if recipe.blotches:
        cell = float(draw.log_uniform(recipe.blotch_cell)[0])
        size = (noise.shape[-2], noise.shape[-1])
        field = low_frequency_field(size, draw.batch, cell, draw.noise)
        strength = draw.uniform(recipe.blotch_strength) * draw.happens(recipe.blotches)
        shape = level / level.square().mean(dim=(2, 3), keepdim=True).sqrt().clamp_min(1e-8)
        deviation = noise.square().mean(dim=(1, 2, 3), keepdim=True).sqrt()
        blotches = strength[:, None, None, None] * deviation * field * shape
    else:
        blotches = None
    if recipe.smooth:
        luma_sigma, chroma_sigma = (
            draw.uniform(recipe.luma_sigma), draw.log_uniform(recipe.chroma_sigma)
        )  # fmt: skip
        sharpen, kept = draw.uniform(recipe.sharpen), draw.uniform(recipe.kept)
        chroma_kept = draw.uniform(recipe.chroma_kept)
        smoothed = smooth_noise(
            noise, luma_sigma, chroma_sigma, sharpen, kept, chroma_kept,
            *_coarse_luma(recipe, draw),
        )  # fmt: skip
        happens = draw.happens(recipe.smooth)[:, None, None, None]
        noise = torch.where(happens, smoothed, noise)
        level = torch.where(
            happens, mixed_variance(level.square(), kept, chroma_kept).sqrt(), level
        )
    return (noise if blotches is None else noise + blotches), level


def _coarse_luma(recipe: CameraRecipe, draw: _Draw) -> tuple[Tensor, Tensor] | tuple[()]:
    """Share and blur of the luma noise that noise reduction leaves for its coarseness."""
    if not recipe.luma_coarse:
        return ()
    share = draw.uniform(recipe.luma_coarse_share) * draw.happens(recipe.luma_coarse)
    return share, draw.log_uniform(recipe.luma_coarse_sigma)


def _spectrum_stage(
    noise: Tensor, level: Tensor, of_sensor: Tensor, recipe: CameraRecipe, draw: _Draw
) -> tuple[Tensor, Tensor]:
    """Noise of a measured spectrum where it happens, as strong in luma as the formulas say.

    `of_sensor` is the σ of the sensor's noise, whose channels are independent.
    """
    happens = draw.happens(recipe.spectra)
    spectra = sample_spectra(draw.choose(recipe.spectra_kinds), draw.generator)
    kept = draw.uniform(recipe.kept)
    size = (noise.shape[-2], noise.shape[-1])
    coloured = coloured_noise(spectra, size, draw.noise)
    strength = luma_deviation(of_sensor) * kept[:, None, None, None]
    each = coloured.square().mean(dim=(2, 3), keepdim=True).sqrt()
    chosen = happens[:, None, None, None]
    return (
        torch.where(chosen, strength * coloured, noise),
        torch.where(chosen, strength * each, level),
    )


def _white_stage(
    noise: Tensor,
    level: Tensor,
    clean: Tensor,
    photo: Tensor,
    recipe: CameraRecipe,
    draw: _Draw,
) -> tuple[Tensor, Tensor, Tensor]:
    """White Gaussian noise, the same everywhere, on the images that it happens to, in place of what
    the camera made; JPEG follows.
    """
    happens = draw.happens(recipe.white)[:, None, None, None]
    sigma = draw.log_uniform(recipe.white_range)[:, None, None, None].expand_as(noise)
    white = sigma * torch.randn(noise.shape, generator=draw.noise, device=draw.device)
    if recipe.round_8_bit:
        sigma = clipped_deviation(clean, sigma)
    return (
        torch.where(happens, white, noise),
        torch.where(happens, sigma, level),
        photo if photo is clean else torch.where(happens, clean, photo),
    )


def _jpeg_stage(
    noisy: Tensor, level: Tensor, photo: Tensor, recipe: CameraRecipe, draw: _Draw
) -> tuple[Tensor, Tensor]:
    """Noisy photos and the noise's σ after JPEG, on the images that it happens to.

    It clears weak noise where the picture is flat and adds errors of its own where it is not: known
    from the power of the difference in windows, after over before. A subsampling's images are
    compressed together.
    """
    chosen = draw.choose(recipe.subsampling)
    happens = draw.happens(recipe.jpeg).tolist()
    quality = draw.uniform(recipe.jpeg_quality).round()
    # Where nothing else clips, the level is of noise that is not clipped yet.
    given = noisy.clamp(0, 1) if recipe.round_8_bit else noisy
    noisy, level = given.clone(), level.clone()
    for subsampling in SUBSAMPLINGS:
        index = [i for i, name in enumerate(chosen) if name == subsampling and happens[i]]
        if index:
            noisy[index] = jpeg(given[index].clamp(0, 1), quality[index], subsampling)
            before, after = (
                local_power(each[index] - photo[index], JPEG_WINDOW) for each in (given, noisy)
            )
            # Where clipping took all but all of the noise, the level is no measure of what is left.
            said = local_power(level[index], JPEG_WINDOW)
            before = torch.maximum(before, LEAST_OF_LEVEL * said).clamp_min(1e-12)
            level[index] *= (after / before).sqrt()
    return noisy, level
