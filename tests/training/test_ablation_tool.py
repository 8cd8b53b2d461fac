"""tools/ablation.py: a killed run goes on, and nothing is trained twice."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("pytorch_lightning")
from aindnet.training.fit import fit
from tool_modules import load_tool
from training_runs import recipe


def test_what_is_trained_is_not_trained_again(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tool = load_tool("ablation")
    file = tmp_path / "ablation.yaml"
    file.write_text("name: x\ndata: [clean.tar]")
    plan = tool.Plan(tmp_path, file, "2 steps", tmp_path / "runs")
    given = recipe(photos, tmp_path, name="ablation-none", validation=())
    called: list[list[str]] = []

    def train(arguments: list[str]) -> str:
        called.append(arguments)
        resume = Path(arguments[-1]) if "--resume" in arguments else None
        fit(replace(given, budget="2 steps"), resume=resume, overwrite="--overwrite" in arguments)
        return ""

    monkeypatch.setattr(tool, "aindnet", train)
    tool.train_variant(plan, "none")
    tool.train_variant(plan, "none")
    assert len(called) == 1
    plan.model("none").unlink()  # as of a run that was killed before it wrote it
    tool.train_variant(plan, "none")
    tool.train_variant(plan, "none")
    assert len(called) == 2
    assert called[1][-2:] == ["--resume", str(plan.folder("none") / "last.ckpt")]
    assert plan.model("none").is_file()
