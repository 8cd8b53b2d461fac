"""What a smoother is asked for."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest
import torch

from aindnet.network import AINDNet, AINDNetConfig
from aindnet.network.smoothing import Smoother
from aindnet.training import smoothing
from aindnet.training.data import Batch
from aindnet.training.recipe import TrainingRecipe
from aindnet.training.smoothing import (
    HIGHEST,
    SmoothingData,
    SmoothingTask,
    mean_under_dither,
    restored,
    smoothing_batch,
)

SMALL = AINDNetConfig(
    channels=(8, 12, 16), encoder_blocks=(1, 1, 1), decoder_blocks=(1, 1), modulation_channels=8,
    normalization="none", unshuffle=2,
)  # fmt: skip


def batch(level: float, images: int = 8) -> Batch:
    clean = torch.full((images, 3, 64, 64), 0.5)
    noise = level * torch.randn(clean.shape, generator=torch.Generator().manual_seed(1))
    return Batch(clean + noise, clean, torch.full_like(clean, level), "synthetic")


def test_half_are_under_white_noise_of_the_told_level() -> None:
    made = smoothing_batch(batch(0.02, 64), torch.Generator().manual_seed(0))
    noise = (made.photos - made.clean)[32:]
    told = made.told[32:]
    assert torch.equal(told, told[:, :1, :1, :1].expand_as(told))
    ratio = noise.std(dim=(1, 2, 3)) / told[:, 0, 0, 0]
    torch.testing.assert_close(ratio, torch.ones(32), atol=0.04, rtol=0)
    assert told.min() < 0.01
    assert told.max() > 0.08


def test_of_the_others_noise_some_is_left_and_the_level_is_told_all_the_same() -> None:
    made = smoothing_batch(batch(0.02, 64), torch.Generator().manual_seed(0))
    left = (made.photos - made.clean)[:32].std(dim=(1, 2, 3)) / 0.02
    assert float(left.max()) <= 0.63
    assert 2 <= int((left == 0).sum()) <= 16
    told = made.told[:32, 0, 0, 0]
    assert 0.3 * 0.02 <= float(told.min()) < float(told.max()) <= 2.5 * 0.02
    dither = made.dither.std(dim=(1, 2, 3))
    torch.testing.assert_close(dither / told, torch.ones(32), atol=0.04, rtol=0)
    together = torch.hypot(told, left * 0.02)
    torch.testing.assert_close(made.dithered[:, 0, 0, 0], together, atol=1e-3, rtol=0)


def test_no_level_is_higher_than_maps_tell() -> None:
    made = smoothing_batch(batch(0.9), torch.Generator().manual_seed(0))
    assert float(made.told.max()) == HIGHEST
    assert float(made.dither.std(dim=(1, 2, 3)).max()) < 1.1 * HIGHEST


def test_a_batch_is_a_function_of_its_seed() -> None:
    first, again = (smoothing_batch(batch(0.02), torch.Generator().manual_seed(3)) for _ in "ab")
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))


def test_its_draws_are_not_those_that_made_the_photos(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = SmoothingData(TrainingRecipe(name="s", data=(tmp_path,)))
    monkeypatch.setattr(data, "make", lambda step, device: None)
    monkeypatch.setattr(smoothing, "smoothing_batch", lambda batch, generator, highest: generator)
    generator = data.transfer_batch_to_device(5, torch.device("cpu"), 0)
    of_the_photos = torch.Generator().manual_seed(data.seed_of(5))
    drawn, before = (torch.rand(8, generator=each) for each in (generator, of_the_photos))
    assert not torch.isclose(drawn, before).any()


@torch.inference_mode()
def test_the_mean_under_dither_is_that_of_the_noise_and_its_negative() -> None:
    torch.manual_seed(0)
    smoother = Smoother(SMALL).eval()
    smoother.head.weight.normal_(std=0.1)
    for name, parameter in smoother.named_parameters():
        if "gamma_beta.weight" in name:
            parameter.normal_(std=0.1)
    made = smoothing_batch(batch(0.05), torch.Generator().manual_seed(0))
    photos = made.photos[:4]
    mean = mean_under_dither(smoother, photos, made.dither, made.dithered)
    each = [restored(smoother, photos + s * made.dither, made.dithered) for s in (1, -1)]
    other = mean_under_dither(smoother, photos, made.dither, made.told[:4])
    assert (other - mean).abs().max() > 1e-5  # the level counts
    torch.testing.assert_close(mean, ((each[0] + each[1]) / 2).clamp(0, 1))
    # A network that changes nothing gives the photos back: the noise itself cancels.
    still = Smoother(replace(SMALL, image_channels=3))
    torch.testing.assert_close(mean_under_dither(still, photos, made.dither, made.dithered), photos)


def test_the_loss_is_that_of_both_halves(tmp_path: Path) -> None:
    recipe = TrainingRecipe(
        name="s", data=(tmp_path,), network=replace(SMALL, smoothing=True), loss="relative_l1"
    )
    network = AINDNet(recipe.network)
    task = SmoothingTask(recipe, network)
    task.log_dict = lambda parts: None  # there is no trainer
    made = smoothing_batch(batch(0.02), torch.Generator().manual_seed(0))
    # A smoother that changes nothing: under dither it is right, under white noise not at all.
    noise = (made.photos - made.clean)[4:].abs().mean(dim=(1, 2, 3))
    expected = (noise / (made.told[4:].mean(dim=(1, 2, 3)) + 10 / 255)).mean()
    loss = task.training_step(made, 0)
    torch.testing.assert_close(loss, expected, atol=1e-4, rtol=0)
    loss.backward()
    assert cast(Smoother, network.smoother).head.weight.grad.abs().max() > 0
    assert all(p.grad is None for n, p in network.named_parameters() if "smoother" not in n)
    before = task.teacher.head.weight.clone()
    with torch.no_grad():
        cast(Smoother, network.smoother).head.weight.add_(1.0)
    task.on_train_batch_end()
    torch.testing.assert_close(task.teacher.head.weight, before + 0.95)  # the first step's decay
