from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import shift

from aindnet.errors import BurstError
from aindnet.training.transfer.burst import burst_pairs, check_burst
from aindnet.training.transfer.frames import Frame
from aindnet.training.transfer.inspection import levels
from aindnet.training.transfer.pairs import Region, whole
from transfer_scenes import frames, scene, with_noise


def test_the_mean_of_the_others_is_each_frames_target() -> None:
    taken = frames(5)
    found = check_burst("coffee", taken)
    assert len(found.frames) == 5
    assert found.left_out == {}
    assert np.sqrt(found.noise_variance.mean()) * 255 == pytest.approx(12, rel=0.05)
    pairs = burst_pairs(found)
    assert len(pairs) == 5
    others = np.mean([levels(frame.image) for frame in taken[1:]], axis=0)
    np.testing.assert_allclose(levels(pairs[0].clean), others, atol=0.01)
    left = whole(pairs[0]).target_variance
    assert left == pytest.approx(found.noise_variance.mean() / 4)
    # The target's true error is what is said of it.
    clean = scene("coffee").astype(float)
    error = np.square(levels(pairs[0].clean) - clean).mean() / 255**2
    assert error == pytest.approx(left, rel=0.1)


def test_what_is_left_in_a_target_is_known_by_place() -> None:
    """Shot noise: the dark half of a frame has less of it than the bright one."""
    clean = np.full((64, 128, 3), 40.0)
    clean[:, 64:] = 200.0
    random = np.random.default_rng(0)
    noisy = [clean + random.normal(0, 1, clean.shape) * clean / 20 for _ in range(4)]
    taken = [Frame(str(i), np.rint(image).astype(np.uint8)) for i, image in enumerate(noisy)]
    pair = burst_pairs(check_burst("wall", taken))[0]
    dark, bright = (Region(pair, 0, x, 64, 64).target_variance * 255**2 * 3 for x in (0, 64))
    assert dark == pytest.approx(2.0**2, rel=0.1)
    assert bright == pytest.approx(10.0**2, rel=0.1)


def test_frames_that_moved_flickered_or_show_something_else_are_left_out() -> None:
    clean = scene("coffee")
    other = clean.copy()
    other[40:120, 60:160] = 30
    bad = {
        "light.png": with_noise(np.clip(clean * 1.06, 0, 255), 12, 50),
        "half.png": with_noise((clean + np.roll(clean, 1, 1).astype(float)) / 2, 12, 51),
        "moved.png": with_noise(other, 12, 52),
    }
    taken = [*frames(6), *(Frame(name, image) for name, image in bad.items())]
    found = check_burst("coffee", taken)
    assert set(found.left_out) == set(bad)
    assert "light" in found.left_out["light.png"]
    assert "camera moved" in found.left_out["half.png"]
    assert "something moved" in found.left_out["moved.png"]


def test_a_little_flicker_is_taken_out_of_the_targets() -> None:
    """Each target is as bright as its frame, and the flicker is not taken for noise."""
    clean = scene("coffee").astype(float)
    bright = [clean * (1.015 if i % 3 == 0 else 1.0) for i in range(9)]
    taken = [Frame(str(i), with_noise(image, 6, i)) for i, image in enumerate(bright)]
    found = check_burst("coffee", taken)
    assert found.left_out == {}
    steady = check_burst("coffee", [Frame(str(i), with_noise(clean, 6, i)) for i in range(9)])
    assert found.noise_variance.mean() == pytest.approx(steady.noise_variance.mean(), rel=0.05)
    for frame, image, pair in zip(found.frames, bright, burst_pairs(found), strict=True):
        ratio = np.median(levels(pair.clean)[image > 60] / image[image > 60])
        assert ratio == pytest.approx(1.0, abs=0.003), frame.name


def test_targets_are_made_part_by_part() -> None:
    pair = burst_pairs(check_burst("coffee", frames(4)))[2]
    whole_target = pair.clean[:, :]
    assert pair.clean.shape == whole_target.shape
    assert pair.clean.dtype == whole_target.dtype
    np.testing.assert_array_equal(pair.clean[10:50, 20:90], whole_target[10:50, 20:90])


