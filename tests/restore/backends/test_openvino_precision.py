from __future__ import annotations

from typing import Any

import pytest

from aindnet.network import AINDNet
from aindnet.restore.backends.graph import tile_graph
from aindnet.restore.backends.tile_network import TileNetwork
from restore_networks import small_network

openvino = pytest.importorskip("openvino")
pytest.importorskip("onnx")

from aindnet.restore.backends.openvino_precision import with_float32_sum  # noqa: E402


def kept(network: AINDNet) -> list[Any]:
    """The operations marked to stay in float32."""
    model = with_float32_sum(openvino.Core(), tile_graph(TileNetwork(network), "own"))
    names = {"DisablePrecisionConversion_0", "precise_0"}  # by version of OpenVINO
    return [node for node in model.get_ordered_ops() if names & set(dict(node.rt_info))]


@pytest.mark.parametrize("change", [{}, {"unshuffle": 2, "normalization": "running"}])
def test_the_finest_scale_s_sum_is_kept_in_float32_and_no_block_s_convolution(
    change: dict[str, object],
) -> None:
    network = small_network(**change)
    convolutions = [n for n in kept(network) if n.get_type_name() == "Convolution"]
    assert [n.get_friendly_name() for n in convolutions] == ["/stem1/Conv/WithoutBiases"]
    sums = [
        node
        for node in kept(network)
        if node.get_type_name() == "Add" and not node.get_friendly_name().endswith("Conv")
        and all(port.get_source_output().get_node().get_type_name() != "Constant"
                for port in node.inputs())
        and not any(port.get_source_output().get_node().get_type_name() == "Multiply"
                    for port in node.inputs())
    ]  # fmt: skip
    # A block of the encoder, the skip, what comes up from below, a block of the decoder.
    assert len(sums) == 4
    channels = network.config.channels[0]
    assert {node.get_output_partial_shape(0)[1].get_length() for node in sums} == {channels}


@pytest.mark.parametrize(
    ("further", "passes"),
    [
        ({"half_pass": 0.4}, 2),
        ({"looks": 2}, 2),
        ({"half_pass": 0.4, "smoothing": True}, 3),
        ({"half_pass": 0.4, "smoothing": True, "colour_pass": True}, 4),
    ],
)
def test_every_pass_keeps_its_sum_in_float32(further: dict[str, object], passes: int) -> None:
    once, more = (
        [
            node.get_friendly_name()
            for node in kept(small_network(unshuffle=2, normalization="none", **change))
            if node.get_type_name() == "Convolution"
        ]
        for change in ({}, further)
    )
    assert len(once) == 1
    assert len(more) == passes


def test_other_scales_stay_as_the_hint_says() -> None:
    network = small_network()
    coarse = {str(channels) for channels in network.config.channels[1:]}
    widths = {
        str(node.get_output_partial_shape(0)[1])
        for node in kept(network)
        if node.get_output_partial_shape(0).rank.get_length() == 4
        and node.get_type_name() in ("Add", "PRelu")
    }
    assert widths
    assert not widths & coarse
