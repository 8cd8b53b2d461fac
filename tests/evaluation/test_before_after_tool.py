"""`tools/before_after.py`: a sheet of crops."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from aindnet.pretrained import ModelCard, save_model
from restore_networks import small_network
from tool_modules import load_tool


def test_the_window_is_where_there_is_most_to_see() -> None:
    tool = load_tool("before_after")
    photo = np.full((200, 220, 3), 0.5)
    photo[100:196:2, 120:216:2] = photo[101:196:2, 121:216:2] = 0.9
    assert tool.most_to_see(photo) == (slice(100, 196), slice(120, 216))


def test_a_row_for_each_photo_and_a_column_for_each_model(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tool = load_tool("before_after")
    model = tmp_path / "mine.safetensors"
    save_model(model, small_network(), ModelCard(name="mine"))
    tool.main(str(model), output=tmp_path / "sheet.png", photos=1)
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert sheet.size == (3 * 192, 3 * (192 + tool.HEADING))
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 9
    assert lines[0].endswith("dB")
    assert lines[1].startswith("astronaut white: mine, ")
