from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aindnet.restore.streaming import ArraySource, StripBlender, StripReader
from aindnet.restore.tiling import Axis, plan_tiles, reflect_to

sizes = st.integers(1, 3000)
tiles = st.integers(96, 800)
overlaps = st.integers(0, 200)
discards = st.integers(0, 64)
alignments = st.sampled_from([32, 64, 96])


@settings(max_examples=40)
@given(sizes, tiles, overlaps, discards, st.booleans(), alignments)
def test_weights_sum_to_one_up_to_the_border(
    length: int, tile: int, overlap: int, discard: int, fitted: bool, alignment: int
) -> None:
    shared = {"overlap": overlap, "discard": discard, "alignment": alignment}
    axis = plan_tiles(length, length, tile=tile, fitted=fitted, **shared).rows
    total = np.zeros(axis.padded)
    for index, start in enumerate(axis.positions):
        weights = axis.weights(index)
        assert (weights >= 0).all()
        total[start : start + axis.size] += weights
    assert np.abs(total - 1).max() <= 1e-6


@settings(max_examples=40)
@given(sizes, tiles, overlaps, discards, st.booleans(), alignments)
def test_tiles_reach_over_the_image_aligned_and_overlapping(
    length: int, tile: int, overlap: int, discard: int, fitted: bool, alignment: int
) -> None:
    shared = {"overlap": overlap, "discard": discard, "alignment": alignment}
    axis = plan_tiles(length, length, tile=tile, fitted=fitted, **shared).rows
    positions = np.array(axis.positions)
    assert positions[0] == 0
    assert positions[-1] + axis.size == axis.padded
    assert 0 <= axis.padded - length < alignment
    assert not (positions % alignment).any()
    assert axis.size % alignment == 0
    assert (np.diff(positions) <= axis.size - axis.overlap).all()
    assert (np.diff(positions) > 0).all()


@given(sizes, sizes, tiles, overlaps)
def test_tiles_that_fit_are_as_many_and_no_larger(
    height: int, width: int, tile: int, overlap: int
) -> None:
    whole, fitted = (
        plan_tiles(height, width, tile=tile, overlap=overlap, fitted=each) for each in (False, True)
    )
    saved = whole.pixels - fitted.pixels
    assert not saved or saved >= max(0.15 * whole.pixels, 1_000_000)
    for axis, before in ((fitted.rows, whole.rows), (fitted.columns, whole.columns)):
        assert axis.size <= before.size
        assert len(axis.positions) == len(before.positions)


def test_a_photo_a_little_larger_than_a_tile_gets_small_ones() -> None:
    plan = plan_tiles(1000, 2000, tile=960, overlap=192, fitted=True)
    assert plan.tile_shape == (608, 800)
    assert plan_tiles(1000, 2000, tile=960, overlap=192).tile_shape == (960, 960)
    # Nothing to be saved: the shape that all large photos share.
    assert plan_tiles(3000, 4000, tile=960, overlap=192, fitted=True).tile_shape == (960, 960)


def test_discarded_pixels_have_no_weight() -> None:
    axis = Axis(length=1000, tile=384, overlap=128, discard=32)
    assert not axis.weights(1)[:32].any()
    assert not axis.weights(1)[-32:].any()
    assert axis.weights(0)[:32].all()


def test_impossible_axes_are_refused() -> None:
    with pytest.raises(ValueError, match="multiples"):
        Axis(length=100, tile=100, overlap=32, discard=0)
    with pytest.raises(ValueError, match="third"):
        Axis(length=100, tile=128, overlap=64, discard=0)


@settings(max_examples=15, deadline=None)
@given(st.integers(1, 300), st.integers(1, 300), st.integers(96, 200), st.integers(0, 64))
def test_cutting_and_blending_gives_the_image_back(
    height: int, width: int, tile: int, overlap: int
) -> None:
    rgb = np.random.default_rng(0).random((height, width, 3), dtype=np.float32)
    plan = plan_tiles(height, width, tile=tile, overlap=overlap)
    reader, blender = StripReader(ArraySource(rgb), plan), StripBlender(plan, channels=3)
    bands = []
    for y in plan.rows.positions:
        strip = reader.strip(y)
        for column, x in enumerate(plan.columns.positions):
            blender.add(column, strip[:, x : x + plan.columns.size])
        bands.append(blender.finish_row())
    np.testing.assert_allclose(np.concatenate(bands), rgb, atol=1e-6)


@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 90))
def test_reflection_is_that_of_numpy(height: int, width: int, more: int) -> None:
    strip = np.random.default_rng(1).random((height, width, 3), dtype=np.float32)
    padded = np.pad(strip, ((0, more), (0, more), (0, 0)), mode="reflect")
    np.testing.assert_array_equal(reflect_to(strip, height + more, width + more), padded)
