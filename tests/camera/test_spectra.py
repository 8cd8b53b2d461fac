"""Noise with measured spectra."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from aindnet.camera import CameraRecipe, SensorNoise, simulate
from aindnet.camera.processing import rgb_to_ycbcr
from aindnet.camera.spectra import EDGES, OCTAVES, coloured_noise, sample_spectra

KINDS = ("camera_jpeg", "developed", "phone")


def test_flat_spectra_are_white_noise() -> None:
    generator = torch.Generator().manual_seed(0)
    log = torch.tensor([0.0, -2.0, -4.0])[None, :, None].expand(8, -1, OCTAVES)
    noise = rgb_to_ycbcr(coloured_noise(log, (64, 96), generator))
    power = noise.square().mean(dim=(0, 2, 3))
    torch.testing.assert_close(power, torch.exp(log[0, :, 0]), rtol=0.03, atol=0)
    neighbours = (noise[..., 1:] * noise[..., :-1]).mean(dim=(0, 2, 3)) / power
    assert float(neighbours.abs().max()) < 0.02


@pytest.mark.parametrize("size", [(64, 64), (63, 65)], ids=str)
def test_power_lies_where_the_spectrum_has_it(size: tuple[int, int]) -> None:
    log = torch.full((16, 3, OCTAVES), -8.0)
    log[:, :, 2] = 3.0  # periods of 8 to 16 pixels
    noise = rgb_to_ycbcr(coloured_noise(log, size, torch.Generator().manual_seed(0)))
    assert float(noise[:, 0].var()) == pytest.approx(1, rel=0.1)
    power = torch.fft.fft2(noise).abs().square().mean(dim=(0, 1))
    y, x = (torch.fft.fftfreq(side) for side in size)
    radius = (y[:, None].square() + x.square()).sqrt()
    inside = (radius > EDGES[1]) & (radius < EDGES[4])
    assert float(power[inside].sum() / power.sum()) > 0.97


def test_kinds_differ_as_their_cameras_do() -> None:
    generator = torch.Generator().manual_seed(0)
    coarse = []
    for kind in KINDS:
        spectra = sample_spectra([kind] * 64, generator)
        assert spectra.shape == (64, 3, OCTAVES)
        noise = rgb_to_ycbcr(coloured_noise(spectra, (64, 64), generator))
        chroma = noise[:, 1:]
        power = chroma.square().mean()
        coarse.append(float((chroma[..., 4:] * chroma[..., :-4]).mean() / power))
    # Cameras' noise reduction leaves coarse colour noise, a mosaic alone does not.
    assert coarse[0] > 2 * max(coarse[1:]), coarse


def test_simulated_noise_has_them_and_its_level_is_known() -> None:
    clean = torch.linspace(0.2, 0.7, 96).expand(8, 3, 96, 96).contiguous()
    recipe = CameraRecipe(spectra=1.0, jpeg=0.0, round_8_bit=False, white=0.0)
    simulated = simulate(clean, torch.Generator().manual_seed(3), recipe)
    again = simulate(clean, torch.Generator().manual_seed(3), recipe)
    torch.testing.assert_close(simulated.noisy, again.noisy, rtol=0, atol=0)
    noise = simulated.noisy - clean
    power = noise.square().mean(dim=(2, 3))
    torch.testing.assert_close(simulated.noise_level.square().mean(dim=(2, 3)), power)
    coarse, fine = (
        rgb_to_ycbcr(simulate(clean, torch.Generator().manual_seed(3), of).noisy - clean)[:, 1:]
        for of in (replace(recipe, spectra_kinds={kind: 1.0}) for kind in ("camera_jpeg", "phone"))
    )
    lags = [float((x[..., 4:] * x[..., :-4]).mean() / x.square().mean()) for x in (coarse, fine)]
    assert lags[0] > 2 * lags[1], lags
    # Stronger where the camera's is: the map says where.
    weights = simulated.noise_level.square()
    left, right = noise[..., :48].square().mean(), noise[..., 48:].square().mean()
    assert float(left / right) == pytest.approx(
        float(weights[..., :48].mean() / weights[..., 48:].mean()), rel=0.25
    )


@pytest.mark.parametrize("kept", [1.0, 0.5])
def test_their_luma_is_as_strong_as_the_formulas_say_times_what_is_kept_once(kept: float) -> None:
    """Luma of independent noise in R, G and B: sqrt(Σ wᵢ²·σᵢ²)."""
    plain = CameraRecipe.plain()
    recipe = replace(plain, spectra=1.0, smooth=1.0, kept=(kept, kept), chroma_gain=(1.5, 1.5))
    deviations = torch.tensor([0.04, 0.02, 0.03])
    sensor = SensorNoise(torch.zeros(16, 3), deviations.square().expand(16, 3), "affine")
    clean = torch.full((16, 3, 96, 96), 0.5)
    noise = simulate(clean, torch.Generator().manual_seed(0), recipe, sensor=sensor).noisy - clean
    weights = torch.tensor([0.299, 0.587, 0.114])
    expected = kept * (weights * deviations).square().sum().sqrt()
    torch.testing.assert_close(rgb_to_ycbcr(noise)[:, 0].std(), expected, rtol=0.05, atol=0)


def test_recipes_without_them_make_what_they_made() -> None:
    clean = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    recipe = CameraRecipe()
    plain = simulate(clean, torch.Generator().manual_seed(1), recipe).noisy
    other = replace(recipe, spectra_kinds={"phone": 1.0})
    torch.testing.assert_close(
        simulate(clean, torch.Generator().manual_seed(1), other).noisy, plain, rtol=0, atol=0
    )
    with pytest.raises(ValueError, match="spectra_kinds"):
        CameraRecipe(spectra_kinds={"film": 1.0})
    with pytest.raises(ValueError, match="spectra"):
        CameraRecipe(spectra=1.5)
