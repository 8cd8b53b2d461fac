from __future__ import annotations

import json
from pathlib import Path

import pytest

from aindnet.restore.backends import create_backend, measured
from aindnet.restore.backends.measured import (
    Fastest,
    as_document,
    measured_fastest,
    measured_file,
)
from restore_networks import small_network

NETWORK = small_network()
TORCH = Fastest(backend="torch", device="cpu", precision="fp32")


def kept(text: str) -> Path:
    path = measured_file()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def test_auto_takes_what_was_measured_here() -> None:
    assert measured_fastest() is None
    kept(as_document(TORCH))
    assert measured_fastest() == TORCH
    chosen = create_backend(NETWORK)
    assert (chosen.name, chosen.device, chosen.precision) == ("torch", "cpu", "fp32")


def test_what_is_asked_for_counts_more() -> None:
    pytest.importorskip("onnxruntime")
    kept(as_document(Fastest(backend="onnx", device="cpu", precision="fp32")))
    assert create_backend(NETWORK).name == "onnx"
    assert create_backend(NETWORK, device="cpu").name == "onnx"
    assert create_backend(NETWORK, backend="torch").name == "torch"
    assert create_backend(NETWORK, device="cpu", precision="bf16").name != "onnx"
    assert create_backend(NETWORK, compiled=True, device="cpu").name == "torch"


def test_one_of_another_device_is_not_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    kept(as_document(Fastest(backend="torch", device="cuda", precision="bf16")))

    def refuse() -> dict[str, object]:
        raise AssertionError("the machine is not looked at for nothing")

    monkeypatch.setattr(measured, "_machine", refuse)
    assert measured_fastest("cpu") is None


@pytest.mark.parametrize("part", ["versions", "threads", "processor"])
def test_another_machine_s_measurement_is_none(part: str) -> None:
    document = json.loads(as_document(TORCH))
    document["machine"][part] = {"torch": "0.1"} if part == "versions" else "another"
    kept(json.dumps(document))
    assert measured_fastest() is None


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"machine": 1, "fastest": {}}', "\x00"])
def test_a_file_that_is_none_of_ours_is_none(text: str) -> None:
    kept(text)
    assert measured_fastest() is None
    assert create_backend(NETWORK).name
