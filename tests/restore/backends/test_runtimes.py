"""Every runtime computes what PyTorch computes."""

from __future__ import annotations

import importlib.util
import shutil
import sys
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from aindnet.errors import DeviceError, MissingExtraError
from aindnet.network import AINDNet
from aindnet.network.precision import has_fast_bf16
from aindnet.restore import ArraySource, Denoiser
from aindnet.restore.backends import create_backend
from aindnet.restore.backends.base import Array, Backend, Given, TileStatistics
from aindnet.restore.backends.graph import tile_graph
from aindnet.restore.backends.int8 import int8_layers
from aindnet.restore.backends.openvino_backend import computes_in, import_openvino
from aindnet.restore.backends.tile_network import TileNetwork
from aindnet.restore.backends.torch_backend import full_float32
from aindnet.restore.tiling import alignment_for
from restore_networks import COARSE_GRIDS, small_network

NETWORK = small_network(unshuffle=2)
RNG = np.random.default_rng(4)
TILES = RNG.random((2, 3, 64, 96), dtype=np.float32)
RUNTIMES = [("openvino", "fp32"), ("onnx", "fp32"), ("openvino", "bf16"), ("torch", "bf16")]


def statistics(kind: str) -> list[Given]:
    if kind == "own":
        return ["own", "own"]
    if kind == "sliding":
        return [48, 48]
    measured = create_backend(NETWORK, backend="torch", device="cpu", precision="fp32").measure(
        TILES
    )
    scale = 1 / np.sqrt(measured[:, 1] + 1e-5)
    grid = np.stack([measured[:, 0], 1 / scale], axis=1)[..., None, None]
    if kind == "given":
        return [TileStatistics(each) for each in grid]
    wide = grid * RNG.uniform(0.8, 1.2, (*grid.shape[:3], 3, 4)).astype(np.float32)
    rows, columns = (RNG.dirichlet(np.ones(g), n).astype(np.float32) for n, g in ((64, 3), (96, 4)))
    return [TileStatistics(each, rows, columns) for each in wide]


@pytest.fixture(scope="module", params=RUNTIMES, ids=" ".join)
def runtime(request: pytest.FixtureRequest) -> Any:
    backend, precision = request.param
    if backend != "torch":
        pytest.importorskip("openvino" if backend == "openvino" else "onnxruntime")
    return create_backend(NETWORK, backend=backend, device="cpu", precision=precision, batch=2)


def like(runtime: Any, network: AINDNet) -> Backend:
    """Another network in the same runtime and precision."""
    return create_backend(
        network, backend=runtime.name, device="cpu", precision=runtime.precision, batch=2
    )


@pytest.mark.parametrize("kind", ["own", "given", "grid", "sliding"])
def test_runtimes_agree(runtime: Any, kind: str) -> None:
    given = statistics(kind)
    reference = create_backend(NETWORK, backend="torch", device="cpu", precision="fp32")
    expected = reference.run(TILES, given)
    change = np.abs(expected[:, :3] - TILES).mean()
    assert change > 0.005
    difference = np.abs(runtime.run(TILES, given) - expected)
    if runtime.precision == "fp32":
        assert difference.max() < 1e-4
    else:
        assert difference.max() < change
        assert difference.mean() < 0.03 * change


def assert_close(result: Array, expected: Array, precision: str) -> None:
    """In bf16 within a few hundredths of what the network changes."""
    difference, change = np.abs(result - expected), np.abs(expected - TILES)
    if precision == "fp32":
        assert difference.max() < 1e-4
    else:
        assert difference.max() < change.max()
        assert difference.mean() < 0.05 * change.mean()


def test_measured_statistics_agree(runtime: Any) -> None:
    reference = create_backend(NETWORK, backend="torch", device="cpu", precision="fp32")
    expected = reference.measure(TILES)
    tolerance = 1e-4 if runtime.precision == "fp32" else 0.03 * np.sqrt(expected[:, 1].max())
    np.testing.assert_allclose(runtime.measure(TILES), expected, atol=tolerance, rtol=0.03)


def test_results_do_not_depend_on_the_neighbours_in_a_batch(runtime: Any) -> None:
    both = runtime.run(TILES, ["own", "own"])
    swapped = runtime.run(TILES[::-1].copy(), ["own", "own"])
    np.testing.assert_array_equal(both, swapped[::-1])


def test_the_papers_pooled_map_runs_everywhere(runtime: Any) -> None:
    network = small_network(map_resize="average", modulation_stride=2)
    own = like(runtime, network)
    with torch.inference_mode():
        expected = network(torch.from_numpy(TILES)).denoised.numpy()
    difference = np.abs(own.run(TILES, ["own", "own"])[:, :3] - expected)
    assert difference.max() < (1e-4 if runtime.precision == "fp32" else 0.1)


def test_constants_are_given_for_every_tile_of_a_batch(runtime: Any) -> None:
    own = create_backend(
        small_network(normalization="none"), backend=runtime.name, device="cpu", batch=2
    )
    measured = own.measure(TILES)
    assert len(measured) == len(TILES) == 2
    np.testing.assert_array_equal(measured[0], measured[1])


