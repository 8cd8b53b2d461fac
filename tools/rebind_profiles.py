"""Bind camera profiles to a model file of the same weights under another card.

    python tools/rebind_profiles.py OLD.safetensors NEW.safetensors profiles/*.safetensors

A profile names its model by the file's SHA-256, and a calibration for int8 or a card with newer
numbers makes another file of the same network. Nothing is written unless both files hold the same
configuration and the same tensors, and the profiles are of the old one or already of the new.
"""

from __future__ import annotations

from pathlib import Path

import cyclopts

from aindnet.errors import WrongBaseModelError
from aindnet.pretrained import load_model
from aindnet.pretrained.camera_profile import load_camera_profile
from aindnet.pretrained.files import read_safetensors, weights_sha256, write_safetensors


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
    if before.network.config != after.network.config or (
        weights_sha256(before.network) != weights_sha256(after.network)
    ):
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


if __name__ == "__main__":
    cyclopts.run(main)
