"""bfloat16 in OpenVINO for what is slow, the convolutions, and float32 for all else.

The graph gives every value its type, and the plugin keeps them. Told to compute in bfloat16 it
would round everything: the features that carry the photo, whose noise is a hundredth of them, and
the arithmetic of noise levels. They cost more than what all convolutions lose in bfloat16
(docs/engine.md).
"""

from __future__ import annotations

import re
from typing import Any

CONVOLUTIONS = ("Convolution", "ConvolutionBackpropData")
STEM = re.compile(r"/stem1(_\d+)?/")
"""The stem of every pass; further ones are numbered by the exporter."""
SMOOTHER = "/smoother/"
AFTER_CONVOLUTION = ("Add", "Convert")
"""The bias, and where bfloat16 ends."""

Node = Any
"""Of an OpenVINO graph; the library has no types for mypy."""


def with_bfloat16_convolutions(model: Any) -> Any:
    """An `openvino.Model` of `tile_graph`, changed in place, and given back.

    Convolutions read and write bfloat16, but for those of `_of_the_photo`, and those in eight bits,
    which stay as they are. The resizing of γ and β is in bfloat16 too. To be compiled with the
    precision hint "dynamic".
    """
    import openvino
    from openvino import opset13

    exact = _of_the_photo(model)
    rounded: dict[tuple[str, int], Any] = {}
    for node in model.get_ordered_ops():
        if node.get_friendly_name() in exact:
            continue
        if node.get_type_name() in CONVOLUTIONS and _is_floating(node):
            ports = node.inputs()[:2]
        elif node.get_type_name() == "Interpolate" and _is_modulation(node):
            ports = node.inputs()[:1]
        else:
            continue
        for port in ports:
            source = port.get_source_output()
            key = source.get_node().get_friendly_name(), source.get_index()
            if key not in rounded:  # one for all that read it
                rounded[key] = opset13.convert(source, openvino.Type.bf16).output(0)
            port.replace_source_output(rounded[key])
        node.validate_and_infer_types()
        readers = list(node.output(0).get_target_inputs())
        again = opset13.convert(node.output(0), openvino.Type.f32)
        for port in readers:
            port.replace_source_output(again.output(0))
    model.validate_nodes_and_infer_types()
    return model


def _of_the_photo(model: Any) -> set[str]:
    """Convolutions whose values are as large as the photo's, by name: the stems, which read it, and
    what is added to a smoother's first, which takes it out of the features again. What the first
    look loses there, the smoother takes for noise.
    """
    names = set()
    for node in model.get_ordered_ops():
        name = node.get_friendly_name()
        if node.get_type_name() != "Convolution" or not STEM.search(name):
            continue
        names.add(name)
        if name.startswith(SMOOTHER):
            for features in _readers(node, "Add", "Relu"):
                for total in _readers(features, "Add"):
                    names |= {
                        term.get_friendly_name()
                        for term in map(_convolution_of, _inputs(total))
                        if term is not None
                    }
    return names


def _readers(node: Node, *kinds: str) -> list[Node]:
    """What reads a node, through operations of these kinds, one after the other."""
    found = [node]
    for kind in kinds:
        found = [
            port.get_node()
            for each in found
            for port in each.output(0).get_target_inputs()
            if port.get_node().get_type_name() == kind
        ]
    return found


def _inputs(node: Node) -> list[Node]:
    return [value.get_node() for value in node.input_values()]


def _convolution_of(node: Node) -> Node | None:
    """The convolution whose values, with a bias, these are."""
    while node.get_type_name() in AFTER_CONVOLUTION:
        node = node.input_value(0).get_node()
    return node if node.get_type_name() in CONVOLUTIONS else None


def _is_floating(convolution: Node) -> bool:
    """Whether its weights are as the network has them; in eight bits they are computed."""
    return bool(convolution.input_value(1).get_node().get_type_name() == "Constant")


def _is_modulation(resizing: Node) -> bool:
    """Whether it resizes what a convolution gives as it is: γ and β alone."""
    return _convolution_of(resizing.input_value(0).get_node()) is not None