def test_whole_pixels_are_moved_back() -> None:
    clean = scene("astronaut", 200, 280)
    shifts = ((0, 0), (3, -2), (1, 4), (0, 0))
    taken = [
        Frame(str(i), with_noise(clean[8 - dy : 192 - dy, 8 - dx : 264 - dx], 6, i))
        for i, (dy, dx) in enumerate(shifts)
    ]
    found = check_burst("astronaut", taken)
    assert found.left_out == {}
    assert {frame.image.shape for frame in found.frames} == {(181, 250, 3)}
    assert np.sqrt(found.noise_variance.mean()) * 255 == pytest.approx(6, rel=0.1)


def test_what_cannot_be_a_burst_is_said() -> None:
    one, two = frames(2)
    with pytest.raises(BurstError, match="1 frame"):
        check_burst("a", [one])
    with pytest.raises(BurstError, match=r"a: two kinds .*\(256×192 .*; 256×100 pixels of 8"):
        check_burst("a", [one, replace(two, image=two.image[:100])])
    developed = [
        Frame(f"{each.name}.tif", each.image.astype(np.uint16) * 257) for each in frames(3)
    ]
    with pytest.raises(BurstError, match=r"as many of each .* of 16 bits.*give each kind a folder"):
        check_burst("a", [*frames(3), *developed])
    assert len(check_burst("a", [*frames(3), *developed[:2]]).frames) == 3
    with pytest.raises(BurstError, match="fewer than 2"):
        check_burst("a", [one, Frame("b", scene("rocket"))])
    with pytest.raises(BurstError, match=r"copy: a copy of 0\.png"):
        check_burst("a", [one, replace(one, name="copy")])
    nearly = one.image.copy()
    nearly[0, 0, 0] ^= 1
    with pytest.raises(BurstError, match="no noise"):
        check_burst("a", [one, replace(one, name="copy", image=nearly)])
    white = [replace(each, image=np.maximum(each.image, 254)) for each in (one, two)]
    with pytest.raises(BurstError, match="white or black; expose it anew"):
        check_burst("a", white)


def test_frames_of_another_size_copies_and_denoised_ones_are_left_out() -> None:
    taken = frames(4)
    cleaned = [Frame(f"{i}.denoised.png", with_noise(scene("coffee"), 2, 90 + i)) for i in range(3)]
    found = check_burst(
        "coffee",
        [
            *taken,
            replace(taken[0], name="again.png"),
            replace(taken[1], name="larger.png", size=(4000, 3000)),
            *cleaned,
        ],
    )
    assert [frame.name for frame in found.frames] == [frame.name for frame in taken]
    assert found.left_out["again.png"] == "a copy of 0.png"
    assert "4000×3000" in found.left_out["larger.png"]
    for frame in cleaned:
        assert "its noise is another" in found.left_out[frame.name]


def test_two_frames_are_held_to_the_same_limits() -> None:
    one, two = frames(2)
    brighter = np.clip(two.image.astype(np.float32) * 1.03, 0, 255).astype(np.uint8)
    with pytest.raises(BurstError, match="its light differs"):
        check_burst("a", [one, replace(two, image=brighter)])
    moved = two.image.copy()
    moved[40:104, 40:104] = moved[104:168, 140:204]
    with pytest.raises(BurstError, match="something moved"):
        check_burst("a", [one, replace(two, image=moved)])
    assert len(check_burst("a", [one, two]).frames) == 2
    with pytest.raises(BurstError, match=r"1\.png has less noise than 0\.png"):
        check_burst("a", [one, replace(two, image=scene("coffee"))])
    with pytest.raises(BurstError, match="less noise than"):
        check_burst("a", [one, replace(two, image=with_noise(scene("coffee"), 5, 3))])
    assert check_burst("a", [one, two]).left_out == {}


