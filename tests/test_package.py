"""The package as a whole: light to import, quick to start, its doctests true."""

from __future__ import annotations

import doctest
import importlib
import subprocess
import sys

import pytest

HEAVY = ["torch", "pyvips", "pytorch_lightning", "openvino", "onnxruntime", "kornia", "skimage"]
WITH_DOCTESTS = [
    "aindnet.camera.compression",
    "aindnet.camera.response",
    "aindnet.camera.sensor",
    "aindnet.camera.simulator",
    "aindnet.network.aindnet",
    "aindnet.network.resampling",
    "aindnet.training.losses",
    "aindnet.training.schedule",
]


def loaded_by(code: str) -> list[str]:
    program = f"import sys; {code}; print(*[m for m in {HEAVY} if m in sys.modules])"
    return subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    ).stdout.split()


def test_importing_the_package_loads_nothing_heavy() -> None:
    assert loaded_by("import aindnet") == []


def test_building_the_command_line_loads_nothing_heavy() -> None:
    assert loaded_by("from aindnet.commands.app import build_app; build_app()") == []


def test_the_public_names_are_there() -> None:
    import aindnet

    for name in aindnet.__all__:
        assert getattr(aindnet, name) is not None
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = aindnet.no_such_name


@pytest.mark.parametrize("module", WITH_DOCTESTS)
def test_doctests(module: str) -> None:
    result = doctest.testmod(importlib.import_module(module))
    assert result.attempted > 0
    assert result.failed == 0


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["denoise", "--help"]])
def test_help_and_version_succeed(arguments: list[str]) -> None:
    run = subprocess.run(
        [sys.executable, "-m", "aindnet", *arguments], capture_output=True, check=False
    )
    assert run.returncode == 0
    assert run.stdout


@pytest.mark.parametrize(
    "arguments", [["nonsense"], ["denoise"], ["denoise", "x.png", "--no-such"]]
)
def test_wrong_usage_exits_with_2(arguments: list[str]) -> None:
    run = subprocess.run(
        [sys.executable, "-m", "aindnet", *arguments], capture_output=True, text=True, check=False
    )
    assert run.returncode == 2
    assert run.stderr
    assert not run.stdout
