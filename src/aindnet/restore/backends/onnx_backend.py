"""The network in ONNX Runtime, on the CPU or CUDA."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

import torch

from aindnet.errors import DeviceError, MissingExtraError
from aindnet.network import AINDNet
from aindnet.restore.backends.base import Array, Backend, Given, graph_kind, memory_errors, stack
from aindnet.restore.backends.graph import GraphKind, require_onnx, tile_graph
from aindnet.restore.backends.tile_network import TileNetwork

PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}


class ONNXBackend(Backend):
    """One session a kind of statistics; as many threads as PyTorch would take."""

    name = "onnx"
    precision = "fp32"

    def __init__(self, network: AINDNet, *, device: str, batch: int = 1) -> None:
        try:
            import onnxruntime
        except ModuleNotFoundError as error:
            raise MissingExtraError("onnxruntime", "onnx") from error
        require_onnx()
        provider = PROVIDERS.get(device)
        if provider not in onnxruntime.get_available_providers():
            raise DeviceError(f"this ONNX Runtime does not run on {device}: try --backend torch")
        self.device = device
        self.batch = batch
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        self._lock = threading.Lock()
        self._network = TileNetwork(network)
        self._session: Any = lambda graph: _session(onnxruntime, graph, options, provider)
        self._sessions: dict[GraphKind, Any] = {}

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
        with self._lock:  # of two threads one makes the session
            if kind not in self._sessions:
                self._sessions[kind] = self._session(tile_graph(self._network, kind))
        session = self._sessions[kind]
        names = [each.name for each in session.get_inputs()]
        with memory_errors(self.device):
            results: list[Array] = session.run(None, dict(zip(names, inputs, strict=True)))
        return results


def _session(onnxruntime: Any, graph: bytes, options: Any, provider: str | None) -> Any:
    """A session on that very provider: ONNX Runtime would go on with the CPU and only print so."""
    session = onnxruntime.InferenceSession(graph, options, providers=[provider], enable_fallback=0)
    if provider not in session.get_providers():
        raise DeviceError(
            f"ONNX Runtime could not start {provider}: check its CUDA libraries, or try "
            "--backend torch"
        )
    return session
