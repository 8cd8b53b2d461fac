"""What the machine can do at best, measured now, and what a network asks of it."""

from __future__ import annotations

import copy
import importlib.util
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from aindnet.network import AINDNet
from aindnet.restore.backends.graph import trace_to_onnx
from aindnet.restore.backends.int8 import Int8Conv2d
from aindnet.restore.backends.torch_backend import DTYPES, full_float32

CHANNELS, SIZE = 128, 256
"""Of the convolution whose rate is the ceiling: large enough to keep every core busy."""
INT8_CHAIN = 8
OPERATIONS = 2 * 9 * CHANNELS**2 * SIZE**2
BYTES = {"fp32": 4, "bf16": 2, "fp16": 2, "int8": 1}


@dataclass(frozen=True, kw_only=True)
class Ceilings:
    """What the machine can do at best."""

    convolution_tflops: dict[str, float]
    """By device and precision: a 3×3 convolution of 128 channels, in PyTorch, channels-last; int8
    in OpenVINO, where it is installed."""
    copy_gb_per_second: dict[str, float]
    """By device: memory read and written by one large copy."""


@dataclass(frozen=True, kw_only=True)
class Work:
    """What the plain network asks for on one image."""

    operations: float
    """Multiplications and additions."""
    values: float
    """What its convolutions read and write, weights included: what memory must move where nothing
    stays in a cache from one to the next."""


def work(network: AINDNet, size: int) -> Work:
    """Of the plain network on one image of size × size; counted, nothing is computed."""
    meta = copy.deepcopy(network).to("meta")
    values: list[int] = []

    def count(layer: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        weights = sum(each.numel() for each in layer.parameters())
        values.append(inputs[0].numel() + output.numel() + weights)

    for layer in meta.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
            layer.register_forward_hook(count)
    counter = FlopCounterMode(display=False)
    with counter, torch.inference_mode():
        meta(torch.empty(1, network.config.image_channels, size, size, device="meta"))
    return Work(operations=float(counter.get_total_flops()), values=float(sum(values)))


def measure_ceilings() -> tuple[Ceilings, dict[str, str]]:
    """Of every device and precision there is, and what could not be measured, with the reason."""
    kinds = list(torch_kinds())
    convolutions: dict[str, Callable[[], float]] = {
        f"{device} {precision}": partial(convolution_rate, device, precision)
        for device, precision in kinds
    }
    if importlib.util.find_spec("openvino") and importlib.util.find_spec("onnx"):
        convolutions["cpu int8"] = int8_rate
    copies = {device: partial(copy_rate, device) for device, _ in kinds}
    rates, failed = _rates(convolutions, "convolution ceiling")
    copy_rates, copies_failed = _rates(copies, "memory copy")
    ceilings = Ceilings(
        convolution_tflops={kind: rate / 1e12 for kind, rate in rates.items()},
        copy_gb_per_second={device: rate / 1e9 for device, rate in copy_rates.items()},
    )
    return ceilings, failed | copies_failed


def _rates(
    measures: Mapping[str, Callable[[], float]], name: str
) -> tuple[dict[str, float], dict[str, str]]:
    """What each measures, and which of them failed, with the reason."""
    rates, failed = {}, {}
    for kind, measure in measures.items():
        try:
            rates[kind] = measure()
        except RuntimeError as error:
            failed[f"{name}, {kind}"] = str(error)
    return rates, failed


def torch_kinds() -> Iterator[tuple[str, str]]:
    """Device and precision of all that PyTorch runs here."""
    yield from (("cpu", "fp32"), ("cpu", "bf16"))
    if torch.cuda.is_available():
        yield from (("cuda", precision) for precision in ("fp32", "bf16", "fp16"))
    if torch.backends.mps.is_available():
        yield from (("mps", precision) for precision in ("fp32", "fp16"))


def convolution_rate(device: str, precision: str) -> float:
    """Multiplications and additions a second of one large 3×3 convolution in PyTorch."""
    layer = nn.Conv2d(CHANNELS, CHANNELS, 3, padding=1).to(device, DTYPES[precision])
    layer = layer.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    x = torch.rand(1, CHANNELS, SIZE, SIZE, device=device, dtype=DTYPES[precision])
    x = x.contiguous(memory_format=torch.channels_last)
    with torch.inference_mode(), full_float32():
        return OPERATIONS / _least_seconds(lambda: layer(x), device)


def int8_rate() -> float:
    """The same in eight bits in OpenVINO: a chain of them, to whose ends the way from and to
    floating point adds little.
    """
    import openvino

    layers = [nn.Conv2d(CHANNELS, CHANNELS, 3, padding=1) for _ in range(INT8_CHAIN)]
    chain = nn.Sequential(*(Int8Conv2d(layer, -1.0, 1.0) for layer in layers))
    x = torch.rand(1, CHANNELS, SIZE, SIZE)
    core = openvino.Core()
    options = {"INFERENCE_NUM_THREADS": torch.get_num_threads(), "PERFORMANCE_HINT": "LATENCY"}
    graph = core.read_model(trace_to_onnx(chain, [x], ["x"], ["y"], {}))
    model: Any = core.compile_model(graph, "CPU", options)
    return INT8_CHAIN * OPERATIONS / _least_seconds(lambda: model([x.numpy()]), "cpu")


def copy_rate(device: str = "cpu") -> float:
    """Bytes a second, read and written, of one large copy."""
    if device == "cpu":
        source = np.ones(1 << 27, np.uint8)
        target = np.empty_like(source)
        return 2 * source.nbytes / _least_seconds(lambda: np.copyto(target, source), device)
    there = torch.ones(1 << 28, dtype=torch.uint8, device=device)
    copied = torch.empty_like(there)
    return 2 * there.numel() / _least_seconds(lambda: copied.copy_(there), device)


def _least_seconds(call: Callable[[], object], device: str) -> float:
    times = []
    for _ in range(6):
        start = time.perf_counter()
        call()
        if device == "cuda":
            torch.cuda.synchronize()
        elif device == "mps":
            torch.mps.synchronize()
        times.append(time.perf_counter() - start)
    return min(times)
