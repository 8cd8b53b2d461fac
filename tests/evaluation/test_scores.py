"""Means, bootstrap intervals and paired differences against what statistics says they are."""

import math
from dataclasses import replace

import numpy as np
import pytest

from aindnet.evaluation.scores import (
    Evaluation,
    ImageScore,
    MethodScores,
    bootstrap_interval,
    bootstrap_interval_of_groups,
    bootstrap_interval_of_photos,
    paired_difference,
)


def scores(name, values, groups=None, seconds=0.5):
    rows = [
        ImageScore(
            name, f"image{i}", (groups or [""] * len(values))[i], {"psnr": v}, seconds, 0.25, i
        )
        for i, v in enumerate(values)
    ]
    return MethodScores(name, "", tuple(rows))


def test_the_bootstrap_interval_is_that_of_the_normal_law_for_many_normal_values():
    values = np.random.default_rng(1).normal(35, 2, 400)
    low, high = bootstrap_interval(values)
    half = 1.96 * values.std() / math.sqrt(values.size)
    assert low == pytest.approx(values.mean() - half, abs=0.03)
    assert high == pytest.approx(values.mean() + half, abs=0.03)


def test_the_interval_is_seeded_and_undefined_for_one_image_or_infinite_values():
    values = [30.0, 31.0, 35.0]
    assert bootstrap_interval(values) == bootstrap_interval(values)
    assert all(math.isnan(bound) for bound in bootstrap_interval([30.0]))
    assert all(math.isnan(bound) for bound in bootstrap_interval([30.0, math.inf]))


def test_crops_of_one_scene_count_as_one_draw():
    values = np.repeat([30.0, 34.0, 32.0, 38.0, 29.0], 20)
    scenes = np.repeat(["a", "b", "c", "d", "e"], 20).tolist()
    by_image, by_scene = bootstrap_interval(values), bootstrap_interval_of_groups(values, scenes)
    assert by_scene[1] - by_scene[0] > 3 * (by_image[1] - by_image[0])
    assert by_scene[0] < values.mean() < by_scene[1]


def test_paired_differences_are_image_by_image():
    difference = paired_difference(scores("a", [31.0, 36, 29]), scores("b", [30.0, 34, 30]), "psnr")
    assert difference.mean == pytest.approx(2 / 3)
    assert (difference.wins, difference.images) == (2, 3)
    assert difference.low <= difference.mean <= difference.high


def test_time_is_per_megapixel_and_memory_the_largest():
    method = scores("a", [30.0, 31.0])
    assert method.seconds_per_megapixel == pytest.approx(2.0)
    assert method.peak_memory_mb == 1


def of_photos(method, photos):
    made = [replace(s, photo=photo) for s, photo in zip(method.scores, photos, strict=True)]
    return replace(method, scores=tuple(made))


def test_noises_over_one_photo_count_as_one_draw():
    values = np.repeat([30.0, 34.0, 32.0, 38.0], 3) + np.tile([0.0, 0.1, 0.2], 4)
    photos = np.repeat(["a", "b", "c", "d"], 3).tolist()
    by_photo = bootstrap_interval_of_photos(values, photos)
    assert by_photo == bootstrap_interval_of_groups(values, photos)
    names = [f"image{index}" for index in range(values.size)]
    assert bootstrap_interval_of_photos(values, names) == bootstrap_interval(values)
    first, second = (of_photos(scores(n, v), photos) for n, v in (("a", values), ("b", values * 0)))
    difference = paired_difference(first, second, "psnr")
    assert (difference.low, difference.high) == by_photo == first.interval("psnr")


def test_two_methods_of_one_name_are_no_evaluation():
    with pytest.raises(ValueError, match="one name"):
        Evaluation("pairs", "", "", ("psnr",), (scores("a", [30.0]), scores("a", [40.0])))
