"""The few-shot tables count cameras, not runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from aindnet.pretrained import ModelCard, load_model, save_model
from restore_networks import small_network
from tool_modules import load_tool


def row(camera: str, variant: str, seed: int, psnr: float) -> dict[str, Any]:
    return {
        "camera": camera, "variant": variant, "seed": seed, "count": 0 if variant == "base" else 4,
        "psnr": psnr, "elsewhere": 38.0,
    }  # fmt: skip


ROWS = [
    row("A", "base", 0, 40.0), row("B", "base", 0, 41.0),
    row("A", "transfer", 0, 40.1), row("A", "transfer", 1, 40.3),
    row("B", "transfer", 0, 41.6), row("B", "transfer", 1, 41.6), row("B", "transfer", 2, 41.6),
    row("A", "retrain", 0, 40.2), row("A", "retrain", 1, 40.1),
]  # fmt: skip


def test_seeds_of_a_camera_are_one_value_of_the_mean_and_of_its_error() -> None:
    tool = load_tool("few_shot")
    _, gains = tool.summary(ROWS)
    own = gains["transfer"][4]
    assert own.runs == 5
    assert own.mean == pytest.approx([0.4, 0.0])  # of 0.2 and 0.6, however many seeds
    assert own.error == pytest.approx([0.2, 0.0])
    assert "+0.40 ± 0.20 / +0.00 (5)" in tool.table(ROWS)


def test_one_camera_has_no_error_and_pairs_of_runs_are_counted() -> None:
    tool = load_tool("few_shot")
    assert "| 4 | +0.050 | -0.100 | 2 |" in tool.paired(ROWS)


def test_runs_are_of_the_weights_whatever_the_card_says(tmp_path: Path) -> None:
    tool = load_tool("few_shot")
    network = small_network()
    save_model(tmp_path / "a.safetensors", network, ModelCard(name="a"))
    save_model(tmp_path / "b.safetensors", network, ModelCard(name="b"))
    first, second = (load_model(tmp_path / f"{each}.safetensors") for each in "ab")
    assert first.sha256 != second.sha256
    digest = tool.weights_digest(first.network)
    assert digest == tool.weights_digest(second.network)
    second.network.head.weight.data += 1e-3
    assert digest != tool.weights_digest(second.network)
