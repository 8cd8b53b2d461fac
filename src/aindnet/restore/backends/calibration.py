"""Ranges for int8, found by NNCF on tiles, real ones and clean ones under white noise.

NNCF: Kozlov et al., "Neural Network Compression Framework for fast model inference", 2020
(github.com/openvinotoolkit/nncf): post-training quantisation.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from aindnet.errors import MissingExtraError
from aindnet.network import AINDNet
from aindnet.restore.backends.base import Array
from aindnet.restore.backends.graph import tile_graph
from aindnet.restore.backends.int8 import int8_layers
from aindnet.restore.backends.tile_network import TileNetwork

OUTLIERS = 1e-4
"""Of a tile's values at either end, cut off where they leave the range (docs/engine.md)."""

Node = Any
"""Of an OpenVINO graph; the library has no types for mypy."""
_NO_OPERATION = {"Constant", "Parameter", "Result", "Convolution"}
_PASS_ON = {"Split", "VariadicSplit", "Slice", "StridedSlice", "Reshape"}
"""Operations that give the values they get."""


def calibrate(network: AINDNet, tiles: Sequence[Array]) -> dict[str, tuple[float, float]]:
    """By layer of `int8_layers`, the range of what goes into it.

    `tiles` are photos (1, C, h, w) of one shape, aligned as `tile_graph` needs it; a few dozen, of
    all noise and contrast that the network shall meet. Each is normalised by its own statistics.
    Raises `MissingExtraError` without NNCF and OpenVINO.
    """
    os.environ.setdefault("NNCF_CI", "1")  # else it reports its use over the net
    try:
        import nncf
        import openvino
    except ModuleNotFoundError as error:
        raise MissingExtraError("nncf", "openvino") from error
    nncf.set_log_level(logging.WARNING)  # it names every operation that it leaves alone
    ready = TileNetwork(network)
    model = openvino.Core().read_model(tile_graph(ready, "own"))
    model.reshape({model.inputs[0]: list(tiles[0].shape)})
    layers = _layer_names(model, ready)
    operations = model.get_ordered_ops()
    kept = {op.get_type_name() for op in operations} - _NO_OPERATION
    floating = [op.get_friendly_name() for op in _convolutions(model)]
    quantised = nncf.quantize(
        model,
        nncf.Dataset(list(tiles)),
        preset=nncf.QuantizationPreset.MIXED,
        target_device=nncf.TargetDevice.CPU,
        subset_size=len(tiles),
        # Only the convolutions: normalization and modulation in eight bits would be seen.
        ignored_scope=nncf.IgnoredScope(
            types=sorted(kept), names=[name for name in floating if name not in layers]
        ),
        advanced_parameters=nncf.AdvancedQuantizationParameters(
            disable_bias_correction=True,
            activations_range_estimator_params=_nearly_all_of_every_tile(),
        ),
    )
    ranges: dict[str, tuple[float, float]] = {}
    for op in _convolutions(quantised):
        if name := layers.get(op.get_friendly_name()):
            low, high = _input_range(op)
            known = ranges.get(name, (low, high))  # of the other pass, where there are two
            ranges[name] = min(low, known[0]), max(high, known[1])
    return ranges


def _nearly_all_of_every_tile() -> Any:
    """The narrowest range that holds all but a share of `OUTLIERS` of each tile, at either end.

    By default it would be the mean of the tiles' own ranges, which strong noise, or a tile of
    strong contrast, leaves: up to 2.3 dB were lost there (docs/engine.md).
    """
    from nncf.quantization.range_estimator import (
        AggregatorType,
        RangeEstimatorParameters,
        StatisticsCollectorParameters,
        StatisticsType,
    )

    low, high = (
        StatisticsCollectorParameters(
            statistics_type=StatisticsType.QUANTILE,
            aggregator_type=aggregator,
            quantile_outlier_prob=OUTLIERS,
        )
        for aggregator in (AggregatorType.MIN, AggregatorType.MAX)
    )
    return RangeEstimatorParameters(min=low, max=high)


def _convolutions(model: Any) -> list[Node]:
    return [op for op in model.get_ordered_ops() if op.get_type_name() == "Convolution"]


def _layer_names(model: Any, network: TileNetwork) -> dict[str, str]:
    """Graph name → layer name, by the weights: the graph numbers layers in the order they run."""
    layers = {name: layer.weight.detach().numpy() for name, layer in int8_layers(network).items()}
    names = {}
    for op in _convolutions(model):
        weight = op.input_value(1).get_node().data
        found = next((name for name, each in layers.items() if _is_of(each, weight)), None)
        if found is not None:
            names[op.get_friendly_name()] = found
    if left := layers.keys() - names.values():
        raise RuntimeError(f"the graph has no convolution with the weights of {min(left)}")
    return names


def _is_of(layer: Array, weight: Array) -> bool:
    """Whether a weight of the graph is the layer's, or one half of it (γ, β)."""
    if len(weight) == len(layer):
        return np.array_equal(layer, weight)
    return 2 * len(weight) == len(layer) and any(
        np.array_equal(half, weight) for half in np.split(layer, 2)
    )


def _input_range(convolution: Node) -> tuple[float, float]:
    """Of the rounding next above."""
    node = convolution.input_value(0).get_node()
    while node.get_type_name() in _PASS_ON:
        node = node.input_value(0).get_node()
    if node.get_type_name() != "FakeQuantize":
        raise RuntimeError(f"NNCF left {convolution.get_friendly_name()} in floating point")
    low, high = (node.input_value(index).get_node().data for index in (1, 2))
    return float(low.min()), float(high.max())
