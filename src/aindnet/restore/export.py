"""The network for other programs: ONNX, OpenVINO IR, and darktable's neural restore.

The graphs take and give sRGB-encoded float32 RGB in [0, 1], (N, 3, H, W), and have the
normalization inside. Instance normalization is over each input as it comes: programs that cut tiles
should cut large ones. Other networks' is constants, or none.
"""

from __future__ import annotations

import json
import tempfile
import zipfile
from dataclasses import asdict
from pathlib import Path

import torch
from torch import Tensor, nn

from aindnet.errors import AindnetError, MissingExtraError
from aindnet.network import AINDNet
from aindnet.pretrained import LoadedModel, ModelCard
from aindnet.restore.backends.graph import trace_to_onnx, traced_size
from aindnet.restore.backends.layer_statistics import OwnStatistics
from aindnet.restore.backends.openvino_backend import import_openvino
from aindnet.restore.backends.tile_network import TileNetwork, split_modulation
from aindnet.restore.tiling import alignment_for
from aindnet.whole_files import whole_file


class ExportError(AindnetError):
    """A model, or a size of it, that another program cannot take."""


class _Complete(nn.Module):
    """Noisy image → clean image, and the noise level where asked for."""

    def __init__(self, network: AINDNet, with_noise_level: bool) -> None:
        super().__init__()
        self.network = TileNetwork(network)
        split_modulation(self.network)
        self.with_noise_level = with_noise_level

    def forward(self, noisy: Tensor) -> tuple[Tensor, ...]:
        residual, noise_level = self.network.residual(noisy, OwnStatistics()).chunk(2, dim=1)
        return (noisy + residual, noise_level) if self.with_noise_level else (noisy + residual,)


def image_graph(
    network: AINDNet, *, size: int | None, batch: int | None, with_noise_level: bool = True
) -> bytes:
    """Serialised ONNX (opset 17): `noisy` → `denoised`, and `noise_level` (standard deviation).

    `size` is the height and width, `batch` the number of images; None leaves them open (height and
    width then must be multiples of 32, or of 64 and more where the network needs it:
    `alignment_for(network.multiple)`). Raises `ExportError` for a size that is not.
    """
    alignment = alignment_for(network.multiple)
    if size is not None and size % alignment:
        raise ExportError(f"the size must be a multiple of {alignment} pixels, not {size}")
    side = size or traced_size(network)
    example = torch.rand(batch or 1, network.config.image_channels, side, side)
    open_axes = {0: "batch"} if batch is None else {}
    open_axes |= {2: "height", 3: "width"} if size is None else {}
    outputs = ["denoised", "noise_level"] if with_noise_level else ["denoised"]
    dynamic = {name: dict(open_axes) for name in ["noisy", *outputs]} if open_axes else {}
    module = _Complete(network, with_noise_level)
    return trace_to_onnx(module, [example], ["noisy"], outputs, dynamic)


def export_onnx(
    model: LoadedModel, path: Path, *, size: int | None = 512, batch: int | None = 1
) -> None:
    """Write NAME.onnx, checked, with the model's card as metadata."""
    graph = image_graph(model.network, size=size, batch=batch)
    with whole_file(path) as partial:
        partial.write_bytes(_with_card(graph, model))


def export_openvino(
    model: LoadedModel, path: Path, *, size: int | None = 512, batch: int | None = 1
) -> None:
    """Write OpenVINO IR in float32: NAME.xml, and NAME.bin beside it."""
    openvino = import_openvino()
    graph = image_graph(model.network, size=size, batch=batch)
    converted = openvino.Core().read_model(graph)
    converted.set_rt_info(json.dumps(_facts(model)), "aindnet")
    with tempfile.TemporaryDirectory() as folder:
        whole = Path(folder) / path.name
        openvino.save_model(converted, whole, compress_to_fp16=False)
        for part in (path.with_suffix(".bin"), path):
            with whole_file(part) as partial:
                partial.write_bytes((Path(folder) / part.name).read_bytes())


def export_darktable(model: LoadedModel, path: Path, *, size: int = 768) -> None:
    """Write ID.dtmodel for darktable 5.6 and later: a zip of ID/config.json and ID/model.onnx.

    Format: darktable-ai-sdk, docs/dtmodel-format and docs/model-yaml-spec. The file's stem is the
    model's id there. darktable tiles by `input_sizes` itself. Raises `ExportError` for a model of
    grey photos: darktable gives and takes colour.
    """
    if model.network.config.image_channels != 3:
        raise ExportError(
            f"{model.card.name}: is for grey photos, and darktable's are in colour; "
            "export it as onnx or openvino"
        )
    graph = image_graph(model.network, size=size, batch=1, with_noise_level=False)
    config = json.dumps(_darktable_config(model, path.stem, size), indent=4, ensure_ascii=False)
    with (
        whole_file(path) as partial,
        zipfile.ZipFile(partial, "w", zipfile.ZIP_DEFLATED) as package,
    ):
        package.writestr(f"{path.stem}/config.json", config + "\n")
        package.writestr(f"{path.stem}/model.onnx", _with_card(graph, model))


def _darktable_config(model: LoadedModel, identifier: str, size: int) -> dict[str, object]:
    card = model.card
    details = {
        "long_description": card.description,
        "scope": "single-image denoising",
        "author": "aindnet",
        "paper": "https://arxiv.org/abs/2002.11244",
        "license": card.licence,
        "training_data": card.trained_on,
        "notes": card.known_failures,
    }
    return {
        "id": identifier,
        "name": identifier.replace("-", " "),
        "description": f"AINDNet denoiser for real camera noise ({card.name})",
        "task": "denoise",
        "arch": "aindnet",
        "backend": "onnx",
        "version": f"{card.date or '1.0'}-{model.sha256[:8]}",
        "tiling": True,
        "attributes": {"input_sizes": [size]},
        "model_card": {key: value for key, value in details.items() if value},
    }


def _with_card(graph: bytes, model: LoadedModel) -> bytes:
    try:
        import onnx
    except ModuleNotFoundError as error:
        raise MissingExtraError("onnx", "onnx") from error
    proto = onnx.load_from_string(graph)
    proto.graph.name = model.card.name
    proto.doc_string = model.card.description
    onnx.helper.set_model_props(proto, _facts(model))
    onnx.checker.check_model(proto)
    serialised: bytes = proto.SerializeToString()
    return serialised


def _facts(model: LoadedModel) -> dict[str, str]:
    card: ModelCard = model.card
    colour = "RGB" if model.network.config.image_channels == 3 else "grey"
    return {
        "model": card.name,
        "licence": card.licence,
        "sha256": model.sha256,
        "card": json.dumps(asdict(card), ensure_ascii=False),
        "values": f"sRGB-encoded {colour}, float32 in [0, 1], NCHW",
        "sides": f"multiples of {alignment_for(model.network.multiple)} pixels",
    }
