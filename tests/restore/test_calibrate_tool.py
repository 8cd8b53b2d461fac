"""`tools/calibrate_int8.py`: after it a model can be had in int8, and its card says the price."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from aindnet.errors import DatasetError
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

    (tmp_path / "photos").mkdir()
    for name in ("a", "b"):
        photo = random.integers(0, 255, (24, 32, 3)).repeat(32, 0).repeat(32, 1).astype(np.uint8)
        Image.fromarray(photo).save(tmp_path / "photos" / f"{name}.png")

    tool.main(
        on=[f"pairs={tmp_path / 'pairs'}"],
        clean=[tmp_path / "photos"],
        model=str(path),
        limit=2,
        output=path,
    )

    loaded = load_model(path)
    assert loaded.card.licence == "CC0-1.0"
    losses = loaded.card.int8_loss_db
    assert len(losses) == 5
    assert {"clean tiles", "clean tiles, white noise of 50"} < losses.keys()
    assert max(map(abs, losses.values())) < 1
    assert str(tmp_path) not in loaded.card.int8_command
    for name, value in before.network.state_dict().items():
        np.testing.assert_array_equal(loaded.network.state_dict()[name], value)
    assert Denoiser.from_pretrained(path, precision="int8").precision == "int8"
    rows = capsys.readouterr().out.splitlines()
    precisions = [re.search(r", (\w+): [\d.]+ dB, mean loss", row) for row in rows]
    assert [found[1] for found in precisions if found] == ["fp32", "bf16", "int8"] * 5


def test_clean_photos_calibrate_or_measure(tmp_path: Path) -> None:
    tool = load_tool("calibrate_int8")
    for number in range(4):
        photo = np.full((512, 768, 3), 50 * number, np.uint8)
        Image.fromarray(photo).save(tmp_path / f"{number}.png")
    sides = [{round(255 * tile.max()) for tile in side} for side in tool._clean_tiles([tmp_path])]
    assert sides == [{0, 50}, {100, 150}]
    (tmp_path / "few").mkdir()
    Image.fromarray(photo).save(tmp_path / "few" / "a.png")
    with pytest.raises(DatasetError, match="6 tiles of 256 pixels: 12 are"):
        tool._clean_tiles([tmp_path / "few"])
