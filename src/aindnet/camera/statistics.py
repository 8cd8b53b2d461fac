"""The fitted statistics of real cameras (made by `tools/fit_camera_statistics.py`)."""

from __future__ import annotations

import functools
import json
from importlib import resources
from typing import Any


@functools.cache
def statistics() -> dict[str, Any]:
    """`response`, `noise` and `cameras`, as the fitting tool describes them."""
    text = resources.files("aindnet.camera").joinpath("statistics.json").read_text("utf-8")
    loaded: dict[str, Any] = json.loads(text)
    return loaded