@pytest.mark.parametrize("kind", ["running", "none"])
@pytest.mark.parametrize("limit", [None, 0.7])
@pytest.mark.parametrize("backend", ["openvino", "onnx", "torch"])
def test_statistics_from_training_are_constants_of_the_graph(
    backend: Any, limit: float | None, kind: str
) -> None:
    if backend != "torch":
        pytest.importorskip("openvino" if backend == "openvino" else "onnxruntime")
    network = small_network(unshuffle=2, normalization=kind, feature_limit=limit)
    runtime = create_backend(network, backend=backend, device="cpu", precision="fp32", batch=2)
    with torch.inference_mode():
        expected = network(torch.from_numpy(TILES)).denoised.numpy()
    assert np.abs(expected - TILES).mean() > 1e-3
    result = runtime.run(TILES, ["own", "own"])
    np.testing.assert_allclose(result[:, :3], expected, atol=1e-4)


@pytest.mark.parametrize("unshuffle", [1, 2])
def test_means_are_kept_in_every_runtime(runtime: Any, unshuffle: int) -> None:
    network = small_network(normalization="none", unshuffle=unshuffle, mean_limit=0.05)
    own = like(runtime, network)
    with torch.inference_mode():
        expected = network(torch.from_numpy(TILES)).denoised.numpy()
        free = small_network(normalization="none", unshuffle=unshuffle)
        assert np.abs(free(torch.from_numpy(TILES)).denoised.numpy() - expected).max() > 1e-3
    assert_close(own.run(TILES, ["own", "own"])[:, :3], expected, own.precision)


@pytest.mark.parametrize(
    "further",
    [
        {"half_pass": 50.0},
        {"looks": 2},
        {"smoothing": True},
        {"smoothing": True, "colour_pass": True},
    ],
    ids=str,
)
def test_further_passes_are_in_every_runtime(runtime: Any, further: dict[str, Any]) -> None:
    network = small_network(normalization="none", unshuffle=2, **further)
    own = like(runtime, network)
    with torch.inference_mode():
        expected = network(torch.from_numpy(TILES)).denoised.numpy()
        once = small_network(normalization="none", unshuffle=2)
        assert np.abs(once(torch.from_numpy(TILES)).denoised.numpy() - expected).max() > 1e-3
    assert_close(own.run(TILES, ["own", "own"])[:, :3], expected, own.precision)


@pytest.mark.parametrize(
    "config", [{"modulation_stride": 3}, {"modulation_stride": 16, "half_pass": 50.0}], ids=str
)
def test_any_stride_of_the_modulation_is_the_same_in_every_runtime(
    runtime: Any, config: dict[str, Any]
) -> None:
    network = small_network(normalization="none", unshuffle=2, **config)
    assert network.multiple % (2 * network.config.modulation_stride) == 0
    side = alignment_for(network.multiple)
    tiles = RNG.random((2, 3, side, 2 * side), dtype=np.float32)
    with torch.inference_mode():
        expected = network(torch.from_numpy(tiles)).denoised.numpy()
    difference = np.abs(like(runtime, network).run(tiles, ["own", "own"])[:, :3] - expected)
    bound = 1e-4 if runtime.precision == "fp32" else 0.1 * np.abs(expected - tiles).max()
    assert difference.max() < bound


@pytest.mark.parametrize("backend", ["openvino", "onnx"])
def test_several_networks_are_traced_at_once(backend: str) -> None:
    """The exporter has one state for all threads, and so have Python's filters of warnings."""
    pytest.importorskip("openvino" if backend == "openvino" else "onnxruntime")
    filters = list(warnings.filters)

    def first_run(side: int) -> Array:
        network = small_network(normalization="none", channels=(6, 8, side))
        made = create_backend(network, backend=backend, device="cpu", precision="fp32", batch=2)
        return made.run(TILES, ["own", "own"])

    with ThreadPoolExecutor(4) as pool:
        shapes = [result.shape for result in pool.map(first_run, (4, 5, 6, 7))]
    assert shapes == [(2, 6, 64, 96)] * 4
    assert warnings.filters == filters


@pytest.mark.parametrize("config", COARSE_GRIDS, ids=str)
def test_networks_of_a_coarse_grid_run_alike_everywhere(
    runtime: Any, config: dict[str, Any]
) -> None:
    network = small_network(**config)
    assert network.multiple == 64
    denoiser = Denoiser(
        network, backend=runtime.name, device="cpu", precision=runtime.precision, batch=1
    )
    image = np.ascontiguousarray(TILES[0, :, :60, :90].transpose(1, 2, 0))
    assert denoiser.plan(ArraySource(image)).tile_shape == (64, 128)
    with torch.inference_mode():
        denoised = network(torch.from_numpy(TILES[:1, :, :60, :90])).denoised
    difference = np.abs(denoiser(image).image - denoised[0].permute(1, 2, 0).numpy())
    assert difference.max() < (1e-4 if runtime.precision == "fp32" else 0.02)


