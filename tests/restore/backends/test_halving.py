"""Out of memory: tiles are halved, and the result is the one that whole tiles would give."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from aindnet.errors import DeviceMemoryError
from aindnet.restore.backends import create_backend
from aindnet.restore.backends.base import Array, Backend, Given, TileStatistics, memory_errors
from aindnet.restore.backends.halving import HalvingBackend
from restore_networks import small_network

RNG = np.random.default_rng(11)
SIDE, OVERLAP, DISCARD = 384, 64, 24


class Small(Backend):
    """A backend whose device holds so many pixels and no more."""

    def __init__(self, backend: Backend, pixels: int) -> None:
        self.name, self.device = backend.name, "tiny"
        self.precision, self.batch = backend.precision, backend.batch
        self.backend, self.pixels = backend, pixels
        self.refused = 0
        self.shapes: list[tuple[int, ...]] = []

    def _hold(self, tiles: Array) -> None:
        with memory_errors(self.device):
            if tiles[:, 0].size > self.pixels:
                self.refused += 1
                raise RuntimeError("CUDA out of memory. Tried to allocate 20.00 MiB")
        self.shapes.append(tiles.shape)

    def run(self, tiles: Array, statistics: Sequence[Given]) -> Array:
        self._hold(tiles)
        return self.backend.run(tiles, statistics)

    def measure(self, tiles: Array) -> Array:
        self._hold(tiles)
        return self.backend.measure(tiles)


class Echo(Backend):
    """A backend that gives tiles back."""

    name, device, precision, batch = "echo", "cpu", "fp32", 2

    def run(self, tiles: Array, statistics: Sequence[Given]) -> Array:
        return tiles

    def measure(self, tiles: Array) -> Array:
        return np.ones((len(tiles), 2, 5), np.float32)


def runtime(normalization: str) -> Backend:
    network = small_network(unshuffle=2, normalization=normalization)
    return create_backend(network, backend="torch", device="cpu", precision="fp32", batch=2)


def halving(backend: Backend, normalization: str) -> HalvingBackend:
    return HalvingBackend(
        backend,
        overlap=OVERLAP,
        discard=DISCARD,
        constant_statistics=normalization == "running",
    )


def given(backend: Backend, tiles: Array, kind: str) -> list[Given]:
    if kind == "own":
        return ["own", "own"]
    measured = backend.measure(tiles)
    grid = np.stack([measured[:, 0], np.sqrt(measured[:, 1] + 1e-5)], axis=1)[..., None, None]
    if kind == "given":
        return [TileStatistics(each) for each in grid]
    wide = grid * RNG.uniform(0.9, 1.1, (*grid.shape[:3], 3, 4)).astype(np.float32)
    rows, columns = (np.linspace(0, 1, SIDE, dtype=np.float32)[:, None] for _ in range(2))
    rows = np.concatenate([rows, 1 - rows, 0 * rows], axis=1)
    columns = np.concatenate([columns, 0 * columns, 1 - columns, 0 * columns], axis=1)
    return [TileStatistics(each, rows, columns) for each in wide]


@pytest.mark.parametrize(
    ("normalization", "kind"),
    [("running", "own"), ("instance", "given"), ("instance", "grid")],
)
def test_the_halves_make_the_whole(normalization: str, kind: str) -> None:
    backend = runtime(normalization)
    tiles = RNG.random((2, 3, SIDE, SIDE), dtype=np.float32)
    statistics = given(backend, tiles, kind)
    expected = backend.run(tiles, statistics)
    small = Small(backend, pixels=2 * 200 * 200)
    tested = halving(small, normalization)
    with pytest.warns(UserWarning, match="tiny is out of memory: going on with tiles of 192"):
        result = tested.run(tiles, statistics)
    assert np.abs(result - expected).max() <= 1 / 255
    assert np.abs(expected[:, :3] - tiles).mean() > 1 / 255
    assert {shape[-2:] for shape in small.shapes} == {(192, 192)}
    again = tested.start(tiles, statistics)()  # and it remembers
    np.testing.assert_array_equal(again, result)
    assert small.refused == 1


def test_what_was_halved_before_is_not_taken_for_other_statistics() -> None:
    """A tile of its own statistics is refused whether or not another was halved before it."""
    tested = halving(Small(runtime("instance"), pixels=2 * 200 * 200), "instance")
    tiles = RNG.random((2, 3, SIDE, SIDE), dtype=np.float32)
    with pytest.warns(UserWarning, match="going on with tiles of 192"):
        tested.run(tiles, given(runtime("instance"), tiles, "given"))
    with pytest.raises(DeviceMemoryError, match="normalized by other statistics"):
        tested.run(tiles, ["own", "own"])


def test_memory_that_ends_beside_the_runtime_is_said_too(monkeypatch: pytest.MonkeyPatch) -> None:
    tested = halving(Small(runtime("running"), pixels=2 * 200 * 200), "running")

    def nothing_left(*_: object) -> Array:
        raise MemoryError("Unable to allocate 1.69 MiB")

    monkeypatch.setattr(np, "zeros", nothing_left)
    tiles = np.ones((2, 3, SIDE, SIDE), np.float32)
    with (
        pytest.warns(UserWarning, match="going on with tiles of 192"),
        pytest.raises(DeviceMemoryError, match="out of memory, even for tiles"),
    ):
        tested.run(tiles, ["own", "own"])


def test_a_device_too_small_for_anything_says_so() -> None:
    tested = halving(Small(runtime("running"), pixels=100), "running")
    tiles = np.zeros((2, 3, SIDE, SIDE), np.float32)
    with (
        pytest.warns(UserWarning, match="out of memory"),
        pytest.raises(DeviceMemoryError, match="even for tiles of 192 pixels: try --device cpu"),
    ):
        tested.run(tiles, ["own", "own"])


def test_the_cpu_is_not_told_to_try_the_cpu() -> None:
    small = Small(Echo(), pixels=100)
    small.device = "cpu"
    tiles = np.zeros((2, 3, SIDE, SIDE), np.float32)
    with (
        pytest.warns(UserWarning, match="out of memory"),
        pytest.raises(DeviceMemoryError, match="tiles of 192 pixels: end other programs"),
    ):
        halving(small, "running").run(tiles, ["own", "own"])
    with pytest.raises(DeviceMemoryError, match="statistics: set --tile for all photos"):
        halving(small, "instance").run(tiles, ["own", "own"])
    with pytest.raises(DeviceMemoryError, match="window of 384×384 pixels: end other programs"):
        halving(small, "instance").measure(tiles)


def test_a_window_that_does_not_fit_says_so() -> None:
    tested = halving(Small(Echo(), pixels=100), "instance")
    with pytest.raises(DeviceMemoryError, match="96×128 pixels: try --device cpu, or end other"):
        tested.measure(np.zeros((2, 3, 96, 128), np.float32))


def test_halves_are_aligned_as_the_network_needs_it() -> None:
    small = Small(Echo(), pixels=230 * 230)
    tested = HalvingBackend(
        small, overlap=OVERLAP, discard=DISCARD, constant_statistics=True, alignment=64
    )
    tiles = RNG.random((1, 3, 448, 448), dtype=np.float32)
    with pytest.warns(UserWarning, match="going on with tiles of 192"):
        result = tested.run(tiles, ["own"])
    np.testing.assert_allclose(result, tiles, atol=1e-6)
    assert {shape[-2:] for shape in small.shapes} == {(192, 192)}


def test_statistics_of_the_tile_itself_are_not_changed_by_halving_it() -> None:
    tested = halving(Small(runtime("instance"), pixels=100), "instance")
    tiles = np.zeros((2, 3, SIDE, SIDE), np.float32)
    with pytest.raises(DeviceMemoryError, match="other statistics"):
        tested.run(tiles, ["own", "own"])


def test_fewer_windows_are_measured_at_a_time() -> None:
    backend = runtime("instance")
    windows = RNG.random((2, 3, 128, 128), dtype=np.float32)
    small = Small(backend, pixels=128 * 128)
    np.testing.assert_allclose(
        halving(small, "instance").measure(windows), backend.measure(windows), rtol=1e-4, atol=1e-5
    )
    assert {len(shape) and shape[0] for shape in small.shapes} == {1}


def test_only_memory_errors_are_taken_for_memory_errors() -> None:
    for message in ("CUDA out of memory", "DefaultCPUAllocator: can't allocate memory"):
        with pytest.raises(DeviceMemoryError, match="cuda is out of memory"), memory_errors("cuda"):
            raise RuntimeError(message)
    with pytest.raises(DeviceMemoryError), memory_errors("cpu"):
        raise MemoryError
    with pytest.raises(RuntimeError, match="shape mismatch"), memory_errors("cuda"):
        raise RuntimeError("shape mismatch")
