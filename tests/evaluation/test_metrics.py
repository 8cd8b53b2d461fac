"""Metrics against independent implementations and against the formulas written out again."""

import math
from itertools import product

import numpy as np
import pytest
import torch
from scipy.signal import convolve2d
from skimage.metrics import peak_signal_noise_ratio, structural_similarity
from torchmetrics.functional.image import peak_signal_noise_ratio as torch_psnr
from torchmetrics.functional.image import structural_similarity_index_measure as torch_ssim

from aindnet.evaluation import metrics


def photo_pair(shape, sigma=12.0, seed=0):
    random = np.random.default_rng(seed)
    rows, columns = np.mgrid[0 : shape[0], 0 : shape[1]]
    smooth = 120 + 60 * np.sin(rows / 9) + 50 * np.cos(columns / 13)
    clean = smooth if len(shape) == 2 else np.stack([smooth, smooth * 0.8, 255 - smooth], axis=-1)
    noisy = clean + random.normal(0, sigma, shape)
    return (np.clip(np.rint(image), 0, 255).astype(np.uint8) for image in (noisy, clean))


SHAPES = [(48, 61), (48, 61, 3)]


@pytest.mark.parametrize("shape", SHAPES)
def test_psnr_agrees_with_scikit_image_and_torchmetrics(shape):
    noisy, clean = photo_pair(shape)
    ours = metrics.psnr(noisy, clean)
    assert ours == pytest.approx(peak_signal_noise_ratio(clean, noisy, data_range=255), abs=1e-9)
    tensors = [torch.from_numpy(image.astype(np.float64)) for image in (noisy, clean)]
    assert ours == pytest.approx(float(torch_psnr(*tensors, data_range=255.0)), abs=1e-4)


@pytest.mark.parametrize("shape", SHAPES)
def test_ssim_agrees_with_scikit_image_and_torchmetrics(shape):
    noisy, clean = photo_pair(shape)
    ours = metrics.ssim(noisy, clean)
    channel_axis = -1 if len(shape) == 3 else None
    by_skimage = structural_similarity(
        clean, noisy, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, data_range=255,
        channel_axis=channel_axis,
    )  # fmt: skip
    assert ours == pytest.approx(by_skimage, abs=1e-9)

    def batch(image):
        planes = image[None] if image.ndim == 2 else image.transpose(2, 0, 1)
        return torch.from_numpy(planes.astype(np.float64))[None]

    # torchmetrics averages windows over reflected borders too; the contract leaves those out.
    _, similarity = torch_ssim(
        batch(noisy), batch(clean), sigma=1.5, data_range=255.0, return_full_image=True
    )
    assert ours == pytest.approx(float(similarity[..., 5:-5, 5:-5].mean()), abs=1e-6)


def wang_ssim(x, y):
    """ssim_index.m written out: 11×11 Gaussian window, valid windows only."""
    x, y = x.astype(np.float64), y.astype(np.float64)
    taps = np.exp(-np.square(np.arange(-5, 6)) / (2 * 1.5**2))
    window = np.outer(taps, taps) / taps.sum() ** 2

    def local_mean(image):
        return convolve2d(image, window, mode="valid")

    mx, my = local_mean(x), local_mean(y)
    vx, vy, cov = local_mean(x * x) - mx**2, local_mean(y * y) - my**2, local_mean(x * y) - mx * my
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    return np.mean((2 * mx * my + c1) * (2 * cov + c2) / ((mx**2 + my**2 + c1) * (vx + vy + c2)))


def test_ssim_is_wangs_formula_per_channel():
    noisy, clean = photo_pair((40, 52, 3))
    expected = np.mean([wang_ssim(noisy[..., c], clean[..., c]) for c in range(3)])
    assert metrics.ssim(noisy, clean) == pytest.approx(expected, abs=1e-9)


def random_pair(shape=(27, 34, 3), seed=0):
    """Colour images whose channels and borders have nothing in common, on [0, 1] and beyond."""
    random = np.random.default_rng(seed)
    clean = random.integers(0, 256, shape, dtype=np.uint8)
    restored = clean / 255 + random.normal(0, (0.05, 0.1, 0.2), shape)
    assert restored.min() < 0
    assert restored.max() > 1
    return restored, clean


def rounded(image):
    return np.clip(np.rint(image * 255), 0, 255).astype(np.uint8)