def test_what_is_not_installed_is_said_before_it_is_needed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    for backend in ("openvino", "onnx"):
        with pytest.raises(MissingExtraError, match="onnx is needed"):
            create_backend(NETWORK, backend=backend, device="cpu", precision="fp32")
    with pytest.raises(MissingExtraError, match="onnx is needed"):
        tile_graph(TileNetwork(NETWORK), "own")


def test_an_openvino_that_cannot_be_loaded_is_said_to_be_broken(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "openvino.py").write_text("raise ImportError('libtbb.so: cannot open')")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "openvino", raising=False)
    with pytest.raises(DeviceError, match=r"cannot be loaded \(libtbb.so: cannot open\)"):
        import_openvino()


def test_tf32_is_off_until_the_last_that_wants_it_off_is_done() -> None:
    before = torch.backends.cudnn.allow_tf32
    first, second = full_float32(), full_float32()
    for each in (first, second):
        each.__enter__()
        assert not torch.backends.cudnn.allow_tf32
    first.__exit__(None, None, None)
    assert not torch.backends.cudnn.allow_tf32
    second.__exit__(None, None, None)
    assert torch.backends.cudnn.allow_tf32 == before


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_fp32_on_a_gpu_is_float32() -> None:
    there, here = (
        create_backend(NETWORK, backend="torch", device=device, precision="fp32", batch=2)
        for device in ("cuda", "cpu")
    )
    expected = here.run(TILES, ["own", "own"])
    np.testing.assert_allclose(there.run(TILES, ["own", "own"]), expected, atol=1e-5)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_batches_in_flight_on_a_gpu_do_not_mix() -> None:
    backend = create_backend(NETWORK, backend="torch", device="cuda", precision="fp32", batch=2)
    batches = [RNG.random((2, 3, 256, 256), dtype=np.float32) for _ in range(6)]
    pending = [backend.start(each, ["own", "own"]) for each in batches]
    for tiles, result in zip(batches, pending, strict=True):
        np.testing.assert_array_equal(result(), backend.run(tiles, ["own", "own"]))


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("c++") is None, reason="needs a C++ compiler")
@pytest.mark.parametrize("kind", ["own", "given", "grid", "sliding"])
def test_the_compiled_network_is_the_network(kind: str) -> None:
    plain, compiled = (
        create_backend(NETWORK, backend="torch", device="cpu", precision="fp32", compiled=each)
        for each in (False, True)
    )
    given = statistics(kind)
    expected = plain.run(TILES, given)
    np.testing.assert_allclose(compiled.run(TILES, given), expected, atol=1e-4)


def test_only_torch_is_compiled() -> None:
    assert create_backend(NETWORK, device="cpu", compiled=True).name == "torch"
    with pytest.raises(DeviceError, match="leave --compile out"):
        create_backend(NETWORK, backend="onnx", compiled=True)


def test_what_the_machine_cannot_do_is_said() -> None:
    with pytest.raises(DeviceError, match="int8 does not run on the torch backend"):
        create_backend(NETWORK, backend="torch", device="cpu", precision="int8")
    with pytest.raises(DeviceError, match="no such device"):
        create_backend(NETWORK, device="tpu")
    with pytest.raises(DeviceError, match="no such backend"):
        create_backend(NETWORK, backend="caffe")


def test_auto_names_a_real_choice() -> None:
    chosen = create_backend(NETWORK)
    runtime = importlib.util.find_spec("openvino") is not None
    if chosen.device == "cpu":
        assert chosen.name == ("openvino" if runtime else "torch")
        assert chosen.precision == ("bf16" if has_fast_bf16("cpu") else "fp32")
    else:
        assert chosen.name == "torch"


def test_bf16_on_openvino_is_refused_where_the_cpu_has_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """OpenVINO takes float32 there, and says so of the compiled model alone."""
    openvino = pytest.importorskip("openvino")
    compile_model = openvino.Core.compile_model

    def without_bf16(core: Any, model: Any, device: str, options: dict[str, Any]) -> Any:
        return compile_model(core, model, device, {**options, "INFERENCE_PRECISION_HINT": "f32"})

    computes_in.cache_clear()
    monkeypatch.setattr(openvino.Core, "compile_model", without_bf16)
    monkeypatch.setattr("aindnet.restore.backends.choice.has_fast_bf16", lambda device: True)
    try:
        with pytest.raises(DeviceError, match=r"bf16: OpenVINO does not .* --precision fp32"):
            create_backend(NETWORK, backend="openvino", device="cpu", precision="bf16")
        auto = create_backend(NETWORK, device="cpu")
        assert (auto.name, auto.precision) == ("openvino", "fp32")
        assert create_backend(NETWORK, device="cpu", precision="bf16").name == "torch"
        ranges = {name: (0.0, 1.0) for name in int8_layers(TileNetwork(NETWORK))}
        int8 = create_backend(NETWORK, device="cpu", precision="int8", int8_ranges=ranges)
        assert (int8.name, int8.precision) == ("openvino", "int8")
    finally:
        computes_in.cache_clear()


def test_auto_takes_a_backend_that_has_the_precision() -> None:
    assert create_backend(NETWORK, device="cpu", precision="fp16").name == "torch"
