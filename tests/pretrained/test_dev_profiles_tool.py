"""tools/dev_profiles.py: no profile is lost to one that cannot be made."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from aindnet.pretrained import ModelCard, load_model, save_camera_profile, save_model
from restore_networks import small_network
from tool_modules import load_tool

INDEX = """name,scene,kind,source_file
Canon5D2_bag_f00,Canon5D2_bag,full-res-crop,Canon5D2_bag_mean.JPG
Canon5D2_chair_f00,Canon5D2_chair,full-res-crop,Canon5D2_chair_mean.JPG
Canon5D2_recie_f00,Canon5D2_recie,full-res-crop,Canon5D2_recie_mean.JPG
Canon5D2_chair_c11,Canon5D2_chair,official-crop,Canon5D2_5_160_3200_chair_11_real.JPG
Canon5D2_recie_c01,Canon5D2_recie,official-crop,Canon5D2_5_160_6400_reciever_1_real.JPG
Canon5D2_circu_c03,Canon5D2_circu,official-crop,Canon5D2_5_160_800_circuit_3_real.JPG
NikonD800_plant_f00,Nikon800_plant,full-res-crop,Nikon800_plant_mean.JPG
NikonD800_plant_c01,Nikon800_plant,official-crop,NikonD800_6-3_125_5000_plant_1_real.JPG
"""


@pytest.fixture
def tool() -> ModuleType:
    return load_tool("dev_profiles")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    index = tmp_path / "data/real/polyu/index.csv"
    index.parent.mkdir(parents=True)
    index.write_text(INDEX)
    return tmp_path / "data"


def test_the_isos_are_those_of_the_scenes_that_are_learned_from(
    tool: ModuleType, data: Path
) -> None:
    index = data / "real/polyu/index.csv"
    assert tool.isos_of(index, "Canon5D2") == (3200, 6400)
    assert tool.isos_of(index, "NikonD800") == (5000, 5000)
    assert tool.isos_of(index, "SonyA7II") is None
    assert tool.isos_of(data / "none.csv", "Canon5D2") is None
    arguments = tool.arguments_of("canon-5d-mark-ii", data, data, "10m", None)
    where = arguments.index("--iso")
    assert arguments[where : where + 3] == ["--iso", "3200", "6400"]


@pytest.mark.parametrize(
    ("code", "said", "left"),
    [
        (0, {"output": "there"}, b"new"),
        (1, {"output": None, "error": "nothing gained"}, None),
        (1, "", b"old"),
        (2, "", b"old"),
    ],
)
def test_an_old_profile_goes_for_a_new_one_or_where_none_helps(
    tool: ModuleType,
    data: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    code: int,
    said: Any,
    left: bytes | None,
) -> None:
    model = tmp_path / "small.safetensors"
    save_model(model, small_network(), ModelCard(name="small"))
    base = load_model(model)
    path = tmp_path / "profiles/nikon-d800.safetensors"
    save_camera_profile(path, base.network, base, {})
    old = path.read_bytes()
    other = SimpleNamespace(sha256="0" * 64)  # of which the old profile is not
    monkeypatch.setattr(tool, "load_model", lambda _: other)

    def stand_in(command: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
        assert path.read_bytes() == old
        if code == 0:
            Path(command[command.index("--output") + 1]).write_bytes(b"new")
        return subprocess.CompletedProcess(command, code, said and json.dumps(said))

    monkeypatch.setattr(subprocess, "run", stand_in)
    made = tool.main(data=data, output=path.parent, only=("nikon-d800",))
    assert made == (0 if code == 0 else 1)
    expected = {"nikon-d800.safetensors": old if left == b"old" else left}
    there = {each.name: each.read_bytes() for each in path.parent.iterdir()}
    assert there == ({} if left is None else expected)
