"""Which backend, device and precision: what was asked for, or the fastest of what is there."""

from __future__ import annotations

import importlib.util

import torch

from aindnet.errors import DeviceError
from aindnet.network import AINDNet
from aindnet.network.precision import has_fast_bf16
from aindnet.restore.backends.base import Backend
from aindnet.restore.backends.int8 import Ranges
from aindnet.restore.backends.measured import measured_fastest
from aindnet.restore.backends.onnx_backend import ONNXBackend
from aindnet.restore.backends.openvino_backend import OpenVINOBackend, computes_in
from aindnet.restore.backends.torch_backend import TorchBackend

GPU_BATCH = 8
PRECISIONS = {
    "torch": ("fp32", "bf16", "fp16"),
    "openvino": ("fp32", "bf16", "int8"),
    "onnx": ("fp32",),
}
NO_INT8 = (
    "int8: this model's card does not say what int8 costs it: take another --precision, or "
    "calibrate and measure it by tools/calibrate_int8.py (docs/engine.md, int8)"
)


def create_backend(
    network: AINDNet,
    *,
    backend: str = "auto",
    device: str = "auto",
    precision: str = "auto",
    batch: int | None = None,
    compiled: bool = False,
    int8_ranges: Ranges | None = None,
) -> Backend:
    """The network, ready to run tiles.

    "auto" takes what `aindnet benchmark --remember` found to be the fastest on this machine
    (`measured_fastest`), where what is asked for leaves it that choice. Without a measurement it
    takes a GPU where PyTorch has one; on the CPU OpenVINO where it is installed; and bf16 where
    the hardware multiplies in it. It never takes int8, which costs quality: that is asked for, and
    needs the model's `int8_ranges`. `compiled` is PyTorch's alone, and its choice where the
    backend is "auto".
    Raises `DeviceError` for what this machine cannot do, `MissingExtraError` for what is not
    installed.
    """
    if network.config.resize == "tf1":
        # The other runtimes' passes over tiles are not checked with the released graph's resize.
        if backend not in ("auto", "torch"):
            raise DeviceError(f'a model with resize="tf1" runs on torch, not on {backend}')
        backend = "torch"
    if precision == "int8" and backend == "auto":
        backend = "openvino"
    if compiled:
        backend = _check_compiler(backend)
    found = measured_fastest(device) if backend == precision == "auto" else None
    if found is not None:
        backend, device, precision = found.backend, found.device, found.precision
    device = _choose_device(device, backend)
    if backend == "auto":
        openvino = device == "cpu" and importlib.util.find_spec("openvino") is not None
        graph = importlib.util.find_spec("onnx") is not None
        backend = "openvino" if openvino and graph and _openvino_has(precision) else "torch"
    if backend not in PRECISIONS:
        raise DeviceError(f"{backend}: no such backend (there are {', '.join(PRECISIONS)})")
    if precision == "auto":
        precision = _fastest_precision(device, backend)
    if precision not in PRECISIONS[backend]:
        known = ", ".join(PRECISIONS[backend])
        raise DeviceError(f"{precision} does not run on the {backend} backend: choose {known}")
    size = batch or (1 if device == "cpu" else GPU_BATCH)
    if backend == "openvino":
        if device != "cpu":
            raise DeviceError(f"the openvino backend runs on the cpu, not on {device}")
        if precision != "int8":
            return OpenVINOBackend(network, precision=precision, batch=size)
        if int8_ranges is None:
            raise DeviceError(NO_INT8)
        floating = _fastest_precision(device, backend)
        return OpenVINOBackend(network, precision=floating, batch=size, int8_ranges=int8_ranges)
    if backend == "onnx":
        return ONNXBackend(network, device=device, batch=size)
    return TorchBackend(network, device=device, precision=precision, batch=size, compiled=compiled)


def _check_compiler(backend: str) -> str:
    if backend not in ("auto", "torch"):
        raise DeviceError(f"the {backend} backend compiles by itself: leave --compile out")
    return "torch"


def _choose_device(device: str, backend: str) -> str:
    there = {
        "cpu": True,
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
    }
    if device == "auto":
        if backend in ("openvino", "onnx"):
            return "cpu"
        return next(name for name in ("cuda", "mps", "cpu") if there[name])
    if not there.get(device):
        known = ", ".join(name for name, is_there in there.items() if is_there)
        raise DeviceError(f"{device}: this machine has no such device (it has {known})")
    return device


def _openvino_has(precision: str) -> bool:
    if precision == "bf16":
        return computes_in(precision)
    return precision == "auto" or precision in PRECISIONS["openvino"]


def _fastest_precision(device: str, backend: str) -> str:
    if backend == "onnx":
        return "fp32"
    if has_fast_bf16(device) and (backend != "openvino" or computes_in("bf16")):
        return "bf16"
    return "fp32" if device == "cpu" else "fp16"
