"""The network's properties: parameters, sizes, batches, variants."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any, cast

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from aindnet.network import (
    AdaptiveInstanceNorm,
    AINDNet,
    AINDNetConfig,
    InstanceNorm,
    RunningNorm,
    Unnormalized,
    is_transfer_parameter,
    places,
)
from aindnet.network.adaptive_norm import EPSILON
from aindnet.network.colour import told_of_colour
from aindnet.network.places import (
    coarseness,
    credibility,
    found_level,
    noise_share,
    softness,
    without_local_means,
)
from aindnet.network.resampling import pad_to_multiple
from aindnet.network.smoothing import Smoother, for_the_first_look, strength, taken_before

SMALL = AINDNetConfig(
    channels=(8, 12, 16), encoder_blocks=(1, 1, 2), decoder_blocks=(1, 1), modulation_channels=8
)


def seeded(config: AINDNetConfig) -> AINDNet:
    """A network whose every weight, the zeros of the head included, takes part."""
    torch.manual_seed(0)
    network = AINDNet(config).eval()
    with torch.no_grad():
        network.head.weight.normal_(std=0.1)
    return network


def count(network: AINDNet, transfer: bool = False) -> int:
    named = network.named_parameters()
    return sum(p.numel() for name, p in named if not transfer or is_transfer_parameter(name))


def test_parameter_counts_are_the_paper_s() -> None:
    network = AINDNet()
    assert count(network) == 13_764_014
    assert count(network, transfer=True) == 5_188_270
    assert sum(p.numel() for p in network.noise_estimator.parameters()) == 29_675
    modulation = [m for m in network.modules() if isinstance(m, AdaptiveInstanceNorm)]
    assert sum(p.numel() for m in modulation for p in m.parameters()) == 5_158_400


@pytest.mark.parametrize(
    "size", [(1, 1), (2, 3), (3, 5), (4, 4), (7, 8), (8, 8), (17, 9), (40, 33)]
)
@pytest.mark.parametrize("config", [{}, {"unshuffle": 2}, {"resize": "tf1"}], ids=str)
@torch.inference_mode()
def test_any_size_comes_back_at_its_size(size: tuple[int, int], config: dict[str, Any]) -> None:
    network = seeded(replace(SMALL, **config))
    noisy = torch.rand(2, 3, *size)
    out = network(noisy)
    assert out.denoised.shape == out.noise_level.shape == noisy.shape
    assert out.denoised.isfinite().all()
    assert (out.noise_level >= 0).all()


@torch.inference_mode()
def test_images_of_a_batch_do_not_meet() -> None:
    network = seeded(SMALL)
    noisy = torch.rand(3, 3, 24, 32)
    noisy[1] *= 0.1
    together = network(noisy).denoised
    for k in range(3):
        torch.testing.assert_close(together[k : k + 1], network(noisy[k : k + 1]).denoised)


@torch.inference_mode()
def test_memory_layout_does_not_matter() -> None:
    network = seeded(SMALL)
    noisy = torch.rand(2, 3, 24, 40)
    expected = network(noisy).denoised
    strided = torch.rand(2, 24, 3, 40).permute(0, 2, 1, 3)
    strided.copy_(noisy)
    assert not strided.is_contiguous()
    for view in (strided, noisy.contiguous(memory_format=torch.channels_last)):
        torch.testing.assert_close(network(view).denoised, expected)


@pytest.mark.parametrize(
    "change",
    [
        {"one_plus_gamma": False},
        {"coarse_stride": 4},
        {"map_resize": "average"},
        {"scale_modulation_channels": True},
        {"modulation": "concatenate"},
        {"modulation": "gated"},
        {"modulation_stride": 8},
        {"unshuffle": 2, "modulation_stride": 4},
        {"image_channels": 1},
    ],
    ids=str,
)
def test_variants_run_and_learn_from_the_map(change: dict[str, object]) -> None:
    config = replace(SMALL, **change)
    network = seeded(config).train()
    out = network(torch.rand(2, config.image_channels, 32, 32))
    out.denoised.square().mean().backward()
    gradient = network.noise_estimator.conv1.weight.grad
    assert gradient is not None
    assert gradient.abs().max() > 0


def test_without_modulation_the_map_has_no_say() -> None:
    network = seeded(replace(SMALL, modulation="none")).train()
    network(torch.rand(1, 3, 16, 16)).denoised.sum().backward()
    assert network.noise_estimator.conv1.weight.grad is None


def test_the_coarse_map_variant_has_the_same_weights() -> None:
    config = replace(SMALL, padding="replicate")
    fine, coarse = seeded(config), AINDNet(replace(config, modulation_stride=8)).eval()
    with torch.no_grad():
        fine.noise_estimator.conv5.weight.zero_()
    coarse.load_state_dict(fine.state_dict())
    photo = torch.rand(1, 3, 64, 64)
    with torch.inference_mode():
        a, b = fine(photo).denoised, coarse(photo).denoised
    # The map is flat, and so is what is upsampled from it.
    torch.testing.assert_close(a, b, atol=1e-3, rtol=0)


def test_ain_is_its_equation() -> None:
    """AIN(x, n) = x̂·(1 + γ) + β, written again in NumPy for 1×1 maps of constant noise."""
    torch.manual_seed(1)
    module = AdaptiveInstanceNorm(4, hidden=6)
    x, noise = torch.randn(2, 4, 9, 11) * 3 + 2, torch.rand(2, 3, 9, 11)
    with torch.inference_mode():
        maps = module.modulation(noise).numpy()
        ours = module(x, noise).numpy()
    values = x.double().numpy()
    mean = values.mean((2, 3), keepdims=True)
    variance = ((values - mean) ** 2).mean((2, 3), keepdims=True)
    normalised = (values - mean) / np.sqrt(variance + 1e-5)
    expected = normalised * (1 + maps[:, :4]) + maps[:, 4:]
    np.testing.assert_allclose(ours, expected, atol=2e-5)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_statistics_survive_low_precision(dtype: torch.dtype) -> None:
    """A mean far from zero over many pixels, as in bright photos."""
    x = (torch.randn(1, 2, 300, 300, generator=torch.Generator().manual_seed(0)) + 4).to(dtype)
    normalised = InstanceNorm()(x).double()
    assert normalised.mean().abs() < 0.02
    assert abs(normalised.var() - 1) < 0.02


def test_impossible_configurations_are_refused() -> None:
    for change in ({"coarse_stride": 5}, {"unshuffle": 3}, {"unshuffle": 2, "resize": "tf1"}):
        with pytest.raises(ValueError, match=r"must be|is for"):
            replace(SMALL, **change)


@pytest.mark.parametrize(
    "change",
    [
        {"modulation": "AIN"},
        {"resize": "tf"},
        {"map_resize": "nearest"},
        {"channels": (8, 8)},
        {"decoder_blocks": (1, 1, 1)},
    ],
    ids=str,
)
def test_a_misspelt_architecture_is_not_another_one(change: dict[str, Any]) -> None:
    [name] = change
    with pytest.raises(ValueError, match=name):
        replace(SMALL, **change)


def test_borders_that_repeat_are_no_edges() -> None:
    """With zeros beyond the border a flat feature is another one there than inside."""
    for padding, flat in (("zeros", False), ("replicate", True)):
        network = seeded(replace(SMALL, padding=padding))
        for layer in network.modules():
            if isinstance(layer, torch.nn.Conv2d) and layer.in_channels >= 8 < layer.out_channels:
                with torch.inference_mode():
                    out = layer(torch.full((1, layer.in_channels, 9, 9), 0.4))
                assert (float((out - out[..., 4:5, 4:5]).abs().max()) < 1e-5) == flat
    with pytest.raises(ValueError, match="padding"):
        AINDNetConfig(padding="reflect")  # type: ignore[arg-type]


def running(steps: int = 20) -> AINDNet:
    """A small network with running statistics that have followed some batches."""
    torch.manual_seed(0)
    network = AINDNet(replace(SMALL, normalization="running")).train()
    with torch.no_grad():
        network.head.weight.normal_(std=0.1)
        for _ in range(steps):
            network(torch.rand(2, 3, 16, 16))
    return network.eval()


def test_running_statistics_settle_on_the_data_s() -> None:
    torch.manual_seed(0)
    norm = RunningNorm(3).train()
    mean, deviation = torch.tensor([1.0, -2.0, 0.0]), torch.tensor([0.5, 3.0, 1.0])

    def batch() -> torch.Tensor:
        return torch.randn(4, 3, 32, 32) * deviation[:, None, None] + mean[:, None, None]

    for own_batch in (True, False):
        norm.own_batch = own_batch
        for _ in range(600):
            norm(batch())
        assert torch.allclose(norm.mean, mean, atol=0.05)
        assert torch.allclose(norm.variance.sqrt(), deviation, rtol=0.05)
    before = norm.constants()
    x = batch()
    expected = (x - norm.mean[:, None, None]) / (norm.variance[:, None, None] + EPSILON).sqrt()
    assert torch.allclose(norm.eval()(x), expected, atol=1e-4)
    assert torch.equal(norm.constants(), before)


@torch.inference_mode()
def test_with_running_statistics_far_pixels_do_not_meet() -> None:
    """What instance normalization cannot promise: here a change far away changes nothing."""
    noisy = torch.rand(1, 3, 32, 640)
    changed = noisy.clone()
    changed[..., 600:] = 0.0
    near = (0, 16)

    def difference(network: AINDNet) -> float:
        a, b = (network(x).denoised[..., near[0] : near[1]] for x in (noisy, changed))
        return float((a - b).abs().max())

    assert difference(running()) < 1e-6
    assert difference(seeded(SMALL)) > 1e-6


@torch.inference_mode()
def test_running_statistics_keep_how_strong_a_feature_is() -> None:
    norm, instance = RunningNorm(2).eval(), InstanceNorm()
    x = torch.randn(1, 2, 16, 16)
    assert torch.allclose(norm(2 * x), 2 * norm(x))
    assert torch.allclose(instance(2 * x), instance(x), atol=1e-3)


def test_features_far_from_training_s_are_cut_off() -> None:
    network = running()
    for block in network.modules():
        if isinstance(block, RunningNorm):
            block.variance.mul_(1e-4)  # as if training had hardly seen any
    photo = torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(2))
    with torch.inference_mode():
        wild = (network(photo).denoised - photo).abs().max()
        for block in network.modules():
            if isinstance(block, RunningNorm):
                block.limit = 3.0
        tame = (network(photo).denoised - photo).abs().max()
    assert tame < wild / 10
    norm = RunningNorm(2, limit=3.0).eval()
    x = torch.tensor([-9.0, 2.0]).view(1, 2, 1, 1)
    torch.testing.assert_close(norm(x).flatten(), torch.tensor([-3.0, 2.0]), atol=1e-4, rtol=0)
    with pytest.raises(ValueError, match="feature_limit is not for"):
        AINDNetConfig(feature_limit=12)
    with pytest.raises(ValueError, match="above 0"):
        AINDNetConfig(normalization="running", feature_limit=0)


@torch.inference_mode()
def test_without_normalization_a_block_starts_near_the_identity_and_keeps_nothing() -> None:
    torch.manual_seed(0)
    network = AINDNet(replace(SMALL, normalization="none", feature_limit=2.0))
    assert not any(name.endswith((".mean", ".variance")) for name in network.state_dict())
    norms = [m for m in network.modules() if isinstance(m, Unnormalized)]
    x = torch.tensor([-9.0, 1.5]).view(1, 1, 1, 2)
    assert norms
    for norm in norms:
        assert torch.equal(norm.train()(x), x)
        assert torch.equal(norm.eval()(x), torch.tensor([-2.0, 1.5]).view(1, 1, 1, 2))
        assert torch.equal(norm.constants()[0], torch.zeros_like(norm.mean))
        assert torch.allclose(norm.constants()[1] + EPSILON, torch.ones_like(norm.mean))
    block = cast(nn.ModuleList, network.encoder1)[0]
    features = torch.randn(1, SMALL.channels[0], 16, 16)
    change = block(features, torch.full((1, 3, 16, 16), 0.1)) - features
    assert 0 < float(change.std()) < 0.3


def test_running_averages_are_no_transfer_parameters() -> None:
    network = AINDNet(replace(SMALL, normalization="running"))
    buffers = [name for name, _ in network.named_buffers()]
    assert buffers
    assert not any(is_transfer_parameter(name) for name in buffers)


@torch.inference_mode()
def test_a_limit_bounds_what_the_modulation_is_given_and_not_the_estimate() -> None:
    noisy = torch.rand(1, 3, 32, 32)
    free = running()
    level = free(noisy).noise_level
    limited = AINDNet(replace(free.config, map_limit=float(level.max()) / 2)).eval()
    loose = AINDNet(replace(free.config, map_limit=float(level.max()) * 2)).eval()
    for other in (limited, loose):
        other.load_state_dict(free.state_dict())
        assert torch.equal(other(noisy).noise_level, level)
    assert torch.equal(loose(noisy).denoised, free(noisy).denoised)
    assert not torch.allclose(limited(noisy).denoised, free(noisy).denoised)


@torch.inference_mode()
def test_means_are_kept_where_noise_is_weak_and_left_to_the_network_where_it_is_strong() -> None:
    limit, shift = 0.05, 0.02
    fine = 0.01 * torch.randn(1, 3, 96, 128, generator=torch.Generator().manual_seed(0))
    for level, left in ((0.1 * limit, 0.0), (limit, shift / 2), (2.5 * limit, shift)):
        residual = without_local_means(fine + shift, torch.full_like(fine, level), limit)
        assert residual.mean() == pytest.approx(left, abs=3e-4)
        # Of what denoising takes away, noise of single pixels, next to nothing is put back.
        torch.testing.assert_close(residual - left, fine, atol=3e-3, rtol=0)


@torch.inference_mode()
def test_a_network_that_keeps_means_does_not_shift_colours() -> None:
    noisy = 0.5 + 0.01 * torch.randn(1, 3, 96, 128, generator=torch.Generator().manual_seed(0))
    network = seeded(SMALL)
    keeping = AINDNet(replace(SMALL, mean_limit=1e3)).eval()
    keeping.load_state_dict(network.state_dict())
    with torch.no_grad():
        cast(torch.Tensor, network.head.bias).fill_(0.1)
        cast(torch.Tensor, keeping.head.bias).fill_(0.1)
    shifted, kept = network(noisy), keeping(noisy)
    assert (shifted.denoised - noisy).mean().abs() > 0.1
    assert (kept.denoised - noisy).mean().abs() < 0.01
    torch.testing.assert_close(kept.noise_level, shifted.noise_level)


def test_a_limit_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="map_limit"):
        AINDNetConfig(map_limit=0.0)


def test_an_unknown_normalization_is_refused() -> None:
    with pytest.raises(ValueError, match="normalization"):
        AINDNetConfig(normalization="batch")  # type: ignore[arg-type]


def half_passing(limit: float | None) -> AINDNet:
    network = seeded(replace(SMALL, normalization="none", unshuffle=2, half_pass=limit))
    with torch.no_grad():  # changes as small as trained ones are
        network.head.weight.mul_(0.02)
    return network


@torch.inference_mode()
@pytest.mark.parametrize("size", [(64, 96), (33, 50), (5, 7)], ids=str)
def test_the_half_size_pass_is_the_same_network_over_its_own_result(size: tuple[int, int]) -> None:
    noisy = torch.rand(2, 3, *size, generator=torch.Generator().manual_seed(2))
    once, twice = half_passing(None), half_passing(4.0)
    padded = pad_to_multiple(noisy, 32)
    first = once(padded)
    half = F.avg_pool2d(first.denoised, 2)
    change = F.interpolate(once(half).denoised - half, scale_factor=2.0, mode="bilinear")
    share = softness(first.denoised, 4.0) * credibility(change, first.noise_level)
    share = F.interpolate(share, scale_factor=16.0, mode="bilinear")
    expected = (first.denoised + share * change)[..., : size[0], : size[1]]
    found = twice(noisy)
    torch.testing.assert_close(found.denoised, expected, atol=2e-6, rtol=0)
    assert (expected - first.denoised[..., : size[0], : size[1]]).abs().max() > 1e-4
    assert found.noise_level.shape == noisy.shape


@torch.inference_mode()
def test_softness_tells_soft_photos_from_sharp_ones() -> None:
    generator = torch.Generator().manual_seed(0)
    fine = torch.randn(1, 3, 128, 128, generator=generator)
    soft = F.interpolate(fine[..., ::4, ::4], scale_factor=4.0, mode="bicubic")
    for sharp, expected in ((fine, 0.0), (soft, 1.0), (torch.zeros_like(fine), 1.0)):
        share = softness(0.5 + 0.1 * sharp, 0.4)
        assert share.shape == (1, 1, 8, 8)
        assert float((share - expected).abs().max()) < 0.3
    # Detail weaker than a level of 8 bits is none.
    assert float(softness(0.5 + 0.1 / 255 * fine, 0.4).min()) > 0.95


@torch.inference_mode()
def test_a_change_that_noise_cannot_have_left_is_not_believed() -> None:
    change = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    for size, expected in ((0.05, 1.0), (0.25, 0.5), (1.0, 0.0)):
        share = credibility(0.03 * size * change, torch.full_like(change, 0.03))
        assert share.shape == (1, 1, 4, 4)
        assert float((share - expected).abs().max()) < 0.07
    assert credibility(change, torch.zeros_like(change)).max() < 1e-6


def looking(looks: int, half_pass: float | None = None) -> AINDNet:
    network = half_passing(half_pass)
    looking = AINDNet(replace(network.config, looks=looks)).eval()
    looking.load_state_dict(network.state_dict())
    return looking


@torch.inference_mode()
@pytest.mark.parametrize("half_pass", [None, 4.0])
@pytest.mark.parametrize("size", [(64, 96), (33, 50), (5, 7)], ids=str)
def test_a_second_look_is_the_same_network_over_its_own_result_turned(
    size: tuple[int, int], half_pass: float | None
) -> None:
    noisy = torch.rand(2, 3, *size, generator=torch.Generator().manual_seed(2))
    once, twice = looking(1, half_pass), looking(2, half_pass)
    padded = pad_to_multiple(noisy, 16 if half_pass is None else 32)
    first = once(padded)
    second = once(first.denoised.mT)
    shares = [
        F.interpolate(
            noise_share(first.noise_level, second.noise_level.mT, limit),
            scale_factor=16.0,
            mode="bilinear",
        )
        for limit in (1.0, 0.6)
    ]
    change = first.denoised - padded + shares[1] * (second.denoised.mT - first.denoised)
    expected_change = shares[0] * change
    expected = (padded + expected_change)[..., : size[0], : size[1]]
    found = twice(noisy)
    torch.testing.assert_close(found.denoised, expected, atol=2e-6, rtol=0)
    assert (found.denoised - once(noisy).denoised).abs().max() > 1e-4
    level = found_level(
        first.noise_level,
        second.noise_level.mT,
        expected_change,
        noise_share(first.noise_level, second.noise_level.mT, 1.0),
    )
    torch.testing.assert_close(found.noise_level, level[..., : size[0], : size[1]])
    torch.testing.assert_close(found.noise_level_coarse, first.noise_level_coarse)


@torch.inference_mode()
def test_the_noise_level_is_that_of_what_was_taken_and_of_what_is_left() -> None:
    taken = 0.03 * torch.randn(1, 3, 128, 128, generator=torch.Generator().manual_seed(0))
    taken[:, 1] *= 2
    before = torch.full_like(taken, 0.05)
    for left, share, expected in ((0.0, 1.0, 0.03), (0.04, 1.0, 0.05), (0.04, 0.0, 0.03)):
        after, shares = torch.full_like(taken, left), torch.full((1, 1, 8, 8), share)
        level = found_level(before, after, taken, shares)
        assert level.shape == taken.shape
        assert float((level[:, 0] / expected - 1).abs().max()) < 0.15
        assert float(level[:, 1].mean() / math.hypot(0.06, left * share)) == pytest.approx(1, 0.02)
    assert found_level(0 * before, before, taken, shares).isfinite().all()


@torch.inference_mode()
def test_what_looks_as_noisy_as_before_is_texture() -> None:
    before = torch.full((1, 3, 64, 64), 0.03)
    for left, expected in ((0.1, 1.0), (0.3, 1.0), (0.6, 0.5), (1.2, 0.0), (1e6, 0.0)):
        share = noise_share(before, left * before, 0.6)
        assert share.shape == (1, 1, 4, 4)
        assert float((share - expected).abs().max()) < 0.01
    assert noise_share(0 * before, before, 0.6).isfinite().all()


def test_a_second_look_is_for_constant_statistics() -> None:
    with pytest.raises(ValueError, match="looks=2"):
        AINDNetConfig(looks=2)
    with pytest.raises(ValueError, match="1 or 2"):
        AINDNetConfig(normalization="none", looks=4)


def smoothing(**change: Any) -> AINDNet:
    config = replace(SMALL, normalization="none", unshuffle=2, smoothing=True)
    network = seeded(replace(config, **change))
    with torch.no_grad():
        for trunk in (network, cast(Smoother, network.smoother)):
            trunk.head.weight.normal_(std=0.02)
        for name, parameter in network.named_parameters():
            if "gamma_beta.weight" in name:
                parameter.normal_(std=0.1)
    return network


def cells(values: torch.Tensor) -> torch.Tensor:
    return F.interpolate(values, scale_factor=16.0, mode="bilinear")


@torch.inference_mode()
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("half_pass", [None, 4.0])
@pytest.mark.parametrize("size", [(64, 96), (33, 50), (5, 7)], ids=str)
def test_the_smoother_is_told_what_the_first_look_found(
    size: tuple[int, int], half_pass: float | None, channels: int
) -> None:
    network = smoothing(image_channels=channels, half_pass=half_pass)
    noisy = torch.rand(2, channels, *size, generator=torch.Generator().manual_seed(2))
    padded = pad_to_multiple(noisy, 16 if half_pass is None else 32)
    once = AINDNet(replace(network.config, smoothing=False)).eval()
    once.load_state_dict(network.state_dict(), strict=False)
    first = once(padded)
    before, after = first.noise_level, once(first.denoised).noise_level
    noise, luma = coarseness(first.denoised - padded)
    coarse = for_the_first_look(noise, before)
    assert network.smoother is not None
    alone = first.denoised - padded
    taken = cells(taken_before(coarse, before)) * alone  # white noise is left for the smoother
    told = cells(strength(coarse, luma, before)) * before
    seen = padded + taken
    assert (network.smoother(seen, told) - network.smoother(seen, 0 * told)).abs().max() > 1e-4
    taken = taken + network.smoother(seen, told)
    assert (taken - alone).abs().max() > 1e-3
    taken = alone + cells(noise_share(before, after, 0.6 + 0.4 * coarse)) * (taken - alone)
    share = noise_share(before, after, 0.9 + 0.5 * coarse)
    taken = taken * cells(share)
    found = network(noisy)
    expected = (padded + taken)[..., : size[0], : size[1]]
    torch.testing.assert_close(found.denoised, expected, atol=2e-6, rtol=0)
    level = found_level(before, after, taken, share)
    torch.testing.assert_close(found.noise_level, level[..., : size[0], : size[1]])


@torch.inference_mode()
def test_coarse_noise_is_told_from_white_noise() -> None:
    white = 0.03 * torch.randn(1, 3, 128, 128, generator=torch.Generator().manual_seed(0))
    coarse = F.interpolate(white[..., ::2, ::2], scale_factor=2.0)
    grey = coarse[:, :1].expand(-1, 3, -1, -1)  # no colour was taken: luma alone counts
    colour = coarse - coarse.mean(dim=1, keepdim=True)
    fine_luma = colour + white.mean(dim=1, keepdim=True)
    for noise, expected, of_luma in (
        (white, 0.0, 0.0),
        (coarse, 1.0, 1.0),
        (grey, 1.0, 1.0),  # no colour was taken: luma alone counts
        (fine_luma, 1.0, 0.0),
        (coarse[:, :1], 1.0, 1.0),
        (0 * white, 0.0, 0.0),
    ):
        for found, right in zip(coarseness(noise), (expected, of_luma), strict=True):
            assert found.shape == (1, 1, 8, 8)
            assert float((found - right).abs().max()) < 0.15


def test_the_smoother_is_told_more_where_noise_is_weak() -> None:
    coarse = torch.tensor([0.0, 1.0, 1.0, 1.0, 0.5])
    luma = torch.tensor([1.0, 0.0, 0.5, 1.0, 1.0])
    coarse, luma = (values.view(-1, 1, 1, 1) for values in (coarse, luma))
    for level, expected in (
        (9 / 255, [1.0, 0.7, 0.7, 0.7, 0.85]),
        (6 / 255, [1.0, 1.35, 1.6, 1.85, 1.425]),
        (3 / 255, [1.0, 2.0, 2.5, 3.0, 2.0]),
    ):
        found = strength(coarse, luma, torch.full((5, 3, 16, 16), level))
        torch.testing.assert_close(found.flatten(), torch.tensor(expected))


def test_of_weak_noise_of_cameras_the_smoother_sees_a_part() -> None:
    coarse = torch.tensor([0.0, 0.5, 1.0]).view(3, 1, 1, 1)
    for level, share in ((9 / 255, 1.0), (6 / 255, 0.85), (3 / 255, 0.7)):
        found = taken_before(coarse, torch.full((3, 3, 16, 16), level))
        torch.testing.assert_close(found, share * coarse)


def test_loud_noise_is_the_first_look_s_whatever_it_is() -> None:
    white = torch.zeros(1, 1, 4, 4)
    for level, expected in ((0.05, 0.0), (0.12, 0.0), (0.16, 0.5), (0.3, 1.0)):
        found = for_the_first_look(white, torch.full((1, 3, 64, 64), level))
        torch.testing.assert_close(found, torch.full((1, 1, 4, 4), expected))
    assert (for_the_first_look(white + 0.7, torch.zeros(1, 3, 64, 64)) == 0.7).all()


@torch.inference_mode()
def test_what_the_smoother_takes_follows_the_level_that_it_is_told() -> None:
    smoother = cast(Smoother, smoothing(map_limit=0.1).smoother)
    photo = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    changes = [smoother(photo, torch.full_like(photo, level)) for level in (0.02, 0.1, 0.2)]
    assert (changes[0] - changes[1]).abs().max() > 1e-5
    torch.testing.assert_close(changes[1], changes[2])  # no more than `map_limit`


@torch.inference_mode()
@pytest.mark.parametrize("size", [(64, 96), (33, 50), (5, 7)], ids=str)
def test_the_colour_pass_takes_colour_from_the_smoother_s_result(
    size: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(places, "COARSE", (-2.0, -1.0))  # all noise counts as a camera's
    network = smoothing(colour_pass=True, half_pass=4.0)
    before = AINDNet(replace(network.config, colour_pass=False)).eval()
    before.load_state_dict(network.state_dict())
    random = torch.Generator().manual_seed(2)
    photo = torch.rand(1, 3, *size, generator=random)
    padded = pad_to_multiple(photo, 32)
    once = AINDNet(replace(network.config, colour_pass=False, smoothing=False)).eval()
    once.load_state_dict(network.state_dict(), strict=False)
    first = once(padded)
    taken = first.denoised - padded
    share_of_all = cells(noise_share(first.noise_level, once(first.denoised).noise_level, 1.4))
    smoothed, found = before(photo), network(photo)
    change = found.denoised - smoothed.denoised
    assert change.abs().max() > 1e-3
    assert change.mean(dim=1).abs().max() < 1e-6  # brightness stays
    # Before texture is put back.
    whole = padded + (before(padded).denoised - padded) / share_of_all
    told = told_of_colour(taken, first.noise_level)
    assert network.smoother is not None
    small = network.smoother(F.avg_pool2d(whole, 4), told)
    small = F.interpolate(
        small - small.mean(dim=1, keepdim=True), scale_factor=4.0, mode="bilinear"
    )
    share = share_of_all * cells(credibility(small, first.noise_level, 0.3))
    expected = (share * small)[..., : size[0], : size[1]]
    torch.testing.assert_close(change, expected, atol=1e-5, rtol=0)


@torch.inference_mode()
def test_the_colour_pass_is_told_what_a_quarter_of_the_size_leaves() -> None:
    random = torch.Generator().manual_seed(0)
    white = 0.03 * torch.randn(1, 3, 128, 128, generator=random)
    coarse = F.interpolate(white[..., ::8, ::8], scale_factor=8.0)
    level = torch.full_like(white, 0.02)
    grey = white.mean(dim=1, keepdim=True).expand_as(white)
    for taken, share in ((white, 0.25), (coarse, 1.0), (coarse + 3 * grey, 1.0)):
        told = told_of_colour(taken, level)
        assert told.shape == (1, 3, 32, 32)
        assert float(told.mean()) == pytest.approx(2.4 * share**3 * 0.02, rel=0.05)
    assert told_of_colour(0 * white, level).isfinite().all()
    assert torch.equal(told_of_colour(white, 0 * level), torch.zeros(1, 3, 32, 32))


def test_the_colour_pass_is_a_smoother_s_of_colour_photos() -> None:
    for wrong in ({"smoothing": False}, {"image_channels": 1}):
        with pytest.raises(ValueError, match="with smoothing"):
            AINDNetConfig(
                **{"normalization": "none", "smoothing": True, "colour_pass": True} | wrong
            )


def test_smoothing_is_in_place_of_a_second_look() -> None:
    with pytest.raises(ValueError, match="in place of"):
        AINDNetConfig(normalization="none", looks=2, smoothing=True)
    with pytest.raises(ValueError, match="smoothing are not"):
        AINDNetConfig(smoothing=True)


def test_transfer_moves_nothing_of_the_smoother() -> None:
    for name in ("encoder1.0.norm1.conv.weight", "head.bias"):
        assert is_transfer_parameter(name)
        assert not is_transfer_parameter(f"smoother.{name}")


def test_a_half_size_pass_is_for_constant_statistics() -> None:
    with pytest.raises(ValueError, match="half_pass"):
        AINDNetConfig(half_pass=0.4)
    with pytest.raises(ValueError, match="half_pass"):
        AINDNetConfig(normalization="none", half_pass=0.0)
