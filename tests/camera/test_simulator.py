"""The camera as a whole: nothing in, nothing out; the noise-level map tells the truth."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch

from aindnet.camera import CameraRecipe, SensorNoise, simulate


def ramp(batch: int = 2, size: int = 64) -> torch.Tensor:
    return torch.linspace(0.2, 0.8, size).expand(batch, 3, size, size).contiguous()


def noiseless(batch: int) -> SensorNoise:
    return SensorNoise(torch.zeros(batch, 3), torch.zeros(batch, 3), "affine")


def test_a_noiseless_camera_returns_the_photo() -> None:
    recipe = CameraRecipe(jpeg=0.0, round_8_bit=False)
    clean = torch.rand(4, 3, 32, 40)
    noisy, level, _ = simulate(clean, torch.Generator().manual_seed(0), recipe, sensor=noiseless(4))
    torch.testing.assert_close(noisy, clean, atol=1e-5, rtol=0)
    assert level.max() < 1e-5


def test_the_same_seed_gives_the_same_photo_and_another_another() -> None:
    clean = ramp()
    a, b, c = (simulate(clean, torch.Generator().manual_seed(s)).noisy for s in (1, 1, 2))
    assert torch.equal(a, b)
    assert not torch.equal(a, c)


def test_the_uniform_prior_s_formula_is_selectable() -> None:
    """σ_s·L + σ_c is louder in bright parts than the square root of L·σ_s² + σ_c² there."""
    plain = replace(CameraRecipe.plain(), shot_range=(0.1, 0.1), read_range=(0.02, 0.02))
    bright = torch.full((1, 3, 64, 64), 0.5)
    for recipe, deviation in (
        (plain, (0.5 * 0.1**2 + 0.02**2) ** 0.5),
        (replace(plain, uniform_formula="linear_std"), 0.1 * 0.5 + 0.02),
    ):
        noisy = simulate(bright, torch.Generator().manual_seed(0), recipe).noisy
        assert float((noisy - bright).std()) == pytest.approx(deviation, rel=0.03)
    with pytest.raises(ValueError, match="alone"):
        CameraRecipe(uniform_formula="linear_std")


@pytest.mark.parametrize("recipe", [CameraRecipe(), CameraRecipe.paper()], ids=["broad", "paper"])
def test_the_noise_level_map_is_the_noise_s(recipe: CameraRecipe) -> None:
    """Noise over its map has unit variance, on the whole and, nearly, in dark and bright parts."""
    clean = ramp(16, 128)
    noisy, level, _ = simulate(clean, torch.Generator().manual_seed(5), recipe)
    noise = noisy - clean
    whole = noise.square().mean(dim=(1, 2, 3)) / level.square().mean(dim=(1, 2, 3))
    torch.testing.assert_close(whole, torch.ones(16), atol=0.01, rtol=0)
    for columns in (slice(0, 42), slice(86, 128)):
        part = noise[..., columns].square().mean() / level[..., columns].square().mean()
        assert 0.75 < part < 1.33


@pytest.mark.parametrize(
    ("stages", "tolerance"),
    [
        ({"mosaic": 0.0}, 0.06),
        ({}, 0.1),
        ({"smooth": 1.0, "chroma_gain": (0.7, 1.8)}, 0.15),
        ({"edge_aware": 1.0}, 0.3),
    ],
    ids=["sensor", "mosaic", "smooth", "edge aware"],
)
def test_the_map_is_the_noise_s_at_every_brightness(
    stages: dict[str, Any], tolerance: float
) -> None:
    """Clipping and the response's bend count: its slope alone is off by a factor of two here."""
    values = (0.02, 0.1, 0.3, 0.6, 0.9, 1.0)
    clean = torch.cat([torch.full((12, 3, 64, 48), value) for value in values], dim=3)
    sensor = SensorNoise(torch.full((12, 3), 0.08), torch.full((12, 3), 0.03), "squared")
    recipe = replace(CameraRecipe.paper(), response="srgb", **stages)
    noisy, level, _ = simulate(clean, torch.Generator().manual_seed(0), recipe, sensor=sensor)
    for band in range(len(values)):
        part = slice(48 * band + 16, 48 * band + 32)
        power, said = (x[..., part].square().mean(dim=(1, 2, 3)) for x in (noisy - clean, level))
        assert ((said / power).sqrt().mean() - 1).abs() < tolerance, values[band]


def test_white_noise_is_said_as_clipping_leaves_it() -> None:
    recipe = CameraRecipe(white=1.0, white_range=(0.1, 0.2), jpeg=0.0)
    clean = torch.cat([torch.full((4, 3, 64, 64), value) for value in (0.0, 0.5)], dim=3)
    noisy, level, _ = simulate(clean, torch.Generator().manual_seed(2), recipe)
    for part in (slice(0, 64), slice(64, 128)):
        power, said = (x[..., part].square().mean(dim=(1, 2, 3)) for x in (noisy - clean, level))
        torch.testing.assert_close(said, power, rtol=0.05, atol=0)


def test_what_jpeg_clears_and_adds_is_said_where_it_does() -> None:
    """Weak noise all but goes where the picture is flat; in texture JPEG's own error is more."""
    texture = torch.rand(8, 3, 64, 64, generator=torch.Generator().manual_seed(0)) * 0.4 + 0.3
    clean = torch.cat([torch.full((8, 3, 64, 64), 0.5), texture], dim=3)
    sensor = SensorNoise(torch.zeros(8, 3), torch.full((8, 3), 0.01), "squared")
    recipe = replace(CameraRecipe.plain(), jpeg=1.0, jpeg_quality=(75.0, 75.0), round_8_bit=True)
    noisy, level, _ = simulate(clean, torch.Generator().manual_seed(3), recipe, sensor=sensor)
    deviations = []
    for part in (slice(0, 56), slice(72, 128)):
        power, said = (x[..., part].square().mean() for x in (noisy - clean, level))
        torch.testing.assert_close(said, power, rtol=0.15, atol=0)
        deviations.append(power.sqrt())
    assert deviations[1] > 3 * deviations[0]


