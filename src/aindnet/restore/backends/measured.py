"""The fastest backend as it was measured on this machine, kept for `--backend auto`."""

from __future__ import annotations

import importlib.metadata
import json
import platform
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from aindnet import __version__
from aindnet.errors import NoHomeError
from aindnet.network.precision import has_fast_bf16

RUNTIMES = ("torch", "openvino", "onnx", "onnxruntime")
"""Another version of one may be faster: measured again, or not at all."""


@dataclass(frozen=True)
class Fastest:
    """What `aindnet benchmark --remember` found."""

    backend: str
    device: str
    precision: str


def measured_file() -> Path:
    """Where it is kept: `fastest.json` in the user's data folder."""
    from aindnet.pretrained.files import data_folder

    return data_folder() / "fastest.json"


def as_document(fastest: Fastest) -> str:
    """What to keep, as text."""
    return json.dumps({"machine": _machine(), "fastest": asdict(fastest)}, indent=1) + "\n"


def measured_fastest(device: str = "auto") -> Fastest | None:
    """What was kept, if it is of this device and was measured on such a machine, with as many
    threads and by these versions.

    None where there is no such file, or one that is not ours.
    """
    try:
        document = json.loads(measured_file().read_text("utf-8"))
        found = Fastest(**document["fastest"])
        fits = device in ("auto", found.device) and document["machine"] == _machine()
    except (OSError, NoHomeError, ValueError, KeyError, TypeError):
        return None
    return found if fits else None


def _machine() -> dict[str, Any]:
    return {
        "processor": f"{platform.machine()}, {torch.backends.cpu.get_cpu_capability()}",
        "bf16": has_fast_bf16("cpu"),
        "amx": torch.cpu._is_amx_tile_supported(),
        "threads": torch.get_num_threads(),
        "gpus": torch.cuda.device_count(),  # which does not start them
        "versions": {"aindnet": __version__} | {n: installed_version(n) for n in RUNTIMES},
    }


def installed_version(name: str) -> str | None:
    """Of a package; None where it is not installed by this name."""
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None
