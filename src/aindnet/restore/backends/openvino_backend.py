"""The network in OpenVINO: the fastest on most CPUs."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
import torch

from aindnet.errors import DeviceError, MissingExtraError
from aindnet.network import AINDNet
from aindnet.restore.backends.base import Array, Backend, Given, graph_kind, memory_errors, stack
from aindnet.restore.backends.compiled_store import CompiledStore
from aindnet.restore.backends.graph import GraphKind, require_onnx, tile_graph
from aindnet.restore.backends.int8 import Ranges, in_int8
from aindnet.restore.backends.openvino_precision import with_bfloat16_convolutions
from aindnet.restore.backends.tile_network import TileNetwork

PRECISIONS = {"fp32": "f32", "bf16": "bf16"}
COMPILED_AT_ONCE = 4
"""Each compiled shape holds its own weights and buffers: older ones are let go."""


def import_openvino() -> Any:
    """OpenVINO; raises `MissingExtraError`, or `DeviceError` where what is installed is broken."""
    try:
        import openvino
    except ModuleNotFoundError as error:
        raise MissingExtraError("openvino", "openvino") from error
    except ImportError as error:
        raise DeviceError(
            f"openvino is installed but cannot be loaded ({error}): install it anew, or pass "
            "--backend torch"
        ) from error
    return openvino


@cache
def computes_in(precision: str) -> bool:
    """Whether OpenVINO does on this CPU what it is asked for; it takes float32 without a word
    where the CPU has no bfloat16, and says so only of a compiled model.
    """
    openvino = import_openvino()
    value = openvino.opset13.parameter([1], np.float32)
    model = openvino.Model([openvino.opset13.relu(value)], [value], "probe")
    hint = {"INFERENCE_PRECISION_HINT": PRECISIONS[precision]}
    return _precision(openvino.Core().compile_model(model, "CPU", hint)) == PRECISIONS[precision]


def _precision(compiled: Any) -> str:
    name: str = compiled.get_property("INFERENCE_PRECISION_HINT").get_type_name()
    return name


class OpenVINOBackend(Backend):
    """Graphs compiled for each static shape, and kept for the next time; as many threads as PyTorch
    would take.

    With `int8_ranges` the convolutions of `int8_layers` run in eight bits, all else in `precision`.
    Raises `DeviceError` for a precision that the CPU does not have.
    """

    name = "openvino"
    device = "cpu"

    def __init__(
        self,
        network: AINDNet,
        *,
        precision: str,
        batch: int = 1,
        int8_ranges: Ranges | None = None,
    ) -> None:
        openvino = import_openvino()
        require_onnx()
        if not computes_in(precision):
            raise DeviceError(
                f"{precision}: OpenVINO does not compute in it on this CPU: take --precision fp32, "
                "or --backend torch"
            )
        self.precision = precision if int8_ranges is None else "int8"
        self.batch = batch
        self._rounded = precision == "bf16"
        self._core = openvino.Core()
        self._options = {
            # Not "bf16": the graph says itself what is rounded.
            "INFERENCE_PRECISION_HINT": "f32" if precision == "fp32" else "dynamic",
            "INFERENCE_NUM_THREADS": torch.get_num_threads(),
            "PERFORMANCE_HINT": "LATENCY",
        }
        self._lock = threading.Lock()
        self._network = TileNetwork(network)
        if int8_ranges is not None:
            self._network = in_int8(self._network, int8_ranges)
        self._store = CompiledStore(self._core, self._network, self._options)
        self._graphs: dict[GraphKind, bytes] = {}
        self._compiled: OrderedDict[tuple[Any, ...], Any] = OrderedDict()

    def run(self, tiles: Array, statistics: Sequence[Given]) -> Array:
        """See `Backend`."""
        kind = graph_kind(statistics[0])
        result = self._infer(kind, [tiles, *stack(statistics)])[0]
        result[:, : tiles.shape[1]] += tiles
        return result

    def measure(self, tiles: Array) -> Array:
        """See `Backend`."""
        return self._infer("own", [tiles])[1]

    def _infer(self, kind: GraphKind, inputs: list[Array]) -> list[Array]:
        with self._lock, memory_errors(self.device):  # a compiled model runs one request at a time
            model = self._compile(kind, tuple(each.shape for each in inputs))
            # Copied: the runtime's own output memory is written again by the next tile.
            return [np.array(output, np.float32) for output in model(inputs).values()]

    def _compile(self, kind: GraphKind, shapes: tuple[tuple[int, ...], ...]) -> Any:
        key = (kind, shapes)
        if key not in self._compiled:
            while len(self._compiled) >= COMPILED_AT_ONCE:
                self._compiled.popitem(last=False)
            compiled = self._store.load(*key)
            if compiled is None:
                model = self._model(kind, shapes)
                compiled = self._core.compile_model(model, "CPU", self._options)
                self._store.keep(compiled, *key)
            self._compiled[key] = compiled
        self._compiled.move_to_end(key)
        return self._compiled[key]

    def _model(self, kind: GraphKind, shapes: tuple[tuple[int, ...], ...]) -> Any:
        if kind not in self._graphs:
            self._graphs[kind] = tile_graph(self._network, kind)
        model = self._core.read_model(self._graphs[kind])
        if self._rounded:
            model = with_bfloat16_convolutions(model)
        model.reshape({port: list(shape) for port, shape in zip(model.inputs, shapes, strict=True)})
        return model
