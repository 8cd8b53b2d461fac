"""What training tests train on."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A folder of smooth pictures with edges; beside it `others` to validate on, of the same."""
    folder, others = tmp_path / "photos", tmp_path / "others"
    folder.mkdir()
    y, x = np.mgrid[:256, :300] / 40
    for k in range(3):
        picture = (
            np.stack([np.sin(x * (1 + k) + c) * np.cos(y - c) for c in range(3)], -1) * 90 + 128
        )
        picture[(x.astype(int) + y.astype(int)) % 3 == 0] *= 0.7
        Image.fromarray(picture.clip(0, 255).astype(np.uint8)).save(folder / f"{k}.png")
    shutil.copytree(folder, others)
    return folder
