from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from aindnet.commands.app import main
from aindnet.pretrained import ModelCard, save_model
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
