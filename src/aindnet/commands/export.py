"""`aindnet export`: the model for other programs."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from aindnet.errors import AindnetError

if TYPE_CHECKING:
    from aindnet.pretrained import ModelCard
    from aindnet.pretrained.camera_profile import CameraProfile

SUFFIXES = {
    "onnx": ".onnx",
    "openvino": ".xml",
    "darktable": ".dtmodel",
    "safetensors": ".safetensors",
}


def export(
    *,
    format_: Annotated[
        Literal["onnx", "openvino", "darktable", "safetensors"], Parameter(name="--format")
    ],
    output: Annotated[Path, Parameter(alias="-o")],
    model: str | None = None,
    camera: Path | None = None,
    size: int | None = None,
    dynamic: Annotated[bool, Parameter(negative=())] = False,
) -> int:
    """Write the model as ONNX, OpenVINO IR, a darktable neural-restore package, or a state dict.

    Input and output are sRGB-encoded RGB in [0, 1], float32, N×3×H×W.

    Parameters
    ----------
    format_
        onnx: one .onnx file, opset 17; openvino: .xml and .bin; darktable: one .dtmodel package,
        installed there by preferences, AI, import from file; safetensors: a plain state dict for
        PyTorch programs, which says its architecture and configuration.
    output
        File to write; one that is there is kept. Its name is the model's id in darktable.
    model
        A bundled or installed model, or a weights file; left out, the default, or the one that the
        camera profile was adapted from.
    camera
        A camera profile for the model.
    size
        Height and width of the input, a multiple of 32: 512, or 768 for darktable; the next above
        that the network can take.
    dynamic
        Leave batch, height and width open (height and width in multiples of 32, or of what is said
        where the network needs more).
    """
    from aindnet.pretrained import export_state_dict, load_camera_profile, load_model
    from aindnet.pretrained.camera_profile import model_for
    from aindnet.pretrained.files import weights_sha256
    from aindnet.restore.export import export_darktable, export_onnx, export_openvino
    from aindnet.restore.tiling import alignment_for, round_up
    from aindnet.whole_files import require_new_file

    suffix = SUFFIXES[format_]
    if output.suffix != suffix:
        raise AindnetError(f"{output}: a file of format {format_} must end in {suffix}")
    if dynamic and (size is not None or format_ == "darktable"):
        raise AindnetError("--dynamic leaves the size open: it goes with no --size nor darktable")
    if format_ == "safetensors" and (dynamic or size is not None):
        raise AindnetError("a state dict has no size: --size and --dynamic go with graphs only")
    if size is not None and (size % 32 or size <= 0):
        raise AindnetError(f"--size {size}: must be a multiple of 32 pixels")
    require_new_file(output)
    if format_ == "openvino":
        require_new_file(output.with_suffix(".bin"))
    loaded = load_model(model_for(model, camera))
    if camera is not None:
        profile = load_camera_profile(camera)
        profile.apply_to(loaded)
        loaded = replace(
            loaded,
            card=_adapted(loaded.card, profile),
            sha256=weights_sha256(loaded.network),
            int8_ranges=None,
        )
    alignment = alignment_for(loaded.network.multiple)
    if size is None and not dynamic:
        size = round_up(768 if format_ == "darktable" else 512, alignment)
    if format_ == "safetensors":
        export_state_dict(loaded, output)
    elif size is not None and format_ == "darktable":
        export_darktable(loaded, output, size=size)
    else:
        write = export_onnx if format_ == "onnx" else export_openvino
        write(loaded, output, size=size, batch=None if dynamic else 1)
    sides = f"; its sides must be multiples of {alignment} pixels" if dynamic else ""
    print(f"{loaded.card.name} → {output}{sides}", file=sys.stderr)
    return 0


def _adapted(card: ModelCard, profile: CameraProfile) -> ModelCard:
    """The base's card for the adapted weights: camera, day and pairs of the adaptation, a licence
    as strict as theirs, and nothing that was measured on the base.
    """
    from aindnet.pretrained.card import PHOTOS_LICENCE

    about = profile.about
    name = str(about.get("camera") or "a camera")
    adapted = replace(
        card,
        name=f"{card.name} for {name}",
        description=f"{card.description} Adapted to {name}: {json.dumps(about)}",
        licence=str(about.get("licence") or PHOTOS_LICENCE),
        trained_on=f"{about.get('pairs') or 'some'} pairs of {name}",
        quality={},
        quality_command="",
        int8_loss_db={},
        int8_command="",
        date=str(about.get("date") or ""),
    )
    return adapted.started_from(card)
