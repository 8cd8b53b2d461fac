"""Every row of `recipes/training_ablation.yaml` is a recipe, and each differs from the first."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import yaml

from aindnet.network import AINDNet, AINDNetConfig
from aindnet.pretrained import ModelCard, save_model
from aindnet.training import load_recipe
from aindnet.training.transfer.pairs import PhotoPair
from tool_modules import TOOLS, load_tool

ROOT = TOOLS.parent


@pytest.fixture
def tool(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.chdir(ROOT)
    monkeypatch.syspath_prepend(str(TOOLS))
    return load_tool("training_ablation")


def test_every_row_is_a_recipe_of_its_own(tool: ModuleType, tmp_path: Path) -> None:
    plan = yaml.safe_load((ROOT / "recipes/training_ablation.yaml").read_text("utf-8"))
    read = []
    for row in plan["rows"]:
        recipe = tool.recipe_of(plan, row, tmp_path)
        path = tmp_path / "recipe.yaml"
        path.write_text(yaml.safe_dump(recipe, allow_unicode=True), encoding="utf-8")
        read.append(load_recipe(path))
    assert {path.parent for recipe in read for path in recipe.data} == {tmp_path / "clean"}
    assert all(recipe != read[0] for recipe in read[1:])
    assert len({str(recipe) for recipe in read}) == len(read)


def test_a_mapping_s_fields_are_changed_one_by_one_and_priors_as_a_whole(tool: ModuleType) -> None:
    fields = {"camera": {"priors": {"cameras": 0.3}, "jpeg": 0.5}, "patterns": 0.1}
    changes = {"camera": {"priors": {"uniform": 1.0}}}
    assert tool.changed(fields, changes) == {
        "camera": {"priors": {"uniform": 1.0}, "jpeg": 0.5},
        "patterns": 0.1,
    }


def test_a_row_that_is_trained_is_measured_and_kept(
    tool: ModuleType,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    model = tmp_path / "m.safetensors"
    network = AINDNet(AINDNetConfig(channels=(8, 8, 8), modulation_channels=8)).eval()
    save_model(model, network, ModelCard(name="m"))
    grey = np.full((32, 32, 3), 100, np.uint8)
    pair = PhotoPair("a", grey, grey, "a")
    sets = ("renoir", "sidd-sample", "polyu")
    monkeypatch.setattr(tool, "real_crops", lambda data: {name: [pair] for name in sets})
    white = {name: [pair] for name in ("Kodak, σ = 0", "Kodak, σ = 5")}
    monkeypatch.setattr(tool, "white_crops", lambda folder: white)
    monkeypatch.setattr(tool, "train", lambda row, rows, output: model)
    arguments = ["recipes/training_ablation.yaml", "--data", str(tmp_path), "--output"]
    monkeypatch.setattr(sys, "argv", ["", *arguments, str(tmp_path), "--only", "AdamW"])
    tool.main()
    assert "| AdamW | " in capsys.readouterr().out
    assert set(json.loads((tmp_path / "rows.json").read_text())) == {"AdamW"}


def test_a_row_goes_on_from_another_s_weights(
    tool: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = yaml.safe_load((ROOT / "recipes/training_ablation.yaml").read_text("utf-8"))
    rows = {row: tool.recipe_of(plan, row, tmp_path) for row in plan["rows"]}
    (second,) = [row for row, recipe in rows.items() if recipe.get("initial")]
    first = rows[second]["initial"]
    written: list[Path] = []
    monkeypatch.setattr(tool.subprocess, "run", lambda command, **_: written.append(command[4]))
    with pytest.raises(SystemExit, match="make the row 'half as many steps' first"):
        tool.train(second, rows, tmp_path)
    model = tool.train(first, rows, tmp_path)
    model.parent.mkdir()
    model.touch()
    tool.train(second, rows, tmp_path)
    assert [yaml.safe_load(Path(path).read_text("utf-8")).get("initial") for path in written] == [
        None,
        str(model),
    ]
    # Where the first row's recipe changes, the second is another too.
    changed = rows | {first: rows[first] | {"patterns": 0.3}}
    assert tool.decisive(rows[second], rows) != tool.decisive(changed[second], changed)
