"""The weights for other programs' loaders: a plain state dict that says itself what it is.

Loaders that detect architectures by their state dict, as spandrel does, see tensors alone: so the
configuration is in one. `docs/engine.md` describes the format for them.
"""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import torch

from aindnet.pretrained.files import (
    CONFIGURATION_KEY,
    LoadedModel,
    model_metadata,
    write_safetensors,
)

VERSION = 1


def export_state_dict(model: LoadedModel, path: Path) -> None:
    """Write NAME.safetensors in float32: the network's tensors, and its configuration as one more.

    `load_model` reads it too. Raises `ImageWriteError` where it cannot be written.
    """
    network = model.network
    configuration = {
        "architecture": "aindnet",
        "version": VERSION,
        "config": dataclasses.asdict(network.config),
    }
    text = json.dumps(configuration, sort_keys=True).encode()
    tensors = {k: v.detach().cpu().float().contiguous() for k, v in network.state_dict().items()}
    tensors[CONFIGURATION_KEY] = torch.frombuffer(bytearray(text), dtype=torch.uint8)
    write_safetensors(path, tensors, model_metadata(network.config, model.card))
