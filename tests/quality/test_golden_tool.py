"""`tools/quality_golden.py`: which models it measures, and what it leaves behind."""

import importlib
import json
from dataclasses import replace
from pathlib import Path

import pytest

from aindnet.pretrained import load_model, save_model
from aindnet.pretrained.files import BUNDLED

TOOLS = Path(__file__).parents[2] / "tools"


@pytest.fixture
def tool(monkeypatch, tmp_path):
    monkeypatch.syspath_prepend(str(TOOLS))
    module = importlib.import_module("quality_golden")
    monkeypatch.setattr(module, "GOLDEN", tmp_path / "golden.json")
    (tmp_path / "golden.json").write_text("{}")
    monkeypatch.setattr(module, "measure", lambda ours, samples: {"set": {"psnr": 30.0}})
    monkeypatch.setattr(module, "complaints", lambda numbers, golden: [])
    monkeypatch.setattr("sys.argv", ["quality_golden.py"])
    return module


def test_models_outside_the_package_have_no_golden_numbers(tool, tmp_path, monkeypatch):
    bundled = sorted(path.stem for path in BUNDLED.glob("*.safetensors"))
    loaded = load_model(bundled[0])
    save_model(tmp_path / "mine.safetensors", loaded.network, replace(loaded.card, name="mine"))
    monkeypatch.setenv("AINDNET_MODELS", str(tmp_path))
    tool.main()
    assert sorted(json.loads(tool.GOLDEN.read_text())) == bundled


def test_a_killed_run_leaves_the_golden_numbers_as_they_were(tool, monkeypatch):
    def killed(path, text, **options):
        path.write_bytes(text[:5].encode())
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "write_text", killed)
    with pytest.raises(KeyboardInterrupt):
        tool.main()
    assert tool.GOLDEN.read_text() == "{}"
