"""The table in docs/photo-files.md is what a fresh survey with exiftool finds."""

from __future__ import annotations

import importlib.util
import shutil
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("exiftool") is None, reason="exiftool is not installed")
def test_table_is_what_a_survey_finds(tmp_path: Path) -> None:
    pytest.importorskip("pillow_heif")
    pytest.importorskip("pillow_jxl")
    spec = importlib.util.spec_from_file_location("survey", ROOT / "tools/survey_photo_files.py")
    assert spec is not None
    assert spec.loader is not None
    survey = importlib.util.module_from_spec(spec)
    import sys

    sys.modules["survey"] = survey
    spec.loader.exec_module(survey)
    document = (ROOT / "docs/photo-files.md").read_text()
    table = document.split(survey.BEGIN)[1].split(survey.END)[0].strip()
    assert survey.markdown(survey.survey(tmp_path)).strip() == table
