"""Each export is run by its own runtime and gives what the network gives."""

from __future__ import annotations

import json
import sys
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from aindnet.errors import ImageWriteError, MissingExtraError
from aindnet.pretrained import LoadedModel, ModelCard
from aindnet.restore.export import (
    ExportError,
    export_darktable,
    export_onnx,
    export_openvino,
    image_graph,
)
from restore_networks import COARSE_GRIDS, small_network

MODEL = LoadedModel(
    network=small_network(unshuffle=2),
    card=ModelCard(name="small", licence="Apache-2.0", date="2026-01-02", trained_on="nothing"),
    path=Path("small.safetensors"),
    sha256="ab" * 32,
)


def noisy(batch: int, height: int, width: int) -> np.ndarray:
    return np.random.default_rng(6).random((batch, 3, height, width), dtype=np.float32)


def expected(image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    with torch.inference_mode():
        out = MODEL.network(torch.from_numpy(image))
    assert (out.denoised - torch.from_numpy(image)).abs().mean() > 1e-3
    return out.denoised.numpy(), out.noise_level.numpy()


@pytest.mark.parametrize(
    ("size", "batch", "shape"), [(64, 2, (2, 64, 64)), (None, None, (3, 96, 128))], ids=str
)
def test_onnx_runs_in_onnx_runtime(
    tmp_path: Path, size: int | None, batch: int | None, shape: tuple[int, int, int]
) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    path = tmp_path / "small.onnx"
    export_onnx(MODEL, path, size=size, batch=batch)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    image = noisy(*shape)
    denoised, noise_level = session.run(["denoised", "noise_level"], {"noisy": image})
    np.testing.assert_allclose(denoised, expected(image)[0], atol=1e-4)
    np.testing.assert_allclose(noise_level, expected(image)[1], atol=1e-4)
    metadata = session.get_modelmeta().custom_metadata_map
    assert metadata["sha256"] == MODEL.sha256
    assert json.loads(metadata["card"])["licence"] == "Apache-2.0"


def test_the_released_graph_s_resize_runs_at_another_size_than_it_was_traced_at() -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    network = small_network(resize="tf1")
    graph = image_graph(network, size=None, batch=None)
    session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
    image = noisy(2, 96, 160)
    with torch.inference_mode():
        wanted = network(torch.from_numpy(image))
    denoised, noise_level = session.run(["denoised", "noise_level"], {"noisy": image})
    np.testing.assert_allclose(denoised, wanted.denoised.numpy(), atol=1e-5)
    np.testing.assert_allclose(noise_level, wanted.noise_level.numpy(), atol=1e-5)


def test_openvino_runs_in_openvino(tmp_path: Path) -> None:
    openvino = pytest.importorskip("openvino")
    path = tmp_path / "small.xml"
    export_openvino(MODEL, path, size=64)
    core = openvino.Core()
    model = core.compile_model(path, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    image = noisy(1, 64, 64)
    result = model({"noisy": image})
    np.testing.assert_allclose(result["denoised"], expected(image)[0], atol=1e-4)
    np.testing.assert_allclose(result["noise_level"], expected(image)[1], atol=1e-4)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["small.bin", "small.xml"]


def test_darktable_package_is_as_darktable_reads_it(tmp_path: Path) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    path = tmp_path / "denoise-small.dtmodel"
    export_darktable(MODEL, path, size=96)
    with zipfile.ZipFile(path) as package:
        # darktable takes the model's id from the folder of the first entry.
        assert package.namelist() == ["denoise-small/config.json", "denoise-small/model.onnx"]
        config = json.loads(package.read("denoise-small/config.json"))
        graph = package.read("denoise-small/model.onnx")
    assert {"id", "name", "description", "task", "backend", "version"} <= config.keys()
    assert (config["id"], config["task"], config["backend"]) == ("denoise-small", "denoise", "onnx")
    assert isinstance(config["version"], str)
    assert config["attributes"] == {"input_sizes": [96]}
    session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
    assert [i.shape for i in session.get_inputs()] == [[1, 3, 96, 96]]
    assert [o.shape for o in session.get_outputs()] == [[1, 3, 96, 96]]
    image = noisy(1, 96, 96)
    (denoised,) = session.run(None, {session.get_inputs()[0].name: image})
    np.testing.assert_allclose(denoised, expected(image)[0], atol=1e-4)


def test_nothing_is_left_where_nothing_can_be_written(tmp_path: Path) -> None:
    folder = tmp_path / "taken.onnx"
    folder.mkdir()
    with pytest.raises(ImageWriteError, match=r"taken\.onnx"):
        export_onnx(MODEL, folder, size=64)
    assert list(tmp_path.iterdir()) == [folder]


def test_sizes_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="multiple of 32"):
        export_onnx(MODEL, tmp_path / "a.onnx", size=100)


@pytest.mark.parametrize("config", COARSE_GRIDS, ids=str)
def test_networks_of_a_coarse_grid_take_multiples_of_it(config: dict[str, Any]) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    network = small_network(**config)
    with pytest.raises(ExportError, match="multiple of 64 pixels, not 96"):
        image_graph(network, size=96, batch=1)
    graph = image_graph(network, size=None, batch=None)
    session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
    image = noisy(1, 64, 192)
    with torch.inference_mode():
        wanted = network(torch.from_numpy(image)).denoised.numpy()
    np.testing.assert_allclose(session.run(["denoised"], {"noisy": image})[0], wanted, atol=1e-4)


def test_without_onnx_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(MissingExtraError, match="onnx is needed"):
        image_graph(MODEL.network, size=64, batch=1)


def test_darktable_s_version_changes_with_the_weights(tmp_path: Path) -> None:
    pytest.importorskip("onnx")
    versions = []
    for number, sha256 in enumerate(("ab" * 32, "cd" * 32)):
        path = tmp_path / f"{number}.dtmodel"
        export_darktable(replace(MODEL, sha256=sha256), path, size=64)
        with zipfile.ZipFile(path) as package:
            versions.append(json.loads(package.read(f"{number}/config.json"))["version"])
    assert versions == ["2026-01-02-abababab", "2026-01-02-cdcdcdcd"]


def test_darktable_takes_no_grey_model(tmp_path: Path) -> None:
    grey = replace(MODEL, network=small_network(image_channels=1))
    with pytest.raises(ExportError, match="grey photos"):
        export_darktable(grey, tmp_path / "grey.dtmodel", size=64)
    assert not list(tmp_path.iterdir())


def test_a_folder_that_is_a_file_is_said(tmp_path: Path) -> None:
    pytest.importorskip("onnx")
    (tmp_path / "file").touch()
    with pytest.raises(ImageWriteError, match=r"n\.onnx: cannot be written"):
        export_onnx(MODEL, tmp_path / "file" / "n.onnx", size=64)