def test_the_level_stays_by_the_noise_where_clipping_takes_it_and_jpeg_rings() -> None:
    """Coarse noise on saturated areas is cut off whole; beside edges JPEG leaves errors there."""
    clean = torch.zeros(8, 3, 96, 96)
    clean[:, 0, :, 48:] = 1.0
    clean[:, 1, 40:56] = 1.0
    recipe = CameraRecipe(blotches=1.0, smooth=1.0, jpeg=1.0)
    for seed in range(6):
        noisy, level, photo = simulate(clean, torch.Generator().manual_seed(seed), recipe)
        largest = (noisy - photo).abs().amax(dim=(1, 2, 3))
        assert (level.amax(dim=(1, 2, 3)) < 4 * largest + 0.01).all()


def test_jpeg_clips_noise_that_nothing_else_clips() -> None:
    recipe = replace(
        CameraRecipe(white=1.0, white_range=(0.1, 0.1), round_8_bit=False),
        jpeg=1.0, jpeg_quality=(98.0, 98.0), subsampling={"4:4:4": 1.0},
    )  # fmt: skip
    clean = torch.cat([torch.full((4, 3, 64, 64), value) for value in (0.0, 0.5)], dim=3)
    noisy, level, _ = simulate(clean, torch.Generator().manual_seed(2), recipe)
    for part in (slice(0, 56), slice(72, 128)):
        power, said = (x[..., part].square().mean() for x in (noisy - clean, level))
        torch.testing.assert_close(said, power, rtol=0.05, atol=0)


def test_where_nothing_rounds_jpeg_clips_its_own_images_alone() -> None:
    recipe = CameraRecipe(white=1.0, white_range=(0.1, 0.1), jpeg=0.5, round_8_bit=False)
    noisy, _, _ = simulate(torch.zeros(16, 3, 32, 32), torch.Generator().manual_seed(2), recipe)
    least = noisy.amin(dim=(1, 2, 3))
    assert 0 < int((least < -0.2).sum()) < 16
    assert ((least == 0) | (least < -0.2)).all()
    assert recipe.clips
    assert not replace(recipe, jpeg=0.0).clips
    assert replace(recipe, jpeg=0.0, round_8_bit=True).clips


def test_paper_noise_has_the_formula_s_level() -> None:
    """Without response and mosaic, σ of the output is the formula's, bin by bin, within 3 %."""
    shot, read = torch.full((8, 3), 0.08**2), torch.full((8, 3), 0.03**2)
    sensor = SensorNoise(shot, read, "affine")
    clean = ramp(8, 256)
    noisy, _, _ = simulate(
        clean, torch.Generator().manual_seed(0), CameraRecipe.plain(), sensor=sensor
    )
    for column in range(0, 256, 32):
        part = slice(column, column + 32)
        expected = (0.08**2 * clean[..., part] + 0.03**2).mean()
        assert abs((noisy - clean)[..., part].var() / expected - 1) < 0.03


def test_the_broad_camera_s_noise_is_correlated_and_the_paper_s_mosaic_less() -> None:
    clean = ramp(16, 128)

    def correlation(recipe: CameraRecipe) -> float:
        noise = simulate(clean, torch.Generator().manual_seed(3), recipe).noisy - clean
        products = (noise[..., 2:] * noise[..., :-2]).mean(dim=(1, 2, 3))
        return float((products / noise.square().mean(dim=(1, 2, 3))).median())

    assert correlation(CameraRecipe()) > correlation(CameraRecipe.paper()) + 0.05


@pytest.mark.parametrize("size", [(8, 8), (9, 31), (70, 16)])
def test_any_size_from_8_pixels(size: tuple[int, int]) -> None:
    clean = torch.rand(3, 3, *size)
    for seed in range(6):
        noisy, level, _ = simulate(
            clean, torch.Generator().manual_seed(seed), CameraRecipe(resample=1.0)
        )
        assert noisy.shape == level.shape == clean.shape
        assert noisy.isfinite().all()
        assert level.isfinite().all()


def test_the_white_stage_is_white_gaussian_and_flat() -> None:
    recipe = CameraRecipe(white=1.0, jpeg=0.0, round_8_bit=False)
    clean = torch.full((6, 3, 128, 128), 0.5)
    noisy, level, _ = simulate(clean, torch.Generator().manual_seed(4), recipe)
    noise = noisy - clean
    sigma = noise.std(dim=(2, 3))
    torch.testing.assert_close(level[..., 0, 0], sigma, rtol=0.03, atol=0)
    assert torch.equal(level, level[..., :1, :1].expand_as(level))
    low, high = recipe.white_range
    assert (sigma > 0.95 * low).all()
    assert (sigma < 1.05 * high).all()
    neighbours = (noise[..., 1:] * noise[..., :-1]).mean(dim=(2, 3)) / sigma.square()
    assert neighbours.abs().max() < 0.03
    channels = (noise[:, 0] * noise[:, 1]).mean(dim=(1, 2)) / (sigma[:, 0] * sigma[:, 1])
    assert channels.abs().max() < 0.03
