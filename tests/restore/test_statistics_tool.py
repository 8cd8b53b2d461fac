"""`tools/statistics_policies.py`: photos put together from crops, and a row of its table."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from aindnet.pretrained import ModelCard, save_model
from restore_networks import small_network
from tool_modules import load_tool


@pytest.fixture(scope="module")
def tool() -> ModuleType:
    return load_tool("statistics_policies")


def test_the_largest_rectangle_without_a_gap(tool: ModuleType) -> None:
    # A missing crop at the second row's start: 2 × 2 is left, or a row of three.
    places = [(7, 3), (7, 515), (7, 1027), (519, 515), (519, 1027), (3000, 3)]
    crops = {place: f"{index}" for index, place in enumerate(places)}
    assert tool._rectangle(crops, largest=10.0) == [["1", "2"], ["3", "4"]]
    assert tool._rectangle(crops, largest=0.8) == [["0", "1", "2"]]


def test_a_row_has_quality_seams_time_and_memory(tool: ModuleType, tmp_path: Path) -> None:
    model = tmp_path / "small.safetensors"
    save_model(model, small_network(), ModelCard(name="small"))
    # Noise that grows from left to right: tiles differ in their own statistics.
    noise = np.random.default_rng(0).normal(scale=20, size=(200, 640, 3))
    clean = np.full(noise.shape, 120, np.uint8)
    noisy = (clean + noise * np.linspace(0, 1, 640)[None, :, None]).astype(np.uint8)
    own, frozen = (
        tool._measure(name, str(model), "torch", (384, 512), [(noisy, clean)])
        for name in ("tile", "frozen, 32 windows of 192")
    )
    assert own.keys() == {"psnr", "worst", "mean", "seconds_per_megapixel", "peak_mb"}
    assert own["psnr"] != frozen["psnr"]
    assert own["mean"] > 3 * frozen["mean"]
