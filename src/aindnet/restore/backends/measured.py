"""The fastest backend as it was measured on this machine, kept for `--backend auto`."""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from aindnet.network.precision import has_fast_bf16

RUNTIMES = ("torch", "openvino", "onnxruntime")
"""Another version of one may be faster: measured again, or not at all."""


@dataclass(frozen=True)
class Fastest:
    """What `aindnet benchmark --remember` found."""

    backend: str
    device: str
    precision: str


def measured_file() -> Path:
    """Where it is kept: `fastest.json` in the user's data folder."""
    folder = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local/share"
    return Path(folder) / "aindnet" / "fastest.json"


def as_document(fastest: Fastest) -> str:
    """What to keep, as text."""
    return json.dumps({"machine": _machine(), "fastest": asdict(fastest)}, indent=1) + "\n"


def measured_fastest() -> Fastest | None:
    """What was kept, if it was measured on such a machine with these runtimes.

    None where there is no such file, or one that is not ours.
    """
    try:
        document = json.loads(measured_file().read_text("utf-8"))
        same = document["machine"] == _machine()
        return Fastest(**document["fastest"]) if same else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _machine() -> dict[str, Any]:
    return {
        "processor": f"{platform.machine()}, {torch.backends.cpu.get_cpu_capability()}",
        "bf16": has_fast_bf16("cpu"),
        "amx": torch.cpu._is_amx_tile_supported(),
        "threads": torch.get_num_threads(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "versions": {name: _version(name) for name in RUNTIMES},
    }


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None
