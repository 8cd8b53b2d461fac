"""`tools/calibrate_int8.py`: after it a model can be had in int8, and its card says the price."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from aindnet.pretrained import ModelCard, load_model, save_model
from aindnet.restore import Denoiser
from restore_networks import small_network
from tool_modules import load_tool


def test_a_model_is_calibrated_and_measured(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("openvino")
    pytest.importorskip("nncf")
    tool = load_tool("calibrate_int8")
    random = np.random.default_rng(3)
    for name in ("a", "b", "c"):
        clean = random.integers(0, 255, (8, 9, 3)).repeat(32, 0).repeat(32, 1).astype(np.uint8)
        noisy = np.clip(clean + random.normal(scale=9, size=clean.shape), 0, 255).astype(np.uint8)
        for side, picture in (("clean", clean), ("noisy", noisy)):
            (tmp_path / "pairs" / side).mkdir(parents=True, exist_ok=True)
            Image.fromarray(picture).save(tmp_path / "pairs" / side / f"{name}.png")
    path = tmp_path / "model.safetensors"
    network = small_network(channels=(16, 16, 16), modulation_channels=16)
    save_model(path, network, ModelCard(name="model", licence="CC0-1.0"))
    before = load_model(path)

    tool.main(on=[f"pairs={tmp_path / 'pairs'}"], model=str(path), output=path)

    loaded = load_model(path)
    assert loaded.card.licence == "CC0-1.0"
    ((_, loss),) = loaded.card.int8_loss_db.items()
    assert abs(loss) < 1
    assert str(tmp_path) not in loaded.card.int8_command
    for name, value in before.network.state_dict().items():
        np.testing.assert_array_equal(loaded.network.state_dict()[name], value)
    assert Denoiser.from_pretrained(path, precision="int8").precision == "int8"
    rows = capsys.readouterr().out.splitlines()
    assert [row.split(", ")[1].split(":")[0] for row in rows if "mean loss" in row] == [
        "fp32",
        "bf16",
        "int8",
    ]
