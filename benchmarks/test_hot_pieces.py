"""Times of the pieces that a photo's denoising spends its seconds in: `pytest benchmarks`.

Nothing here asserts a time: compare runs with `--benchmark-autosave` and `--benchmark-compare`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from aindnet.errors import DeviceError, MissingExtraError
from aindnet.network import AINDNet
from aindnet.restore.backends import create_backend
from aindnet.restore.backends.base import TileStatistics
from aindnet.restore.backends.int8 import int8_layers
from aindnet.restore.backends.tile_network import TileNetwork
from aindnet.restore.mixing import mix
from aindnet.restore.streaming import StripBlender
from aindnet.restore.tiling import plan_tiles

SIZE = 256
RUNTIMES = [
    ("torch", "fp32"),
    ("torch", "bf16"),
    ("onnx", "fp32"),
    ("openvino", "fp32"),
    ("openvino", "bf16"),
    ("openvino", "int8"),
]


@pytest.fixture(scope="module")
def network() -> AINDNet:
    torch.manual_seed(0)
    return AINDNet().eval()


@pytest.fixture(scope="module", params=RUNTIMES, ids=" ".join)
def runtime(request: pytest.FixtureRequest, network: AINDNet) -> Any:
    backend, precision = request.param
    ranges = {name: (-1.0, 4.0) for name in int8_layers(TileNetwork(network))}
    try:
        return create_backend(
            network, backend=backend, precision=precision, device="cpu", int8_ranges=ranges
        )
    except (DeviceError, MissingExtraError) as error:
        pytest.skip(str(error))


def tiles() -> np.ndarray:
    return np.random.default_rng(0).random((1, 3, SIZE, SIZE), dtype=np.float32)


def test_plain_network(benchmark: Any, network: AINDNet) -> None:
    with torch.inference_mode():
        benchmark(network, torch.from_numpy(tiles()))


def test_tile_with_its_own_statistics(benchmark: Any, runtime: Any) -> None:
    benchmark(runtime.run, tiles(), ["own"])


def test_tile_with_frozen_statistics(benchmark: Any, runtime: Any) -> None:
    channels = runtime.measure(tiles()).shape[-1]
    given = TileStatistics(np.ones((2, channels, 1, 1), np.float32))
    benchmark(runtime.run, tiles(), [given])


def test_tile_with_a_field_of_statistics(benchmark: Any, runtime: Any) -> None:
    channels = runtime.measure(tiles()).shape[-1]
    weights = np.full((SIZE, 4), 0.25, np.float32)
    given = TileStatistics(np.ones((2, channels, 4, 4), np.float32), weights, weights)
    benchmark(runtime.run, tiles(), [given])


def test_blending_a_tile(benchmark: Any) -> None:
    plan = plan_tiles(2000, 2000, tile=512, overlap=64)
    blender = StripBlender(plan, channels=6)
    tile = np.ones((512, 512, 6), np.float32)
    benchmark(blender.add, 1, tile)


def test_mixing_a_band(benchmark: Any) -> None:
    noisy, denoised = np.random.default_rng(0).random((2, 448, 6000, 3), dtype=np.float32)
    benchmark(mix, noisy, denoised, 0.8, 0.5)
