"""Means, bootstrap intervals and paired differences against what statistics says they are."""

import math

import numpy as np
import pytest

from aindnet.evaluation.scores import (
    ImageScore,
    MethodScores,
    bootstrap_interval,
    bootstrap_interval_of_groups,
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
