"""tools/crop_scores.py: whose crops they are, and the noise that they are under."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from aindnet.network import AINDNet, AINDNetConfig, smoothing
from aindnet.pretrained import ModelCard, save_model
from tool_modules import TOOLS, load_tool


def test_a_constant_is_set_and_what_is_none_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(TOOLS))
    tool = load_tool("crop_scores")
    for name in ("WEAK_LEFT", "WEAK_STRENGTH"):
        monkeypatch.setattr(smoothing, name, getattr(smoothing, name))  # put back afterwards
    tool.set_constant("smoothing.WEAK_LEFT=0")
    tool.set_constant("smoothing.WEAK_STRENGTH=(1.4, 2.0)")
    assert (smoothing.WEAK_LEFT, smoothing.WEAK_STRENGTH) == (0, (1.4, 2.0))
    for wrong in (
        "smoothing.WEAK=0.1", "smoothing.NONE=1", "no.WEAK=1", "smoothing.between=1",
        "smoothing.WEAK_LEFT=x", "smoothing.WEAK_LEFT",
    ):  # fmt: skip
        with pytest.raises(SystemExit, match="--set"):
            tool.set_constant(wrong)


def test_clean_photos_under_white_noise(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(TOOLS))
    tool = load_tool("crop_scores")
    picture = np.full((300, 400, 3), 128, np.uint8)
    picture[150, 200] = 0  # the middle
    Image.fromarray(picture).save(tmp_path / "a.png")
    crops, again = tool.white_crops(tmp_path), tool.white_crops(tmp_path)
    assert len(crops) == len(tool.LEVELS)
    for level, (pair,), (same,) in zip(tool.LEVELS, crops.values(), again.values(), strict=True):
        assert pair.noisy.shape == pair.clean.shape == (256, 256, 3)
        assert pair.clean[128, 128, 0] == 0
        np.testing.assert_array_equal(pair.noisy, same.noisy)
        noise = pair.noisy.astype(float) - pair.clean
        assert noise[:100].std() == pytest.approx(level, rel=0.02, abs=1e-9)


def test_a_row_scores_what_the_network_makes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.syspath_prepend(str(TOOLS))
    tool = load_tool("crop_scores")
    (tmp_path / "clean-test/kodak8").mkdir(parents=True)
    grey = np.full((64, 64, 3), 100, np.uint8)
    Image.fromarray(grey).save(tmp_path / "clean-test/kodak8/a.png")
    network = AINDNet(AINDNetConfig(channels=(8, 8, 8), modulation_channels=8)).eval()
    network.head.weight.data.zero_()
    network.head.bias.data.fill_(2 / 255)  # off by two levels everywhere
    save_model(tmp_path / "m.safetensors", network, ModelCard(name="m"))
    monkeypatch.setattr(tool, "real_crops", lambda data: {})
    monkeypatch.setattr(sys, "argv", ["", "--data", str(tmp_path), str(tmp_path / "m.safetensors")])
    tool.main()
    cell = capsys.readouterr().out.splitlines()[-1].split("|")[2]
    assert float(cell) == pytest.approx(20 * np.log10(255 / 2), abs=0.01)
