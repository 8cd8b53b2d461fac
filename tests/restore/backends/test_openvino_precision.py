from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from aindnet.network import AINDNet
from aindnet.restore.backends.graph import tile_graph
from aindnet.restore.backends.tile_network import TileNetwork
from restore_networks import small_network

openvino = pytest.importorskip("openvino")
pytest.importorskip("onnx")

from aindnet.restore.backends.openvino_precision import (  # noqa: E402
    with_bfloat16_convolutions,
)

PASSES = [
    ({}, 1, 0),
    ({"half_pass": 0.4}, 2, 0),
    ({"looks": 2}, 2, 0),
    ({"half_pass": 0.4, "smoothing": True}, 3, 1),
    ({"half_pass": 0.4, "smoothing": True, "colour_pass": True}, 4, 2),
]
"""Further passes, how many there are in all, and how many of them are the smoother's."""


def graph(network: AINDNet) -> Any:
    """As OpenVINO reads it, for tiles of 128 pixels."""
    model = openvino.Core().read_model(tile_graph(TileNetwork(network), "own"))
    model.reshape({model.inputs[0]: [1, 3, 128, 128]})
    return model


def rounded(network: AINDNet) -> Any:
    """The same with bfloat16 convolutions."""
    return with_bfloat16_convolutions(graph(network))


def plain(**change: object) -> AINDNet:
    """A network of the bundled kind."""
    return small_network(unshuffle=2, normalization="none", **change)


def of_type(model: Any, *kinds: str) -> list[Any]:
    """The operations of these kinds that give float32, by name."""
    return sorted(
        node.get_friendly_name()
        for node in model.get_ordered_ops()
        if node.get_type_name() in kinds and node.get_output_element_type(0) == openvino.Type.f32
    )


@pytest.mark.parametrize(("further", "passes", "smoothed"), PASSES)
def test_all_convolutions_are_rounded_but_those_of_the_photo_s_size(
    further: dict[str, object], passes: int, smoothed: int
) -> None:
    exact = of_type(rounded(plain(**further)), "Convolution", "ConvolutionBackpropData")
    stems = [name for name in exact if "stem1" in name]
    assert len(stems) == passes
    # Of a smoother's first block, the one that takes the photo out of the features again.
    others = [name for name in exact if name not in stems]
    assert len(others) == smoothed
    assert all(name.startswith("/smoother/conv2") for name in others)


def test_what_the_smoother_s_first_block_adds_to_the_stem_is_exact() -> None:
    model = rounded(plain(smoothing=True))
    (name,) = (n for n in of_type(model, "Convolution") if "stem1" not in n and "smoother" in n)
    (convolution,) = (n for n in model.get_ordered_ops() if n.get_friendly_name() == name)
    terms = set()
    for bias in convolution.output(0).get_target_inputs():
        for total in bias.get_node().output(0).get_target_inputs():
            terms |= {value.get_node().get_friendly_name() for value in
                      total.get_node().input_values()}  # fmt: skip
    assert any("/smoother/" in each and "Relu" in each for each in terms)


@pytest.mark.parametrize("further", [further for further, _, _ in PASSES])
def test_of_what_is_resized_the_modulation_alone_is_rounded(further: dict[str, object]) -> None:
    network = plain(modulation_stride=8, **further)
    widths = set(network.config.channels)
    resized = [n for n in rounded(network).get_ordered_ops() if n.get_type_name() == "Interpolate"]
    for node in resized:
        modulation = node.get_output_shape(0)[1] in widths
        assert (node.get_output_element_type(0) == openvino.Type.bf16) == modulation
    assert any(node.get_output_element_type(0) == openvino.Type.bf16 for node in resized)


def test_all_else_stays_in_float32() -> None:
    kept = {"Convolution", "ConvolutionBackpropData", "Interpolate", "Convert", "Constant"}
    for node in rounded(plain(smoothing=True)).get_ordered_ops():
        if node.get_type_name() not in kept:
            assert node.get_output_size() == 0 or (
                node.get_output_element_type(0) != openvino.Type.bf16
            ), node.get_friendly_name()


def test_the_plugin_keeps_the_types_that_it_is_given() -> None:
    network = plain(half_pass=0.4, smoothing=True, colour_pass=True)
    tiles = np.random.default_rng(0).random((1, 3, 128, 128), dtype=np.float32)
    core = openvino.Core()
    exact, less, hinted = (
        np.array(core.compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": hint})(tiles)[0])
        for model, hint in (
            (graph(network), "f32"), (rounded(network), "dynamic"), (graph(network), "bf16")
        )
    )  # fmt: skip
    error, of_the_hint = (float(np.abs(each - exact).max()) for each in (less, hinted))
    assert error > 0
    if of_the_hint > 0:  # a processor that computes in bfloat16
        assert error < of_the_hint
