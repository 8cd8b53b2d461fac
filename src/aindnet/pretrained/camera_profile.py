"""Camera profiles: only the tensors that transfer learning changes, bound to one base model."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from aindnet.errors import InvalidModelFileError, WrongBaseModelError
from aindnet.network import AINDNet, is_transfer_parameter
from aindnet.pretrained.files import (
    LoadedModel,
    check_finite,
    model_hashes,
    read_safetensors,
    write_safetensors,
)
from aindnet.pretrained.header import parse_object

FORMAT = "aindnet-camera-1"


@dataclass(frozen=True, kw_only=True)
class CameraProfile:
    """A camera's adapted tensors and the base model that they belong to."""

    tensors: dict[str, Tensor]
    base_name: str
    base_sha256: str
    """SHA-256 of the base model's file."""
    about: dict[str, Any] = field(default_factory=dict)
    """Camera name, ISO range, pairs used, measured gain: whatever the adaptation recorded."""

    def apply_to(self, model: LoadedModel) -> None:
        """Put the tensors into the base model's network.

        Raises `WrongBaseModelError` on any other base than the one it was adapted from.
        """
        if model.sha256 != self.base_sha256:
            raise WrongBaseModelError(
                f"this camera profile was adapted from {self.base_name!r} "
                f"({self.base_sha256[:12]}), not from {model.card.name!r} ({model.sha256[:12]}): "
                f"load it with that model, or adapt again from this one"
            )
        expected = transfer_tensors(model.network)
        if {k: v.shape for k, v in self.tensors.items()} != {
            k: v.shape for k, v in expected.items()
        }:
            raise InvalidModelFileError(
                "this camera profile does not hold the tensors that its model needs: it is damaged "
                "or incomplete; make it again"
            )
        model.network.load_state_dict({k: v.float() for k, v in self.tensors.items()}, strict=False)


def transfer_tensors(network: AINDNet) -> dict[str, Tensor]:
    """What a profile holds of a network, as it is stored: bf16, on the CPU."""
    return {
        name: value.detach().to("cpu", torch.bfloat16).contiguous()
        for name, value in network.state_dict().items()
        if is_transfer_parameter(name)
    }


def save_camera_profile(
    path: Path, network: AINDNet, base: LoadedModel, about: dict[str, Any]
) -> None:
    """Write the transfer parameters of an adapted network, in bf16, as a profile of `base`."""
    tensors = transfer_tensors(network)
    metadata = {
        "format": FORMAT,
        "base_name": base.card.name,
        "base_sha256": base.sha256,
        "about": json.dumps(about, ensure_ascii=False, sort_keys=True),
    }
    write_safetensors(path, tensors, metadata)


def model_for(model: str | Path | None, camera: str | Path | None) -> str | Path | None:
    """The model to load a profile on: the named one, or else the model at hand that the profile was
    adapted from; None, the default, where there is neither. Raises `InvalidModelFileError`.
    """
    if model is not None or camera is None:
        return model
    return model_hashes().get(load_camera_profile(Path(camera)).base_sha256)


def load_camera_profile(path: Path) -> CameraProfile:
    """Read a profile; `InvalidModelFileError` where the file is damaged or no profile."""
    metadata, tensors = read_safetensors(path)
    if metadata.get("format") != FORMAT:
        raise InvalidModelFileError(f"{path}: not a camera profile")
    check_finite(tensors, path)
    if strangers := [name for name in tensors if not is_transfer_parameter(name)]:
        raise InvalidModelFileError(
            f"{path}: holds {strangers[0]}, which no camera profile changes"
        )
    if missing := {"base_name", "base_sha256", "about"} - metadata.keys():
        raise InvalidModelFileError(f"{path}: its header has no {' and no '.join(sorted(missing))}")
    return CameraProfile(
        tensors=tensors,
        base_name=metadata["base_name"],
        base_sha256=metadata["base_sha256"],
        about=parse_object(metadata["about"], what="what it is about", source=str(path)),
    )
