from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest

from aindnet.errors import InvalidImageError, NotFiniteError
from aindnet.restore.backends.base import Array, Backend, Given, Pending
from aindnet.restore.engine import Engine
from aindnet.restore.statistics import BySize, Field, Frozen, PerTile, StatisticsPolicy, WholeImage


class Identity(Backend):
    """A backend that gives tiles back, and remembers what it was asked."""

    name, device, precision = "identity", "cpu", "fp32"

    def __init__(self, batch: int) -> None:
        self.batch = batch
        self.shapes: set[tuple[int, ...]] = set()
        self.measured: set[tuple[int, ...]] = set()
        self.runs = 0

    def run(self, tiles: Array, statistics: Sequence[Given]) -> Array:
        assert len(statistics) == len(tiles)
        self.shapes.add(tiles.shape)
        self.runs += 1
        return np.concatenate([tiles, 2 * tiles], axis=1)

    def measure(self, tiles: Array) -> Array:
        self.measured.add(tiles.shape)
        return np.ones((len(tiles), 2, 5), np.float32)


class Generated:
    """A tall picture that exists only row by row."""

    height, width = 5000, 260

    def __init__(self) -> None:
        self.most_rows = 0

    def rows(self, y0: int, y1: int) -> npt.NDArray[np.float32]:
        assert 0 <= y0 < y1 <= self.height
        self.most_rows = max(self.most_rows, y1 - y0)
        y, x, c = np.ogrid[y0:y1, : self.width, :3]
        return ((y * 7 + x * 3 + c) % 256 / np.float32(255)).astype(np.float32)


def engine(policy: StatisticsPolicy, batch: int = 4, tile: int = 192) -> Engine:
    return Engine(backend=Identity(batch), statistics=policy, tile=tile, overlap=32, channels=3)


@pytest.mark.parametrize("policy", [PerTile(), Frozen(), Field()], ids=lambda p: p.name)
def test_a_tall_picture_streams_through_bounded_memory(policy: StatisticsPolicy) -> None:
    source, bands = Generated(), engine(policy)
    y = 0
    for _, band in bands.stream([source]):
        assert band.y == y
        assert band.rgb.shape[0] <= 192
        expected = source.rows(y, y + band.rgb.shape[0])
        np.testing.assert_allclose(band.rgb, expected, atol=1e-6)
        np.testing.assert_allclose(band.noise_level, 2 * expected, atol=2e-6)
        y += band.rgb.shape[0]
    assert y == source.height
    assert source.most_rows <= 256


class Overflowing(Identity):
    """A backend whose noise level leaves all bounds in one tile."""

    def run(self, tiles: Array, statistics: Sequence[Given]) -> Array:
        result = super().run(tiles, statistics)
        result[0, -1, 60, 60] = np.inf
        return result


def test_what_is_not_finite_is_an_error_and_no_black_pixels() -> None:
    faulty = Engine(backend=Overflowing(1), statistics=PerTile(), tile=192, overlap=32, channels=3)
    with pytest.raises(NotFiniteError, match=r"identity on cpu in fp32.*--precision fp32"):
        list(faulty.stream([Generated()]))


class Broken(Generated):
    """A picture with a value that is none."""

    def __init__(self, value: float) -> None:
        super().__init__()
        self.value = value

    def rows(self, y0: int, y1: int) -> npt.NDArray[np.float32]:
        rows = super().rows(y0, y1)
        rows[0, 5] = self.value
        return rows


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("policy", [PerTile(), Frozen()], ids=lambda p: p.name)
def test_a_picture_that_is_not_finite_is_not_the_network_s_fault(
    policy: StatisticsPolicy, channels: int, value: float
) -> None:
    bands = replace(engine(policy), channels=channels)
    with pytest.raises(InvalidImageError, match="the image has NaN or infinite values"):
        list(bands.stream([Broken(value)]))


class Wide(Generated):
    """A picture of two tiles that are not square."""

    height, width = 100, 260


def test_the_ensemble_s_turned_tiles_share_batches() -> None:
    source, backend = Wide(), Identity(8)
    bands = Engine(backend=backend, statistics=PerTile(), tile=192, overlap=32, channels=3)
    (band,) = (band for _, band in bands.stream([source], ensemble=True))
    np.testing.assert_allclose(band.rgb, source.rows(0, 100), atol=1e-6)
    assert backend.shapes == {(8, 3, 128, 192), (8, 3, 192, 128)}
    assert backend.runs == 2


def test_one_static_shape_for_tiles_and_one_for_windows() -> None:
    bands = engine(Field())
    list(bands.stream([Generated()]))
    backend = bands.backend
    assert isinstance(backend, Identity)
    assert backend.shapes == {(4, 3, 192, 192)}
    assert backend.measured == {(4, 3, 256, 256)}


def test_the_image_decides_the_policy_and_not_the_tile() -> None:
    policy = BySize(WholeImage(), Frozen(), limit=5000 * 260)
    bands = engine(policy)
    list(bands.stream([Generated()]))
    assert isinstance(bands.backend, Identity)
    assert bands.backend.measured == {(1, 3, 5024, 288)}  # and no copies of it
    bands = engine(BySize(WholeImage(), Frozen(), limit=5000 * 260 - 1))
    list(bands.stream([Generated()]))
    assert isinstance(bands.backend, Identity)
    assert bands.backend.measured == {(4, 3, 256, 256)}


class Late(Identity):
    """A backend at work on a batch while the next is made ready, as a GPU is."""

    asynchronous = True

    def __init__(self, batch: int) -> None:
        super().__init__(batch)
        self.at_work = self.most_at_work = 0

    def start(self, tiles: Array, statistics: Sequence[Given]) -> Pending:
        self.at_work += 1
        self.most_at_work = max(self.most_at_work, self.at_work)
        kept = tiles.copy()
        tiles[:] = np.nan  # nobody may count on what was handed over

        def wait() -> Array:
            self.at_work -= 1
            return self.run(kept, statistics)

        return wait


def test_the_next_batch_is_made_ready_while_one_is_at_work() -> None:
    source, backend = Generated(), Late(4)
    bands = Engine(backend=backend, statistics=PerTile(), tile=192, overlap=32, channels=3)
    for _, band in bands.stream([source]):
        expected = source.rows(band.y, band.y + band.rgb.shape[0])
        np.testing.assert_allclose(band.rgb, expected, atol=1e-6)
    assert (backend.at_work, backend.most_at_work) == (0, 2)
