from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from aindnet.commands.app import main
from aindnet.network import AINDNet, AINDNetConfig
from aindnet.pretrained import ModelCard, load_model, save_model
from restore_networks import small_network


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("models") / "small.safetensors"
    save_model(path, small_network(), ModelCard(name="small"))
    return path


def call(*arguments: object) -> int:
    with pytest.raises(SystemExit) as stopped:
        main([str(each) for each in ("export", *arguments)])
    assert isinstance(stopped.value.code, int)
    return stopped.value.code


def test_what_it_writes_runs(model: Path, tmp_path: Path) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    output = tmp_path / "folder" / "small.onnx"
    assert call("--format", "onnx", "--output", output, "--model", model, "--dynamic") == 0
    session = onnxruntime.InferenceSession(output, providers=["CPUExecutionProvider"])
    image = np.random.default_rng(0).random((1, 3, 32, 64), dtype=np.float32)
    with torch.inference_mode():
        expected = small_network()(torch.from_numpy(image)).denoised.numpy()
    np.testing.assert_allclose(session.run(["denoised"], {"noisy": image})[0], expected, atol=1e-4)


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("--format", "onnx", "--output", "a.xml"), "must end in .onnx"),
        (("--format", "onnx", "--output", "a.onnx", "--size", "100"), "multiple of 32"),
        (("--format", "darktable", "--output", "a.dtmodel", "--dynamic"), "--dynamic"),
        (("--format", "safetensors", "--output", "a.pth"), "must end in .safetensors"),
        (("--format", "safetensors", "--output", "a.safetensors", "--size", "64"), "no size"),
    ],
)
def test_wrong_use_is_said_and_nothing_written(
    model: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: tuple[str, ...],
    reason: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert call(*arguments, "--model", model) == 2
    assert reason in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def detect(path: Path) -> AINDNet | None:
    """A loader of another program, written from docs/engine.md: it sees tensors and no header."""
    tensors = load_file(path)
    described = tensors.pop("aindnet_configuration", None)
    if described is None:
        return None
    configuration = json.loads(bytes(described.tolist()).decode("utf-8"))
    if (configuration["architecture"], configuration["version"]) != ("aindnet", 1):
        return None
    network = AINDNet(AINDNetConfig(**configuration["config"]))
    network.load_state_dict(tensors)
    return network.eval()


def test_a_loader_knows_the_state_dict_by_its_tensors_alone(model: Path, tmp_path: Path) -> None:
    output = tmp_path / "state.safetensors"
    assert call("--format", "safetensors", "--output", output, "--model", model) == 0
    image = torch.rand(1, 3, 40, 56)
    found = detect(output)
    assert found is not None
    assert found.config == small_network().config
    torch.testing.assert_close(found(image), small_network()(image), rtol=0, atol=0)
    again = load_model(output)  # and it is a model file all the same
    torch.testing.assert_close(again.network(image), found(image), rtol=0, atol=0)
    assert again.card == ModelCard(name="small")
    assert detect(model) is None
