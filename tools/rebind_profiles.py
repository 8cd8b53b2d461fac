"""Bind camera profiles to a model file of the same weights under another card.

    python tools/rebind_profiles.py OLD.safetensors NEW.safetensors profiles/*.safetensors

A profile names its model by the file's SHA-256, and a calibration for int8 or a card with newer
numbers makes another file of the same network; a level reader, which no profile moves, denoises as
before. Nothing is written unless both files hold the same configuration and the same tensors but
for that, and the profiles are of the old one or already of the new.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cyclopts
import torch
from torch import Tensor

from aindnet.errors import WrongBaseModelError
from aindnet.network import AINDNet, AINDNetConfig
from aindnet.pretrained import load_model
from aindnet.pretrained.camera_profile import load_camera_profile
from aindnet.pretrained.files import read_safetensors, write_safetensors


def main(old: Path, new: Path, *profiles: Path) -> None:
    """Rebind.

    Parameters
    ----------
    old
        The model file that the profiles were adapted from.
    new
        The model file that they shall belong to.
    profiles
        The profiles, which are written again.
    """
    before, after = load_model(old), load_model(new)
    if not denoise_alike(before.network, after.network):
        raise WrongBaseModelError(f"{new}: is not the network of {old}: adapt anew from it")
    for path in profiles:
        base = load_camera_profile(path).base_sha256
        if base not in (before.sha256, after.sha256):
            raise WrongBaseModelError(f"{path}: is a profile of neither ({base[:12]})")
    for path in profiles:
        metadata, tensors = read_safetensors(path)
        named = {"base_name": after.card.name, "base_sha256": after.sha256}
        write_safetensors(path, tensors, metadata | named)
        print(f"{path}: of {after.card.name} ({after.sha256[:12]})")


def denoise_alike(*networks: AINDNet) -> bool:
    """Whether they are of one configuration and have the same weights, but for a level reader."""
    first, *others = (without_reader(network) for network in networks)
    return all(
        config == first[0]
        and weights.keys() == first[1].keys()
        and all(torch.equal(value, first[1][name]) for name, value in weights.items())
        for config, weights in others
    )


def without_reader(network: AINDNet) -> tuple[AINDNetConfig, dict[str, Tensor]]:
    """Configuration and weights of all else."""
    weights = {k: v for k, v in network.state_dict().items() if not k.startswith("level_reader.")}
    return replace(network.config, level_reader=False), weights


if __name__ == "__main__":
    cyclopts.run(main)
