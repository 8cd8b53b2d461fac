"""Measures that pyiqa takes: how it is called, and what is said where it cannot."""

import sys
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from aindnet.errors import AindnetError, MissingExtraError
from aindnet.evaluation import perceptual
from aindnet.evaluation.datasets import open_dataset
from aindnet.evaluation.methods import Noisy
from aindnet.evaluation.perceptual import MetricFailedError, UnknownMetricError, find_metric
from aindnet.evaluation.runner import evaluate
from evaluation_stand_ins import save, smooth_photo, with_noise


class FakeMeasure:
    """The interface of pyiqa's InferenceModel, as of 0.1.16."""

    def __init__(self, name):
        print(f"Loading pretrained model {name}")  # as pyiqa does, on stdout
        self.metric_mode = "NR" if name == "niqe" else "FR"

    def __call__(self, target, ref=None):
        for image in (target, ref):
            if image is not None:
                assert image.ndim == 4
                assert image.shape[1] == 3
                assert image.dtype == torch.float32
                assert image.min() >= 0
                assert image.max() <= 1
        if self.metric_mode == "FR":
            return (target - ref).abs().mean().reshape(1)
        if min(target.shape[-2:]) < 20:
            raise AssertionError("image is too small")
        return target.mean().reshape(1, 1)


def create_metric(name, *, device):
    if name == "musiq":
        raise OSError("no network")
    return FakeMeasure(name)


@pytest.fixture
def pyiqa(monkeypatch):
    fake = SimpleNamespace(
        list_models=lambda: ["fid", "lpips", "lpips+", "musiq", "niqe"], create_metric=create_metric
    )
    monkeypatch.setitem(sys.modules, "pyiqa", fake)
    perceptual._pyiqa_metric.cache_clear()
    yield fake
    perceptual._pyiqa_metric.cache_clear()


def test_a_full_reference_measure_sees_both_images(pyiqa, capsys):
    clean = smooth_photo()
    noisy = with_noise(clean, 10)
    expected = np.abs(noisy.astype(float) - clean).mean() / 255
    for name in ("lpips", "lpips+"):
        assert find_metric(name)(noisy, clean) == pytest.approx(expected, rel=1e-4)
    assert capsys.readouterr().out == ""  # stdout is for the results


def test_a_no_reference_measure_sees_the_restored_image_and_grey_as_three_channels(pyiqa):
    grey = smooth_photo()[..., 0]
    assert find_metric("niqe")(grey, grey) == pytest.approx(grey.mean() / 255, rel=1e-4)


@pytest.mark.parametrize(
    ("name", "said"),
    [("musiq", "weights are not here"), ("fid", "sets of images"), ("vibes", "neither pyiqa's")],
)
def test_a_measure_that_cannot_be_had_is_named(pyiqa, name, said):
    with pytest.raises(UnknownMetricError, match=said):
        find_metric(name)


def test_an_image_that_it_refuses_is_the_image_s_failure(pyiqa):
    small = smooth_photo(12, 12)
    with pytest.raises(MetricFailedError, match=r"niqe.*too small"):
        find_metric("niqe")(small, small)


def test_without_pyiqa_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "pyiqa", None)
    perceptual._pyiqa_metric.cache_clear()
    with pytest.raises(MissingExtraError, match=r"aindnet\[perceptual\]"):
        find_metric("lpips")


@pytest.mark.parametrize(
    "name",
    [
        "gmsd",
        *(pytest.param(name, marks=pytest.mark.slow) for name in ("lpips", "dists")),  # weights
    ],
)
def test_pyiqa_itself(name, monkeypatch):
    pytest.importorskip("pyiqa", reason="pyiqa is not installed: pip install 'aindnet[perceptual]'")
    perceptual._pyiqa_metric.cache_clear()
    try:
        measure = find_metric(name)
    except UnknownMetricError as error:
        pytest.skip(str(error))
    clean = smooth_photo(96, 96)
    values = [measure(image, clean) for image in (clean, with_noise(clean, 10))]
    assert values[0] == pytest.approx(0, abs=1e-3)
    assert values[1] > values[0] + 1e-3


def test_noisy_photos_are_measured_without_reference_only(pyiqa, tmp_path):
    save(tmp_path / "Dog.png", smooth_photo())
    dataset = open_dataset("noisy", tmp_path)
    [score] = evaluate(dataset, [Noisy()], metrics=("psnr", "ssim", "niqe")).methods[0].scores
    assert score.values == {"niqe": pytest.approx(smooth_photo().mean() / 255, rel=1e-4)}
    for metric in ("lpips", "psnr_float"):
        with pytest.raises(AindnetError, match=f"--metric {metric} compares"):
            evaluate(dataset, [Noisy()], metrics=("psnr", metric))
