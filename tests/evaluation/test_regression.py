"""The quality guard sees a loss of 0.02 dB, and tells it from a change of its own input."""

from copy import deepcopy

import numpy as np
import pytest

from aindnet.evaluation.datasets import open_dataset
from aindnet.evaluation.methods import OurModel
from aindnet.evaluation.metrics import psnr
from aindnet.evaluation.regression import complaints, measure
from evaluation_stand_ins import FakeDenoiser


@pytest.fixture(scope="module")
def golden():
    return measure(OurModel(FakeDenoiser()))


def test_the_sample_set_needs_no_files_and_is_the_same_each_time():
    samples = open_dataset("samples", None).samples
    assert len(samples) == 12
    assert {sample.group for sample in samples} == {"white", "correlated", "camera"}
    for sample in samples[::4]:
        pair, again = sample.read(), sample.read()
        assert pair.clean.shape == (192, 192, 3)
        np.testing.assert_array_equal(pair.noisy, again.noisy)
        assert 13 < psnr(pair.noisy, pair.clean) < 33


def test_an_unchanged_method_passes(golden):
    assert not complaints(golden, golden)


def test_a_slightly_worse_method_is_seen(golden):
    class Worse(FakeDenoiser):
        def __call__(self, image, **options):
            restored = super().__call__(image, **options)
            restored.image = restored.image + np.float32(0.002)
            return restored

    said = complaints(measure(OurModel(Worse())), golden)
    assert said
    assert all("psnr" in complaint or "ssim" in complaint for complaint in said)


def test_the_threshold_is_two_hundredths_of_a_decibel(golden):
    for loss, seen in ((0.019, False), (0.02, True), (0.025, True), (-1.0, False)):
        measured = deepcopy(golden)
        measured["white"]["psnr"] -= loss
        assert bool(complaints(measured, golden)) is seen


def test_another_noise_is_not_called_a_loss(golden):
    measured = deepcopy(golden)
    measured["camera"]["noisy_psnr"] += 0.01
    measured["camera"]["psnr"] -= 1
    (said,) = complaints(measured, golden)
    assert "the noise changed" in said
