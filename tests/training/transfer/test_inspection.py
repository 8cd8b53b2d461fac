from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import skimage.data
from scipy.ndimage import gaussian_filter

from aindnet.training.transfer.inspection import displacement, inspect, levels, matched
from aindnet.training.transfer.pairs import PhotoPair
from transfer_scenes import pairs, scene, with_noise


@pytest.mark.parametrize("sigma", [4.0, 25.0])
def test_good_pairs_are_accepted(sigma: float) -> None:
    for pair in pairs(sigma):
        found = inspect(pair)
        assert found.problems == ()
        assert found.noise == pytest.approx(sigma, rel=0.2)


def test_each_fault_is_named() -> None:
    pair = pairs()[1]
    shifted = replace(pair, noisy=np.roll(pair.noisy, (3, 0), (0, 1)))
    brighter = replace(pair, noisy=np.clip(pair.noisy * 1.4, 0, 255).astype(np.uint8))
    other = pair.clean.copy()
    other[40:100, 60:140] = 30
    moved = replace(pair, clean=other)
    white = np.full_like(pair.clean, 255)
    for faulty, word in (
        (shifted, "shifted by +3.0"),
        (brighter, "exposures differ by"),
        (moved, "something moved"),
        (replace(pair, noisy=pair.clean, clean=pair.noisy), "swap"),
        (replace(pair, clean=pair.noisy), "no noise"),
        (replace(pair, clean=white, noisy=with_noise(white, 20, 1)), "white or black"),
    ):
        problems = inspect(faulty).problems
        assert any(word in problem for problem in problems), (word, problems)


def test_a_small_difference_of_exposure_is_corrected() -> None:
    clean = scene("chelsea")
    pair = replace(pairs()[2], noisy=with_noise(clean * 0.93 + 2, 8, 3))
    found = inspect(pair)
    assert found.corrected
    assert found.problems == ()
    after = matched(pair)
    assert after.clean.dtype == np.uint16
    before, left = (
        np.abs((levels(each.clean) - levels(pair.noisy)).mean((0, 1))).max()
        for each in (pair, after)
    )
    assert before > 3
    assert left < 0.1


@pytest.mark.parametrize("texture", ["gravel", "grass"])
@pytest.mark.parametrize("sigma", [5.0, 10.0])
def test_swapped_sides_are_known_where_all_is_texture(texture: str, sigma: float) -> None:
    clean = np.repeat(getattr(skimage.data, texture)()[:256, :256, None], 3, axis=2)
    pair = PhotoPair("a", with_noise(clean, sigma, 1), clean, "a")
    assert inspect(pair).problems == ()
    assert inspect(replace(pair, noisy=pair.clean, clean=pair.noisy)).swapped


@pytest.mark.parametrize("sigma", [1.5, 2.5, 4.0])
def test_swapped_sides_are_known_under_weak_noise(sigma: float) -> None:
    for pair in pairs(sigma):
        assert not inspect(pair).swapped
        assert inspect(replace(pair, noisy=pair.clean, clean=pair.noisy)).swapped


@pytest.mark.parametrize("texture", ["gravel", "grass"])
@pytest.mark.parametrize("blur", [0.5, 1.0])
def test_a_smeared_noisy_side_is_not_taken_for_the_clean_one(texture: str, blur: float) -> None:
    clean = np.repeat(getattr(skimage.data, texture)()[:256, :256, None], 3, axis=2)
    smeared = gaussian_filter(clean.astype(float), (blur, blur, 0))
    for sigma in (3, 8):
        pair = PhotoPair("a", with_noise(smeared, sigma, 1), clean, "a")
        assert not inspect(pair).swapped


def test_flat_scenes_are_not_said_to_have_moved() -> None:
    ramp = np.linspace(90, 140, 256)[None, :, None] + np.zeros((256, 1, 3))
    found = inspect(PhotoPair("a", with_noise(ramp, 10, 1), with_noise(ramp, 1, 2), "a"))
    assert found.shift == (0.0, 0.0)
    assert found.problems == ()


def test_what_moved_does_not_tint_the_rest() -> None:
    clean = scene("coffee")
    noisy = clean.astype(float)
    noisy[32:64, 32:64] = 235
    pair = PhotoPair("a", with_noise(noisy, 10, 1), clean, "a")
    rest = np.ones(clean.shape[:2], bool)
    rest[32:64, 32:64] = False
    change = (levels(matched(pair).clean) - levels(clean))[rest].mean(axis=0)
    assert np.abs(change).max() < 0.3


@pytest.mark.parametrize("shift", [(0, 0), (2, -5), (-7, 1)])
def test_displacement_is_found_under_noise(shift: tuple[int, int]) -> None:
    clean = scene("astronaut")
    moved = levels(with_noise(np.roll(clean, shift, (0, 1)), 15, 2))
    found = displacement(moved, levels(with_noise(clean, 15, 3)))
    assert found == pytest.approx(shift, abs=0.15)


def test_noise_does_not_move_a_picture_of_little_detail() -> None:
    generator = np.random.default_rng(3)
    soft = gaussian_filter(generator.standard_normal((256, 256)), 8)
    clean = np.repeat((100 + 4 * soft / soft.std())[..., None], 3, axis=2).astype(np.float32)
    noise = gaussian_filter(generator.standard_normal(clean.shape), (0.7, 0.7, 0))
    noise = (10 * noise / noise.std()).astype(np.float32)
    # The correlation's top lies 0.8 pixels off, where the sides differ more than at rest.
    assert displacement(clean + noise, clean) == (0.0, 0.0)
    moved = displacement(np.roll(clean, (0, 6), (0, 1)) + noise, clean)
    assert moved == pytest.approx((0, 6), abs=1.0)


def test_a_black_picture_is_of_no_other_exposure() -> None:
    clean = np.full((128, 128, 3), 0.5, np.float32)
    clean[:16, :64] = 90
    noise = np.random.default_rng(0).normal(scale=3, size=clean.shape)
    noisy = np.clip(np.where(clean > 1, clean + noise, 0.1), 0, 255)
    pair = PhotoPair("a", *((x * 257).astype(np.uint16) for x in (noisy, clean)), "a")
    found = inspect(pair)
    assert found.gain == pytest.approx(1, abs=0.05)
    assert not any("exposures differ" in problem for problem in found.problems)
