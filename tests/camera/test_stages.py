"""Response, mosaic, processing and compression, each against what defines it."""

from __future__ import annotations

import io
import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from aindnet.camera import (
    demosaic,
    gaussian_blur,
    identity_response,
    jpeg,
    mosaic,
    sample_responses,
    smooth_noise,
    srgb_response,
)
from aindnet.camera.recipe import WIDEST_SPREAD


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**31))
def test_responses_rise_and_invert(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    curves = sample_responses(4, generator)
    assert (curves.brightness.diff(dim=1) > 0).all()
    light = torch.rand(4, 3, 5, 7, generator=generator)
    torch.testing.assert_close(curves.inverse(curves(light)), light, atol=2e-5, rtol=0)
    assert torch.equal(curves(torch.zeros(4, 1, 1, 1)), torch.zeros(4, 1, 1, 1))
    torch.testing.assert_close(curves(torch.ones(4, 1, 1, 1)), torch.ones(4, 1, 1, 1))


def test_the_widest_spread_s_farthest_curves_rise_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """A step over what is below or around it is least where all weights are at their bounds."""
    corners = torch.tensor(list(itertools.product((-9.0, 9.0), repeat=5)))
    monkeypatch.setattr(torch, "randn", lambda *_, **__: corners)
    curves = sample_responses(len(corners), torch.Generator(), spread=WIDEST_SPREAD)
    assert (curves.brightness.diff(dim=1) > 0).all()
    assert curves.inverse(torch.linspace(0, 1, 999).expand(32, 1, 1, -1)).isfinite().all()


def test_srgb_response_is_the_standard() -> None:
    light = torch.linspace(0, 1, 101).reshape(1, 1, 1, -1)
    x = light.double().numpy()
    expected = np.where(
        x <= 0.0031308, 12.92 * x, 1.055 * np.maximum(x, 1e-12) ** (1 / 2.4) - 0.055
    )
    # Straight lines between 64 knots.
    assert np.abs(srgb_response(1)(light).numpy() - expected).max() < 2e-3


def test_weak_noise_is_scaled_by_the_slope() -> None:
    curves = sample_responses(2, torch.Generator().manual_seed(3))
    photo = torch.linspace(0.1, 0.9, 50).reshape(1, 1, 1, -1).expand(2, 3, 1, -1)
    light = curves.inverse(photo)
    sigma = 2e-3
    slope = (curves(light + sigma) - curves(light - sigma)) / (2 * sigma)
    said = curves.deviation(light, torch.full_like(light, sigma**2), photo)
    assert ((said / (sigma * slope) - 1).abs() < 0.05).float().mean() > 0.9


def test_identity_response_changes_nothing() -> None:
    x = torch.rand(2, 3, 4, 4)
    torch.testing.assert_close(identity_response(2)(x), x)


@pytest.mark.parametrize("method", ["bilinear", "malvar"])
@pytest.mark.parametrize("pattern", range(4))
def test_demosaic_keeps_measured_samples_and_flat_colour(pattern: int, method: str) -> None:
    rgb = torch.rand(2, 3, 12, 10)
    raw = mosaic(rgb, pattern)
    torch.testing.assert_close(mosaic(demosaic(raw, pattern, method), pattern), raw)
    flat = torch.tensor([0.2, 0.5, 0.7]).reshape(1, 3, 1, 1).expand(1, 3, 12, 10)
    inside = demosaic(mosaic(flat, pattern), pattern, method)[..., 2:-2, 2:-2]
    grey = demosaic(mosaic(torch.full_like(flat, 0.3), pattern), pattern, method)
    torch.testing.assert_close(grey, torch.full_like(flat, 0.3))
    torch.testing.assert_close(inside, flat[..., 2:-2, 2:-2])


@pytest.mark.parametrize("method", ["bilinear", "malvar"])
def test_demosaicing_correlates_channels_and_neighbours(method: str) -> None:
    white = torch.randn(1, 3, 256, 256, generator=torch.Generator().manual_seed(0))
    noise = demosaic(mosaic(white), method=method)[0]

    def correlation(a: torch.Tensor, b: torch.Tensor) -> float:
        return float(torch.corrcoef(torch.stack([a.flatten(), b.flatten()]))[0, 1])

    # Malvar's kernels borrow from the other channels, bilinear ones do not.
    between = correlation(noise[0], noise[1])
    assert (between > 0.1) if method == "malvar" else abs(between) < 0.02
    assert correlation(noise[0, :, 1:], noise[0, :, :-1]) > 0.3


def test_smoothing_leaves_the_stated_share_and_coarsens_colour() -> None:
    noise = torch.randn(1, 3, 128, 128, generator=torch.Generator().manual_seed(0)) * 0.1
    one = torch.ones(1)
    done = smooth_noise(noise, 0.8 * one, 3 * one, 0 * one, 0.5 * one, 0.25 * one)
    weights = torch.tensor([0.299, 0.587, 0.114]).reshape(3, 1, 1)
    luma_before, luma = ((x[0] * weights).sum(0) for x in (noise, done))
    assert abs(luma.std() / luma_before.std() - 0.5) < 0.01
    chroma = done[0, 0] - luma

    def neighbour(x: torch.Tensor) -> float:
        return float(torch.corrcoef(torch.stack([x[:, 2:].flatten(), x[:, :-2].flatten()]))[0, 1])

    assert neighbour(chroma) > 0.8
    assert neighbour(luma) < 0.4


def test_coarse_luma_is_left_where_fine_grain_went() -> None:
    """White noise has no correlation at four pixels; the coarse part that is left has."""
    noise = torch.randn(1, 3, 256, 256, generator=torch.Generator().manual_seed(0)) * 0.1
    one = torch.ones(1)
    weights = torch.tensor([0.299, 0.587, 0.114]).reshape(3, 1, 1)

    def luma(share: float) -> torch.Tensor:
        done = smooth_noise(noise, 0.5 * one, one, 0 * one, 0.5 * one, one, share * one, 3 * one)
        return (done[0] * weights).sum(0)

    def at_four(x: torch.Tensor) -> float:
        return float(torch.corrcoef(torch.stack([x[:, 4:].flatten(), x[:, :-4].flatten()]))[0, 1])

    assert abs(at_four(luma(0.0))) < 0.02
    assert at_four(luma(0.6)) > 0.1
    assert abs(luma(0.6).std() / luma(0.0).std() - 1) < 0.01


def test_gaussian_blur_has_the_kernel_s_variance() -> None:
    impulse = torch.zeros(1, 1, 41, 41)
    impulse[..., 20, 20] = 1
    blurred = gaussian_blur(impulse, torch.tensor([[2.5]]))[0, 0]
    offset = torch.arange(41.0) - 20
    assert abs(blurred.sum() - 1) < 1e-5
    assert abs((blurred.sum(0) * offset**2).sum() - 2.5**2) < 0.15


@pytest.mark.parametrize("subsampling", ["4:4:4", "4:2:2", "4:2:0"])
@pytest.mark.parametrize("quality", [40, 75, 95])
def test_jpeg_agrees_with_libjpeg(quality: int, subsampling: str) -> None:
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:64, :80] / 20
    picture = np.stack([np.sin(x + k) * np.cos(y * (k + 1)) for k in range(3)], -1) * 80 + 128
    picture = (picture + rng.normal(0, 6, picture.shape)).clip(0, 255).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "JPEG", quality=quality, subsampling=subsampling)
    libjpeg = np.asarray(Image.open(buffer)).astype(float)
    tensor = torch.from_numpy(picture).permute(2, 0, 1)[None] / 255
    ours = (
        jpeg(tensor, torch.tensor([float(quality)]), subsampling)[0].permute(1, 2, 0).numpy() * 255
    )
    coding_error = np.sqrt(np.mean((libjpeg - picture) ** 2))
    # libjpeg rounds to whole levels at every stage, which moves some coefficients by a step.
    assert np.sqrt(np.mean((ours - libjpeg) ** 2)) < 0.3 * coding_error + 1.0
