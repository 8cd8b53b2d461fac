"""The table in docs/photo-files.md is what a fresh survey with exiftool finds."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tool_modules import load_tool

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("exiftool") is None, reason="exiftool is not installed")
def test_table_is_what_a_survey_finds(tmp_path: Path) -> None:
    pytest.importorskip("pillow_heif")
    pytest.importorskip("pillow_jxl")
    survey = load_tool("survey_photo_files")
    document = (ROOT / "docs/photo-files.md").read_text()
    table = document.split(survey.BEGIN)[1].split(survey.END)[0].strip()
    assert survey.markdown(survey.survey(tmp_path)).strip() == table