def exact_grey(image):
    """MATLAB's rgb2gray of a uint8 image in whole numbers, halves rounded up."""
    red, green, blue = np.moveaxis(image.astype(np.int64), -1, 0)
    return ((2989 * red + 5870 * green + 1140 * blue + 5000) // 10000).astype(np.float64)


def windows_by_torchmetrics(x, y, span=255.0):
    """torchmetrics' SSIM of planes or volumes (..., D, H, W), whole windows only, averaged."""
    tensors = [torch.from_numpy(np.ascontiguousarray(image))[None] for image in (x, y)]
    _, similarity = torch_ssim(*tensors, sigma=1.5, data_range=span, return_full_image=True)
    inner = (..., *(slice(5, -5) for _ in range(similarity.ndim - 2)))
    return float(similarity[inner].mean())


def test_psnr_float_agrees_with_scikit_image_torchmetrics_and_its_formula():
    restored, clean = random_pair()
    clipped = np.clip(restored, 0, 1)
    ours = metrics.psnr_float(restored, clean)
    by_skimage = peak_signal_noise_ratio(clean / 255, clipped, data_range=1)
    by_torch = torch_psnr(
        torch.from_numpy(clipped), torch.from_numpy(clean / 255), data_range=(0.0, 1.0)
    )
    errors = (clipped - clean / 255).ravel()
    assert ours == pytest.approx(by_skimage, abs=1e-9)
    assert ours == pytest.approx(float(by_torch), abs=1e-5)
    assert ours == pytest.approx(-10 * math.log10(errors @ errors / errors.size), abs=1e-9)
    assert abs(ours - metrics.psnr(restored, clean)) > 1e-5


def test_psnr_luma_agrees_with_scikit_image_torchmetrics_and_its_formula():
    restored, clean = random_pair()
    ours = metrics.psnr_luma(restored, clean)
    x, y = exact_grey(rounded(restored)), exact_grey(clean)
    by_torch = torch_psnr(torch.from_numpy(x), torch.from_numpy(y), data_range=255.0)
    squares = sum((int(a) - int(b)) ** 2 for a, b in zip(x.flat, y.flat, strict=True))
    assert ours == pytest.approx(peak_signal_noise_ratio(y, x, data_range=255), abs=1e-9)
    assert ours == pytest.approx(float(by_torch), abs=1e-4)
    assert ours == pytest.approx(10 * math.log10(255**2 * x.size / squares), abs=1e-9)
    assert abs(ours - metrics.psnr(restored, clean)) > 0.1


def test_ssim_float_agrees_with_torchmetrics_and_wangs_formula():
    restored, clean = random_pair()
    x, y = np.clip(restored, 0, 1), clean / 255
    ours = metrics.ssim_float(restored, clean)
    by_wang = np.mean([wang_ssim(255 * x[..., c], 255 * y[..., c]) for c in range(3)])
    by_torch = windows_by_torchmetrics(x.transpose(2, 0, 1), y.transpose(2, 0, 1), 1.0)
    assert ours == pytest.approx(by_wang, abs=1e-9)
    assert ours == pytest.approx(by_torch, abs=1e-7)
    assert abs(ours - metrics.ssim(restored, clean)) > 1e-6


def test_ssim_grey_agrees_with_torchmetrics_and_wangs_formula_on_matlabs_grey():
    restored, clean = random_pair()
    x, y = exact_grey(rounded(restored)), exact_grey(clean)
    ours = metrics.ssim_grey(restored, clean)
    assert ours == pytest.approx(wang_ssim(x, y), abs=1e-9)
    assert ours == pytest.approx(windows_by_torchmetrics(x[None], y[None]), abs=1e-7)
    assert abs(ours - metrics.ssim(restored, clean)) > 1e-3


def test_matlab_toolbox_ssim_replicates_borders_and_averages_every_pixel():
    restored, clean = random_pair()
    x, y = (np.pad(exact_grey(image), 5, mode="edge") for image in (rounded(restored), clean))
    ours = metrics.ssim_matlab_grey(restored, clean)
    assert ours == pytest.approx(wang_ssim(x, y), abs=1e-9)
    assert ours == pytest.approx(windows_by_torchmetrics(x[None], y[None]), abs=1e-7)
    assert abs(ours - metrics.ssim_grey(restored, clean)) > 1e-4


def volume_ssim(x, y):
    """The toolbox's SSIM of a volume: an 11×11×11 window at every voxel, borders replicated."""
    taps = np.exp(-np.square(np.arange(-5, 6)) / (2 * 1.5**2))
    taps /= taps.sum()
    rows, columns, depth = x.shape

    def local_mean(image):
        padded = np.pad(image.astype(np.float64), 5, mode="edge")
        mean = np.zeros(image.shape)
        for i, j, k in product(range(11), repeat=3):
            part = padded[i : i + rows, j : j + columns, k : k + depth]
            mean += taps[i] * taps[j] * taps[k] * part
        return mean

    x, y = x.astype(np.float64), y.astype(np.float64)
    mx, my = local_mean(x), local_mean(y)
    vx, vy = local_mean(x * x) - mx**2, local_mean(y * y) - my**2
    covariance = local_mean(x * y) - mx * my
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    luminance = (2 * mx * my + c1) / (mx**2 + my**2 + c1)
    return np.mean(luminance * (2 * covariance + c2) / (vx + vy + c2))


def test_matlab_volume_ssim_agrees_with_torchmetrics_scikit_image_and_its_formula():
    restored, clean = random_pair()
    ours = metrics.ssim_matlab_volume(restored, clean)
    assert ours == pytest.approx(volume_ssim(rounded(restored), clean), abs=1e-9)
    x, y = (
        np.pad(image.astype(np.float64), 5, mode="edge") for image in (rounded(restored), clean)
    )
    by_skimage = structural_similarity(
        x, y, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, data_range=255
    )
    assert ours == pytest.approx(by_skimage, abs=1e-9)
    assert ours == pytest.approx(windows_by_torchmetrics(x[None], y[None]), abs=1e-7)


def test_matlab_volume_ssim_of_three_equal_channels_is_that_of_one():
    noisy, clean = photo_pair((30, 34))
    volumes = [np.repeat(image[..., None], 3, axis=2) for image in (noisy, clean)]
    assert metrics.ssim_matlab_volume(*volumes) == pytest.approx(
        metrics.ssim_matlab_grey(noisy, clean), abs=1e-9
    )


def test_matlab_volume_ssim_mixes_channels():
    noisy, clean = photo_pair((30, 34, 3))
    assert abs(metrics.ssim_matlab_volume(noisy, clean) - metrics.ssim(noisy, clean)) > 1e-3


def test_the_contract_rounds_before_it_measures():
    clean = np.full((16, 16), 100, np.uint8)
    restored = np.full((16, 16), 100.4 / 255, np.float32)
    assert metrics.psnr(restored, clean) == math.inf
    assert metrics.psnr_float(restored, clean) == pytest.approx(
        20 * math.log10(255 / 0.4), abs=1e-3
    )


def test_values_outside_the_range_are_clipped():
    clean = np.full((16, 16), 255, np.uint8)
    restored = np.full((16, 16), 1.7, np.float32)
    assert metrics.psnr(restored, clean) == metrics.psnr_float(restored, clean) == math.inf


def test_sixteen_bits_are_read_on_their_own_scale():
    noisy, clean = photo_pair((20, 20))
    as_sixteen = noisy.astype(np.uint16) * 257
    assert metrics.psnr(as_sixteen, clean) == metrics.psnr(noisy, clean)


def test_psnr_takes_one_mean_over_pixels_and_channels():
    clean = np.zeros((8, 8, 3), np.uint8)
    restored = clean.copy()
    restored[..., 0] = 10
    assert metrics.psnr(restored, clean) == pytest.approx(10 * math.log10(255**2 / (100 / 3)))


def test_an_image_smaller_than_the_window_has_no_ssim():
    image = np.zeros((10, 40), np.uint8)
    assert math.isnan(metrics.ssim(image, image))


@pytest.mark.parametrize("name", metrics.METRICS)
def test_every_metric_prefers_the_less_noisy_image_and_refuses_other_shapes(name):
    metric = metrics.METRICS[name]
    noisy, clean = photo_pair((32, 32, 3), sigma=25)
    better, _ = photo_pair((32, 32, 3), sigma=5)
    assert metric(better, clean) > metric(noisy, clean)
    with pytest.raises(ValueError, match="different shapes"):
        metric(noisy[:31], clean)


def test_integers_of_unknown_range_are_refused():
    with pytest.raises(TypeError, match="int64"):
        metrics.psnr(np.zeros((8, 8), np.int64), np.zeros((8, 8), np.uint8))
