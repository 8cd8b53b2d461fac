"""`tools/rebind_profiles.py`: profiles go over to the same weights, and to no others."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from aindnet.errors import WrongBaseModelError
from aindnet.pretrained import (
    ModelCard,
    load_camera_profile,
    load_model,
    save_camera_profile,
    save_model,
)
from restore_networks import small_network
from tool_modules import load_tool


def test_profiles_go_over_to_the_same_weights_alone(tmp_path: Path) -> None:
    tool = load_tool("rebind_profiles")
    old, new, other, profile = (tmp_path / f"{n}.safetensors" for n in ("a", "b", "c", "camera"))
    network = small_network()
    save_model(old, network, ModelCard(name="a"))
    save_model(new, network, ModelCard(name="b"))
    network.head.weight.data += 0.01
    save_model(other, network, ModelCard(name="b"))
    save_camera_profile(profile, network, load_model(old), {"camera": "mine"})
    before = profile.read_bytes()

    with pytest.raises(WrongBaseModelError, match="adapt anew"):
        tool.main(old, other, profile)
    assert profile.read_bytes() == before

    tool.main(old, new, profile)
    model = load_model(new)
    found = load_camera_profile(profile)
    assert (found.base_sha256, found.base_name) == (model.sha256, "b")
    assert found.about == {"camera": "mine"}
    found.apply_to(model)
    torch.testing.assert_close(
        model.network.head.weight, network.head.weight.bfloat16().float(), atol=0, rtol=0
    )

    save_camera_profile(profile, network, load_model(other), {})
    with pytest.raises(WrongBaseModelError, match="neither"):
        tool.main(old, new, profile)
