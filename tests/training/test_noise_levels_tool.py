"""tools/noise_levels.py: errors are of the true level, and by how strong it is."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from aindnet.network import AINDNetOutput
from aindnet.training.data import Batch
from aindnet.training.transfer.pairs import PhotoPair
from tool_modules import TOOLS, load_tool


def noise_levels(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The tool, which uses its neighbours."""
    monkeypatch.syspath_prepend(str(TOOLS))
    return load_tool("noise_levels")


class Told:
    """A network that finds the same level everywhere."""

    def __init__(self, level: float) -> None:
        self.level = level

    def __call__(self, noisy: torch.Tensor) -> AINDNetOutput:
        """See the class."""
        level = torch.full_like(noisy, self.level / 255)
        return AINDNetOutput(noisy, level, level, level)


def batch_of(*levels: float) -> Batch:
    noisy = torch.rand(len(levels), 3, 8, 8)
    level = torch.tensor(levels).view(-1, 1, 1, 1) / 255
    return Batch(noisy, noisy, level.expand_as(noisy).clone(), "synthetic")


def test_errors_are_shares_of_the_true_level_by_band(monkeypatch: pytest.MonkeyPatch) -> None:
    tool = noise_levels(monkeypatch)
    # Two of them lie outside of 1 to 50 of 255, where nothing is promised.
    found = tool.levels_of(Told(4), [batch_of(0.5, 5, 3.2), batch_of(8, 60)])
    assert [level.true for level in found] == pytest.approx([5, 3.2, 8])
    assert [level.error for level in found] == pytest.approx([0.2, 0.25, 0.5])
    name, photos, mean, median, by_pixel, ratio, *bands = tool.row_of("told", found)
    assert (name, photos, mean, median, by_pixel) == ("told", "3", "32", "25", "32")
    assert ratio == "0.80"
    assert bands == ["", "25 (1)", "20 (1)", "50 (1)", ""]


def test_a_map_that_is_right_in_the_mean_alone_is_off_by_pixel(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tool = noise_levels(monkeypatch)
    batch = batch_of(10)
    assert batch.noise_level is not None
    batch.noise_level[..., :4] *= 0.5
    batch.noise_level[..., 4:] *= 1.5
    (level,) = tool.levels_of(Told(10), [batch])
    assert level.error == pytest.approx(0, abs=1e-5)
    assert level.by_pixel / level.true == pytest.approx(0.5)


def pair_of(level: int) -> PhotoPair:
    clean = np.full((8, 8, 3), 100, np.uint8)
    noisy = clean + level * np.where(np.indices(clean.shape).sum(0) % 2, 1, -1)
    return PhotoPair("a", noisy.astype(np.uint8), clean, "a")


def test_validation_may_be_a_folder_of_photos(
    photos: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    tool = noise_levels(monkeypatch)
    (tmp_path / "clean").mkdir()
    photos.rename(tmp_path / "clean/mine")
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text("name: x\ndata: [none.tar]\nvalidation: [elsewhere/mine]")
    monkeypatch.setattr(tool, "real_crops", lambda data: {"real": [pair_of(5)]})
    monkeypatch.setattr(tool, "white_crops", lambda folder: {"none": [pair_of(0)]})
    monkeypatch.setattr(tool, "load_model", lambda name: SimpleNamespace(network=Told(4)))
    arguments = [str(recipe), "told", "--data", str(tmp_path), "--photos", "4"]
    monkeypatch.setattr(sys, "argv", ["", *arguments])
    tool.main()
    *_, crops = capsys.readouterr().out.splitlines()
    assert crops == "| told | 20 (0.80) | 4.00 |"
