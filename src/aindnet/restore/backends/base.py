"""What runs tiles: one small interface for every runtime.

Statistics for image-wide policies are inputs of the graph, next to the tiles; a tile's own are
computed inside it, and handed out as measured.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
import numpy.typing as npt

from aindnet.errors import DeviceMemoryError

Array = npt.NDArray[np.float32]
Pending = Callable[[], Array]
"""Waits for a batch that was started, and gives its result."""


@dataclass(frozen=True)
class TileStatistics:
    """What the normalization layers use for one tile: mean and deviation of every channel."""

    grid: Array
    """(2, channels, gh, gw): mean, deviation (> 0) at a grid's nodes; gh = gw = 1: one for all."""
    rows: Array | None = None
    """(h, gh): each row's weights of the grid's rows; None where the grid is 1×1."""
    columns: Array | None = None
    """(w, gw)."""


Given = TileStatistics | int | Literal["own"]
"""A tile's statistics: given; of sliding windows of so many image pixels; or the tile's own."""


class Backend(Protocol):
    """A network made ready on a device."""

    name: str
    """"torch", "openvino" or "onnx"."""
    device: str
    """"cpu", "cuda", "mps"."""
    precision: str
    """"fp32", "bf16", "fp16" or "int8": what the convolutions compute in."""
    batch: int
    """Tiles of one shape that go through together."""
    asynchronous: bool = False
    """Whether `start` returns before the work is done, so that the next batch can be made ready."""

    compiled: bool = False
    """Whether PyTorch's compiler works on each tile shape, for half a minute or more."""

    def start(self, tiles: Array, statistics: Sequence[Given]) -> Pending:
        """Begin what `run` does; the call that comes back waits for the result, and gives it.

        Raises `DeviceMemoryError`, here and not in that call.
        """
        result = self.run(tiles, statistics)
        return lambda: result

    def run(self, tiles: Array, statistics: Sequence[Given]) -> Array:
        """Denoise (B, C, h, w) → (B, 2·C, h, w): the clean image, then the noise level.

        `statistics` has one per tile, all of one kind and shape. Raises `DeviceMemoryError`.
        """
        ...

    def measure(self, tiles: Array) -> Array:
        """Mean and variance that each tile's own normalization uses.

        (B, C, h, w) → (B, 2, channels of all layers in the order they run). Raises
        `DeviceMemoryError`.
        """
        ...


MEMORY_MESSAGES = ("out of memory", "allocate memory", "bad_alloc")
"""What PyTorch (CUDA, MPS, CPU), ONNX Runtime and OpenVINO say; few have an exception for it."""


@contextmanager
def memory_errors(device: str) -> Iterator[None]:
    """A runtime's "out of memory" as `DeviceMemoryError`; all else passes as it is."""
    try:
        yield
    except Exception as error:  # ONNX Runtime's share no base with RuntimeError
        text = str(error).lower()
        if isinstance(error, MemoryError) or any(each in text for each in MEMORY_MESSAGES):
            raise DeviceMemoryError(f"{device} is out of memory") from error
        raise


def graph_kind(given: Given) -> Literal["own", "given", "grid"] | int:
    """Which graph a backend made of fixed graphs needs for these statistics."""
    if not isinstance(given, TileStatistics):
        return given
    return "given" if given.rows is None else "grid"


def stack(statistics: Sequence[Given]) -> list[Array]:
    """A batch's statistics as the network's further inputs: grid, and rows and columns if any."""
    given = [each for each in statistics if isinstance(each, TileStatistics)]
    if not given:
        return []
    grids = np.stack([each.grid for each in given])
    rows = [each.rows for each in given if each.rows is not None]
    columns = [each.columns for each in given if each.columns is not None]
    return [grids, np.stack(rows), np.stack(columns)] if rows and columns else [grids]
