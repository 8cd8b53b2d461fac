"""Noise measured on photos alone: level, spectrum and channels come back as they were put in."""

from __future__ import annotations

import pytest
import torch

from aindnet.camera.measured import measure_noise, measure_noise_of_pairs
from aindnet.camera.processing import gaussian_blur


def ramps(count: int, side: int = 256) -> list[torch.Tensor]:
    """Smooth photos of all brightnesses, with a textured third that must not count."""
    photos = []
    for number in range(count):
        ramp = torch.linspace(0.1, 0.9, side).expand(3, side, side).clone()
        ramp = torch.rot90(ramp, number % 4, dims=(1, 2)).clone()
        generator = torch.Generator().manual_seed(number)
        texture = 0.3 * torch.rand(1, side, side // 3, generator=generator)
        ramp[:, :, : side // 3] = (ramp[:, :, : side // 3] + texture - 0.15).clamp(0.05, 0.95)
        photos.append(ramp)
    return photos


def neighbours(noise: torch.Tensor) -> float:
    return float((noise[..., 1:] * noise[..., :-1]).mean() / noise.square().mean())


@pytest.mark.parametrize("paired", [False, True], ids=["noisy alone", "pairs"])
@pytest.mark.parametrize("blur", [0.0, 0.8])
def test_level_spectrum_and_channels_come_back(blur: float, paired: bool) -> None:
    generator = torch.Generator().manual_seed(5)
    slope, intercept = 0.002, 0.0002
    photos = []
    for clean in ramps(6):
        white = torch.randn(1, 3, *clean.shape[1:], generator=generator)
        white[:, 2] = 0.8 * white[:, 1] + 0.6 * white[:, 2]  # blue follows green
        noise = gaussian_blur(white, torch.full((1, 3), blur)) if blur else white
        noise = noise / noise.square().mean(dim=(2, 3), keepdim=True).sqrt()
        photos.append(clean + noise[0] * (slope * clean + intercept).sqrt())
    if paired:
        measured = measure_noise_of_pairs(list(zip(photos, ramps(6), strict=True)))
    else:
        measured = measure_noise(photos)

    grey = torch.full((4, 3, 192, 160), 0.5)
    level = float(measured.level(grey).mean())
    assert level == pytest.approx((slope * 0.5 + intercept) ** 0.5, rel=0.08)
    bright, dark = (float(measured.level(torch.full((1, 3, 1, 1), v)).mean()) for v in (0.9, 0.1))
    assert bright / dark == pytest.approx((0.9 * slope + intercept) ** 0.5 /
                                          (0.1 * slope + intercept) ** 0.5, rel=0.15)  # fmt: skip

    again = measured.sample(grey, generator)
    assert again.shape == grey.shape
    assert float(again.std()) == pytest.approx(level, rel=0.02)
    assert neighbours(again) == pytest.approx(neighbours(noise), abs=0.06)
    green, blue, red = again[:, 1], again[:, 2], again[:, 0]
    assert float((green * blue).mean() / (green.std() * blue.std())) == pytest.approx(0.8, abs=0.06)
    assert float((green * red).mean() / (green.std() * red.std())) == pytest.approx(0.0, abs=0.06)


def test_photos_without_flat_parts_are_refused() -> None:
    with pytest.raises(ValueError, match="add photos"):
        measure_noise([torch.ones(3, 256, 256)])
    with pytest.raises(ValueError, match="neither black nor white"):
        measure_noise_of_pairs([(torch.ones(3, 256, 256), torch.ones(3, 256, 256))])
