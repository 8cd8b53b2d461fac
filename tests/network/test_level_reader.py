"""What a level reader sees of a photo, and what it may change."""

from __future__ import annotations

import pytest
import torch

from aindnet.network import AINDNetConfig
from aindnet.network.level_reader import LevelReader, measures_of
from aindnet.network.places import MeasuredLevels
from restore_networks import small_network


def levels_like(photo: torch.Tensor, level: float = 0.02) -> MeasuredLevels:
    cells = torch.full((*photo.shape[:2], photo.shape[2] // 16, photo.shape[3] // 16), level)
    return MeasuredLevels(cells, 0.5 * cells, 0.9 * cells)


@torch.inference_mode()
def test_white_noise_is_as_strong_in_every_octave_and_coarse_noise_is_not() -> None:
    generator = torch.Generator().manual_seed(0)
    photo = torch.full((1, 3, 128, 128), 0.5)
    white = 0.02 * torch.randn(photo.shape, generator=generator)
    coarse = torch.nn.functional.interpolate(white[..., ::4, ::4], scale_factor=4.0)
    levels = levels_like(photo)

    def octaves(residual: torch.Tensor) -> list[float]:
        measures = measures_of(photo, residual, levels)
        return [float(measures[:, first : first + 3].mean()) for first in (1, 4, 7, 10)]

    expected = torch.tensor((0.02 * 255 + 0.25) / 4).log() / 1.5
    assert octaves(white) == pytest.approx([float(expected)] * 4, abs=0.05)
    finest, *_, coarsest = octaves(coarse)
    assert coarsest - finest > 0.8


@torch.inference_mode()
@pytest.mark.parametrize("channels", [1, 3])
def test_measures_are_of_unit_size_from_no_noise_to_loud(channels: int) -> None:
    photo = torch.rand(2, channels, 48, 64, generator=torch.Generator().manual_seed(0))
    for level in (0.0, 0.3):
        residual = level * torch.randn(photo.shape, generator=torch.Generator().manual_seed(1))
        measures = measures_of(photo, residual, levels_like(photo, level))
        assert measures.shape == (2, 11 * channels + 1, 3, 4)
        assert float(measures.abs().max()) < 4


@torch.inference_mode()
def test_untrained_it_changes_nothing_and_never_more_than_fourfold() -> None:
    reader, photo = LevelReader(3), torch.rand(1, 3, 32, 32)
    levels = levels_like(photo)
    read = reader(photo, 0.02 * torch.randn(photo.shape), levels)
    torch.testing.assert_close(read.taken, levels.taken)
    for bias, factor in ((100.0, 4.0), (-100.0, 0.25)):
        reader.conv3.bias.fill_(bias)
        read = reader(photo, -photo, levels)
        torch.testing.assert_close(read.taken, factor * levels.taken)
        assert torch.equal(read.before, levels.before)


@torch.inference_mode()
@pytest.mark.parametrize("passes", [{"looks": 2}, {"smoothing": True}], ids=str)
def test_the_photo_is_denoised_as_without(passes: dict[str, object]) -> None:
    reading = small_network(normalization="none", unshuffle=2, level_reader=True, **passes)
    plain = small_network(normalization="none", unshuffle=2, **passes)
    plain.load_state_dict(reading.state_dict(), strict=False)
    noisy = torch.rand(2, 3, 40, 33, generator=torch.Generator().manual_seed(2))
    found, expected = reading(noisy), plain(noisy)
    assert torch.equal(found.denoised, expected.denoised)
    assert float((found.noise_level / expected.noise_level).log().abs().mean()) > 0.02


def test_it_is_for_networks_that_measure_the_level() -> None:
    with pytest.raises(ValueError, match="level_reader is with"):
        AINDNetConfig(normalization="none", level_reader=True)
