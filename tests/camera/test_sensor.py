"""Sensor noise has the variance that its formula says."""

from __future__ import annotations

import pytest
import torch

from aindnet.camera import (
    SensorNoise,
    camera_noise,
    list_cameras,
    noise_variance,
    sample_noise_prior,
    sensor_noise,
)

FORMULAS = {
    "squared": lambda light, shot, read: light * shot**2 + read**2,
    "linear_std": lambda light, shot, read: (shot * light + read) ** 2,
    "affine": lambda light, shot, read: shot * light + read,
}


@pytest.mark.parametrize("formula", FORMULAS)
def test_variance_follows_the_formula_in_every_intensity_bin(formula: str) -> None:
    shot, read = (0.01, 0.0004) if formula == "affine" else (0.1, 0.02)
    level = SensorNoise(torch.full((1, 3), shot), torch.full((1, 3), read), formula)
    bins = torch.linspace(0.05, 0.95, 10)
    irradiance = bins.repeat_interleave(4000).reshape(1, 1, 100, 400).expand(-1, 3, -1, -1)
    noise = sensor_noise(irradiance, level, torch.Generator().manual_seed(0))
    for light in bins:
        measured = noise[irradiance == light].var()
        expected = FORMULAS[formula](light, shot, read)
        # 12,000 samples: the variance's own standard error is 1.3 %.
        assert abs(measured / expected - 1) < 0.03
        assert torch.isclose(noise_variance(light.reshape(1, 1, 1, 1), level)[0, 0, 0, 0], expected)


@pytest.mark.parametrize("formula", FORMULAS)
def test_white_balance_scales_the_noise_it_amplifies(formula: str) -> None:
    """noise(L after gain g) = g · noise(L / g before it)."""
    gains = torch.tensor([[2.0, 1.0, 1.5]])
    before = SensorNoise(torch.full((1, 3), 0.01), torch.full((1, 3), 1e-4), formula)
    light = torch.full((1, 3, 1, 1), 0.4)
    raw = noise_variance(light / gains[..., None, None], before) * gains[..., None, None] ** 2
    torch.testing.assert_close(noise_variance(light, before.with_gains(gains)), raw)


@pytest.mark.parametrize("prior", ["uniform", "log_uniform", "cameras", "unprocessing"])
def test_priors_are_seeded_and_in_range(prior: str) -> None:
    a, b = (sample_noise_prior(prior, 2000, torch.Generator().manual_seed(7)) for _ in range(2))
    assert torch.equal(a.shot, b.shot)
    assert torch.equal(a.read, b.read)
    assert (a.shot >= 0).all()
    assert (a.read >= 0).all()
    if prior == "uniform":
        assert a.shot.max() <= 0.16
        assert a.read.max() <= 0.06
        assert abs(a.shot.mean() - 0.08) < 0.004
    if prior == "unprocessing":
        assert a.shot.min() >= 1e-4 * 0.999
        assert a.shot.max() <= 0.012 * 1.001
        residual = a.read.log() - 2.18 * a.shot.log() - 1.20
        assert abs(residual[:, 0].std() - 0.26) < 0.02


def test_a_measured_camera_is_noisier_at_higher_iso() -> None:
    low, high = (camera_noise("nikon d800", iso) for iso in (100, 6400))
    assert (high.shot > 30 * low.shot).all()
    assert (high.read > low.read).all()
    assert len(list_cameras()) > 300


def test_shot_noise_of_a_measured_camera_fits_its_full_well() -> None:
    # D800 and D800E at ISO 100: 44,972 electrons (sensorgen.info), 54,503 (B. Janes, Luminous
    # Landscape, 2013). The variance of n of N electrons is n, on the scale of white n / N².
    shot = camera_noise("Nikon D800", 100).shot
    assert (shot > 1 / 54_503).all()
    assert (shot < 1 / 44_972).all()
    assert (shot == shot[0, 0]).all()  # raw channels: no white balance in them


def test_an_unknown_camera_is_told_its_neighbours() -> None:
    with pytest.raises(KeyError, match="Nikon D800"):
        camera_noise("Nikon D8000", 100)
