"""The promise of the default: no tile can be seen, whatever the tile size and where borders lie."""

from __future__ import annotations

import numpy as np
import pytest
from test_denoiser import photo

from aindnet.restore import ArraySource, Denoiser
from aindnet.restore.backends.base import TileStatistics
from aindnet.restore.ensemble import TRANSFORMS, transform
from aindnet.restore.statistics import (
    Field,
    Frozen,
    PerTile,
    SlidingWindow,
    StatisticsPolicy,
    Trained,
    WholeImage,
)
from aindnet.restore.tiling import plan_tiles
from aindnet.restore.windows import interpolation, spread
from restore_networks import small_network

NETWORK = small_network()
POLICIES = [
    WholeImage(),
    Frozen(samples=4, window=96),
    Frozen(samples=4, window=96, pooled=True),
    Field(spacing=96, window=96),
]


def denoise_with(policy: StatisticsPolicy, tile: int, overlap: int = 64) -> Denoiser:
    return Denoiser(
        NETWORK,
        backend="torch",
        device="cpu",
        precision="fp32",
        tile=tile,
        overlap=overlap,
        statistics=policy,
    )


@pytest.mark.parametrize("policy", POLICIES, ids=lambda policy: policy.name)
def test_the_result_does_not_depend_on_the_tiles(policy: StatisticsPolicy) -> None:
    image = photo(290, 270)
    reference = denoise_with(policy, tile=512)(image)
    for tile in (192, 224):
        tiled = denoise_with(policy, tile)(image)
        difference = np.abs(tiled.image - reference.image)
        assert difference.max() <= 1 / 255
        assert difference.mean() <= 0.1 / 255
        assert np.abs(tiled.noise_level - reference.noise_level).max() <= 1 / 255


def test_a_tiles_own_statistics_do_depend_on_the_tiles() -> None:
    """The test above can fail: this is what it guards against."""
    image = photo(290, 270)
    reference = denoise_with(PerTile(), tile=512)(image).image
    assert np.abs(denoise_with(PerTile(), tile=192)(image).image - reference).max() > 1 / 255


def test_sliding_windows_stay_near_the_whole_image_where_it_is_uniform() -> None:
    image = np.random.default_rng(2).random((192, 192, 3), dtype=np.float32)
    whole = denoise_with(WholeImage(), tile=192)(image).image
    sliding = denoise_with(SlidingWindow(window=128), tile=192)(image).image
    assert np.abs(sliding - whole).mean() < 0.1 * np.abs(whole - image).mean()


def trained(tile: int, statistics: StatisticsPolicy | None = None) -> Denoiser:
    return Denoiser(
        small_network(normalization="running"), backend="torch", device="cpu", precision="fp32",
        tile=tile, statistics=statistics,
    )  # fmt: skip


def test_statistics_from_training_need_no_look_at_the_photo(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    image = photo(520, 500)
    reference = trained(tile=640)

    def measure(*_: object) -> None:
        raise AssertionError("the photo was surveyed")

    monkeypatch.setattr(type(reference._engine.backend), "measure", measure)
    whole = reference(image).image
    assert reference.statistics == Trained()
    assert np.abs(whole - image).mean() > 1e-3
    for tile in (384, 416):
        assert np.abs(trained(tile)(image).image - whole).max() <= 0.05 / 255


def test_statistics_that_do_not_fit_the_network_are_refused() -> None:
    with pytest.raises(ValueError, match="leave `statistics` out"):
        trained(384, Field())
    with pytest.raises(ValueError, match="leave `statistics` out"):
        denoise_with(Trained(), tile=192)


def test_ensemble_does_not_depend_on_the_tiles() -> None:
    image = photo(200, 230)
    policy = Field(spacing=96, window=96)
    reference = denoise_with(policy, tile=256)(image, ensemble=True).image
    tiled = denoise_with(policy, tile=192)(image, ensemble=True).image
    assert np.abs(tiled - reference).max() <= 1 / 255


def interpolated(statistics: TileStatistics) -> np.ndarray:
    assert statistics.rows is not None
    assert statistics.columns is not None
    return statistics.rows @ statistics.grid @ statistics.columns.T


@pytest.mark.parametrize("which", TRANSFORMS)
def test_a_field_turns_with_the_tile(which: int) -> None:
    denoiser = denoise_with(Field(spacing=96, window=96), tile=192)
    source = ArraySource(photo(300, 250))
    plan = plan_tiles(300, 250, tile=192, overlap=64)

    class Means:
        """Measures the mean of a window's red, which no turning changes."""

        batch = 1

        def measure(self, tiles: np.ndarray) -> np.ndarray:
            return np.stack([tiles[:, :1].mean(axis=(2, 3)), np.ones((1, 1), np.float32)], axis=1)

    policy = denoiser.statistics
    straight, turned = (
        policy.survey(Means(), source, plan, each).for_tile(64, 32, 192, 224)  # type: ignore[arg-type]
        for each in (0, which)
    )
    assert isinstance(straight, TileStatistics)
    assert isinstance(turned, TileStatistics)
    assert interpolated(straight).std() > 1e-4
    np.testing.assert_allclose(
        interpolated(turned), transform(interpolated(straight), which), atol=1e-5
    )


def test_interpolation_is_linear_between_nodes_and_constant_beyond() -> None:
    centres = np.array([48.0, 148.0, 248.0], np.float32)
    values = np.array([1.0, 3.0, -1.0])
    first, weights = interpolation(centres, 0, 320, spacing=100)
    padded = np.concatenate([values[first:], np.zeros(weights.shape[1])])[: weights.shape[1]]
    expected = np.interp(np.arange(320) + 0.5, centres, values)
    np.testing.assert_allclose(weights @ padded, expected, atol=1e-5)
    np.testing.assert_allclose(weights.sum(axis=1), 1, atol=1e-6)


@pytest.mark.parametrize(("length", "count"), [(100, 1), (256, 1), (257, 2), (1000, 4), (5000, 7)])
def test_windows_stay_inside(length: int, count: int) -> None:
    starts = spread(length, count, 256)
    assert len(starts) == count
    assert all(0 <= start <= max(length - 256, 0) for start in starts)