def as_jpeg(image: np.ndarray) -> np.ndarray:
    encoded = io.BytesIO()
    Image.fromarray(image).save(encoded, "JPEG", quality=95, subsampling=0)
    return np.asarray(Image.open(encoded))


@pytest.mark.parametrize("count", [2, 3, 8])
@pytest.mark.parametrize("sigma", [5.0, 12.0])
def test_a_shot_that_lies_twice_is_one_frame(count: int, sigma: float) -> None:
    """As where a camera, or a program, writes each in two kinds of files."""
    taken = frames(count, sigma)
    twice = [replace(each, name=f"{each.name}.jpg", image=as_jpeg(each.image)) for each in taken]
    found = check_burst("coffee", [*taken, *twice])
    assert [each.name for each in found.frames] == [each.name for each in taken]
    assert found.left_out == {
        again.name: f"the same shot as {each.name}"
        for each, again in zip(taken, twice, strict=True)
    }
    found = check_burst("coffee", [*taken, twice[0]])
    assert list(found.left_out) == [twice[0].name]


@pytest.mark.parametrize("sigma", [3.0, 12.0])
def test_frames_that_lie_a_part_of_a_pixel_aside_are_shots_of_their_own(sigma: float) -> None:
    clean = scene("chelsea").astype(float)
    aside = shift(clean, (0.25, 0.2, 0), order=3, mode="nearest")
    images = [with_noise(aside if number % 2 else clean, sigma, number) for number in range(8)]
    taken = [Frame(str(number), as_jpeg(image)) for number, image in enumerate(images)]
    assert check_burst("chelsea", taken).left_out == {}


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize(("amplitude", "sigma"), [(0.06, 8), (0.12, 8), (0.1, 5)])
def test_frames_under_a_pulsing_lamp_are_left_out(axis: int, amplitude: float, sigma: int) -> None:
    """Bands of light that lie elsewhere in each frame are no noise."""
    clean = scene("coffee", 240, 300).astype(float)
    shape = (-1, 1, 1) if axis == 0 else (1, -1, 1)
    random, steady = np.random.default_rng(4), range(4)
    taken = [Frame(f"{i}", with_noise(clean, sigma, i)) for i in steady]
    for i in range(4, 7):
        turn = np.arange(clean.shape[axis]) / 70 + random.random()
        bands = 1 + amplitude * np.sin(2 * np.pi * turn).reshape(shape)
        taken.append(Frame(f"{i}", with_noise(clean * bands, sigma, i)))
    found = check_burst("coffee", taken)
    assert [frame.name for frame in found.frames] == [str(i) for i in steady]
    assert all("light differs" in reason for reason in found.left_out.values())


def test_a_channel_that_is_dark_throughout_is_of_no_other_light() -> None:
    clean = scene("coffee").astype(float)
    clean[..., 2] = 3
    taken = [Frame(str(i), with_noise(clean, 6, i)) for i in range(4)]
    found = check_burst("coffee", taken)
    assert found.left_out == {}
    assert all(frame.brightness[2] == 1.0 for frame in found.frames)


def test_a_drifting_white_balance_is_found_and_a_little_is_taken_out() -> None:
    clean = scene("chelsea").astype(float)
    tints = [np.ones(3)] * 5 + [np.array([1.06, 1.0, 0.94]), np.array([1.012, 1.0, 0.99])]
    taken = [Frame(str(i), with_noise(clean * tint, 6, i)) for i, tint in enumerate(tints)]
    found = check_burst("chelsea", taken)
    assert set(found.left_out) == {"5"}
    assert "white balance" in found.left_out["5"]
    assert found.frames[-1].brightness == pytest.approx((1.012, 1.0, 0.99), abs=0.0035)
    target = levels(burst_pairs(found)[-1].clean).mean(axis=(0, 1))
    np.testing.assert_allclose(target, (clean * tints[-1]).mean(axis=(0, 1)), rtol=0.004)
