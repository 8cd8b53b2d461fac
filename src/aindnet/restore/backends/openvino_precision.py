"""bfloat16 in OpenVINO with the features that carry the photo kept in float32.

The blocks of the finest scale add to one sum, from the stem to the head. Its values are of the
photo's size and the noise in them is a hundredth of it: rounded to bfloat16's eight bits at every
block, the sum costs more than all convolutions in bfloat16 together (docs/engine.md).
"""

from __future__ import annotations

import re
import tempfile
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

STEM = re.compile(r"/stem1(_\d+)?/")
"""The stem of every pass: further ones are numbered by the exporter."""
ELEMENTWISE = (
    "Add",
    "Multiply",
    "Subtract",
    "Maximum",
    "Minimum",
    "Clamp",
    "PRelu",
    "Relu",
    "Convert",
)


def with_float32_sum(core: Any, graph: bytes) -> Any:
    """An ONNX graph of `tile_graph` as an `openvino.Model`, the finest scale's sum marked.

    OpenVINO's attribute `precise` (its DisablePrecisionConversion, once DisableFP16Compression)
    keeps an operation in float32 whatever the hint says; of another type than the library's own it
    is refused, so that Python can set it in the serialised model alone. Convolutions
    stay in bfloat16 and write what they add to the sum in float32.
    """
    model = core.read_model(graph)
    names = {node.get_friendly_name() for node in _sum_of(model)}
    with tempfile.TemporaryDirectory(prefix="aindnet-") as folder:
        path = Path(folder) / "model.xml"
        _serialize(model, path)
        tree = ET.parse(path)
        for layer in tree.iter("layer"):
            if layer.get("name") in names:
                info = layer.find("rt_info")
                info = ET.SubElement(layer, "rt_info") if info is None else info
                ET.SubElement(info, "attribute", {"name": "precise", "version": "0"})
        tree.write(path)
        # Copied into memory: the weights' file goes with the folder.
        weights = path.with_suffix(".bin").read_bytes()
        return core.read_model(path.read_bytes(), weights)


def _serialize(model: Any, path: Path) -> None:
    import openvino

    openvino.serialize(model, str(path), str(path.with_suffix(".bin")))


def _sum_of(model: Any) -> list[Any]:
    """Each pass's stem, every sum of it with a block's output, and what is done to these point by
    point.
    """
    stem = [n for n in model.get_ordered_ops() if STEM.search(n.get_friendly_name())]
    kept = [n for n in stem if n.get_type_name() in ("Convolution", "Add")]
    for node in stem:
        kept += [each for each in _consumers(node) if each.get_type_name() == "Relu"]
    names = {node.get_friendly_name() for node in kept}
    for node in kept:  # grows while it runs
        for each in _consumers(node):
            if each.get_type_name() in ELEMENTWISE and each.get_friendly_name() not in names:
                names.add(each.get_friendly_name())
                kept.append(each)
    return kept


def _consumers(node: Any) -> list[Any]:
    return [port.get_node() for port in node.output(0).get_target_inputs()]
