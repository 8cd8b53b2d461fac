"""The tile network as an ONNX graph: what OpenVINO, ONNX Runtime and the exports are made from."""

from __future__ import annotations

import copy
import importlib.util
import io
import threading
import warnings
from typing import Literal

import torch
from torch import Tensor, nn

from aindnet.errors import MissingExtraError
from aindnet.network import AINDNet
from aindnet.restore.backends.tile_network import (
    GivenPass,
    OwnPass,
    SlidingPass,
    TileNetwork,
    split_modulation,
)
from aindnet.restore.tiling import alignment_for, round_up

OPSET = 17
TRACED_SIZE = 64
"""Pixels a side, or the next that the network takes, of what is traced where sizes stay open: the
network runs over it once."""
GraphKind = Literal["own", "given", "grid"] | int
"""Statistics: each tile's own; one scale and shift per channel given; a grid of them given; sliding
windows of so many pixels."""

_AXES: dict[str, dict[int, str]] = {
    "tiles": {0: "batch", 2: "height", 3: "width"},
    "grid": {0: "batch", 3: "grid_rows", 4: "grid_columns"},
    "rows": {0: "batch", 1: "height", 2: "grid_rows"},
    "columns": {0: "batch", 1: "width", 2: "grid_columns"},
    "result": {0: "batch", 2: "height", 3: "width"},
    "measured": {0: "batch"},
}


def tile_graph(network: TileNetwork, kind: GraphKind) -> bytes:
    """Serialised ONNX of one pass (see `tile_network`), with dynamic batch and size.

    Inputs are `tiles`, and by kind `grid`, `rows`, `columns`; outputs `result`, and `measured`
    where the statistics are the tile's own.
    Height and width must be multiples of `alignment_for(network.multiple)`.
    """
    # The conversion runs the network once: small, in float32, whatever it runs as elsewhere.
    network = copy.deepcopy(network).cpu().float()
    split_modulation(network)
    size, nodes = traced_size(network), 3
    inputs: list[Tensor] = [torch.rand(1, network.config.image_channels, size, size)]
    if kind in ("given", "grid"):
        across = nodes if kind == "grid" else 1
        inputs.append(torch.rand(1, 2, network.statistic_channels, across, across))
    if kind == "grid":
        inputs += [torch.rand(1, size, nodes).softmax(dim=-1) for _ in range(2)]
    names = ["tiles", "grid", "rows", "columns"][: len(inputs)]
    outputs = ["result", "measured"] if kind == "own" else ["result"]
    module: nn.Module = GivenPass(network)
    if isinstance(kind, int):
        module = SlidingPass(network, kind)
    elif kind == "own":
        module = OwnPass(network)
    dynamic = {name: dict(_AXES[name]) for name in names + outputs}
    if kind == "given":
        dynamic["grid"] = {0: "batch"}
    return trace_to_onnx(module, inputs, names, outputs, dynamic)


def traced_size(network: AINDNet) -> int:
    """Pixels a side to trace at: none must be added inside, as a graph would keep just so many."""
    return round_up(TRACED_SIZE, alignment_for(network.multiple))


def require_onnx() -> None:
    """Raise `MissingExtraError` where ONNX is not installed."""
    if importlib.util.find_spec("onnx") is None:
        raise MissingExtraError("onnx", "onnx")


_TRACING = threading.Lock()
"""The exporter and Python's filters of warnings have one state for all threads."""


def trace_to_onnx(
    module: nn.Module,
    inputs: list[Tensor],
    names: list[str],
    outputs: list[str],
    dynamic: dict[str, dict[int, str]],
) -> bytes:
    """Serialised ONNX of a module.

    By the tracing exporter: the graph is as good as the newer exporter's, in a tenth of the time,
    which a program that starts for one photo has to pay. Raises `MissingExtraError` without ONNX,
    which the exporter would miss at its end.
    """
    require_onnx()
    stream = io.BytesIO()
    with _TRACING, warnings.catch_warnings(), torch.inference_mode():
        # Branches on sizes are meant to be fixed: tiles are multiples of what the network needs.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            module.eval(),
            tuple(inputs),
            stream,  # type: ignore[arg-type]  # the stub knows paths only
            dynamo=False,
            opset_version=OPSET,
            input_names=names,
            output_names=outputs,
            dynamic_axes=dynamic,
        )
    return stream.getvalue()
