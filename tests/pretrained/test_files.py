"""Model files, cards, camera profiles and the hub mixin."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from aindnet import AINDNet as HubNet
from aindnet.commands.models import models
from aindnet.errors import (
    ImageWriteError,
    InvalidModelFileError,
    ModelNotFoundError,
    NoHomeError,
    WrongBaseModelError,
)
from aindnet.network import AINDNet, AINDNetConfig, is_transfer_parameter
from aindnet.pretrained import (
    ModelCard,
    list_models,
    load_camera_profile,
    load_model,
    save_camera_profile,
    save_model,
)
from aindnet.pretrained.files import (
    data_folder,
    find_model,
    model_hashes,
    read_safetensors,
    write_safetensors,
)

SMALL = AINDNetConfig(
    channels=(8, 8, 8), encoder_blocks=(1, 1, 1), decoder_blocks=(1, 1), modulation_channels=8
)


def write(folder: Path, name: str = "small", seed: int = 0) -> tuple[Path, AINDNet]:
    torch.manual_seed(seed)
    network = AINDNet(SMALL).eval()
    save_model(
        folder / f"{name}.safetensors",
        network,
        ModelCard(name=name, quality={"set": {"psnr": 30.5}}),
    )
    return folder / f"{name}.safetensors", network


def test_a_model_file_has_the_permissions_of_any_new_file(tmp_path: Path) -> None:
    path, _ = write(tmp_path)
    (tmp_path / "other").touch()
    assert path.stat().st_mode == (tmp_path / "other").stat().st_mode


def test_a_saved_model_comes_back_with_configuration_card_and_output(tmp_path: Path) -> None:
    path, network = write(tmp_path)
    loaded = load_model(path)
    x = torch.rand(1, 3, 17, 9)
    assert loaded.network.config == SMALL
    assert loaded.card.quality == {"set": {"psnr": 30.5}}
    torch.testing.assert_close(loaded.network(x).denoised, network(x).denoised, rtol=0, atol=0)
    assert not list(tmp_path.glob(".*"))


def test_models_are_found_by_name_in_the_named_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, "mine")
    monkeypatch.setenv("AINDNET_MODELS", str(tmp_path))
    assert load_model("mine").card.name == "mine"
    with pytest.raises(ModelNotFoundError, match=r"no model of this name.*mine"):
        load_model("yours")


def test_a_name_that_no_file_can_have_is_no_model() -> None:
    with pytest.raises(ModelNotFoundError, match="there is no such model file"):
        load_model("a" * 300 + ".safetensors")


@pytest.mark.parametrize("damage", ["truncated", "text", "foreign"])
def test_a_damaged_file_is_named(tmp_path: Path, damage: str) -> None:
    path, _ = write(tmp_path)
    if damage == "truncated":
        path.write_bytes(path.read_bytes()[:5000])
    elif damage == "text":
        path.write_text("hello")
    else:
        save_file({"x": torch.zeros(3)}, path)
    with pytest.raises(InvalidModelFileError, match=r"small\.safetensors"):
        load_model(path)


def test_a_camera_profile_changes_only_its_tensors_and_only_its_base(tmp_path: Path) -> None:
    base_path, _ = write(tmp_path)
    other_path, _ = write(tmp_path, "other", seed=1)
    base, adapted = load_model(base_path), load_model(base_path).network
    with torch.no_grad():
        for parameter in adapted.parameters():
            parameter.add_(0.125)
    save_camera_profile(tmp_path / "camera.safetensors", adapted, base, {"camera": "X"})
    profile = load_camera_profile(tmp_path / "camera.safetensors")
    profile.apply_to(base)
    for name, value in base.network.state_dict().items():
        if is_transfer_parameter(name):
            torch.testing.assert_close(value, adapted.state_dict()[name], atol=0, rtol=2**-8)
        else:
            torch.testing.assert_close(value, load_model(base_path).network.state_dict()[name])
    with pytest.raises(WrongBaseModelError, match=r"'small'.*'other'"):
        profile.apply_to(load_model(other_path))


@pytest.mark.parametrize("kind", ["model", "profile"])
def test_weights_that_are_not_finite_are_refused(tmp_path: Path, kind: str) -> None:
    path, network = write(tmp_path)
    base = load_model(path)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.fill_(float("nan"))
    if kind == "model":
        save_model(path, network, ModelCard(name="small"))
        with pytest.raises(InvalidModelFileError, match="is not finite"):
            load_model(path)
    else:
        save_camera_profile(tmp_path / "profile.safetensors", network, base, {"camera": "x"})
        with pytest.raises(InvalidModelFileError, match="is not finite"):
            load_camera_profile(tmp_path / "profile.safetensors")


def test_a_damaged_file_does_not_hide_the_other_models(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path, "mine")
    (tmp_path / "broken.safetensors").write_bytes(b"no model")
    monkeypatch.setenv("AINDNET_MODELS", str(tmp_path))
    assert {"mine", "aindnet-fast"} <= {card.name for card in list_models()}
    assert models() == 0
    printed = capsys.readouterr()
    assert "broken.safetensors: not a readable safetensors file" in printed.err
    assert "mine" in printed.out
    (tmp_path / "gone.safetensors").symlink_to(tmp_path / "nothing")
    assert tmp_path / "mine.safetensors" in model_hashes().values()


@pytest.mark.parametrize("part", ["config", "card", "int8_ranges"])
@pytest.mark.parametrize("text", [100_000 * "[", "[1]", '{"a": 1e400}'])
def test_a_damaged_header_is_named(tmp_path: Path, part: str, text: str) -> None:
    path, _ = write(tmp_path)
    metadata, tensors = read_safetensors(path)
    metadata["card"] = ModelCard(name="small", int8_loss_db={"set": 0.1}).to_json()
    write_safetensors(path, tensors, metadata | {"int8_ranges": "{}"} | {part: text})
    with pytest.raises(InvalidModelFileError, match=r"small\.safetensors: its .* is damaged"):
        load_model(path)


def test_a_configuration_of_no_numbers_is_named(tmp_path: Path) -> None:
    path, _ = write(tmp_path)
    metadata, tensors = read_safetensors(path)
    for channels in ([8.5, 8, 8], ["a", "b", "c"]):
        config = json.loads(metadata["config"]) | {"channels": channels}
        write_safetensors(path, tensors, metadata | {"config": json.dumps(config)})
        with pytest.raises(
            InvalidModelFileError, match=r"small\.safetensors: its configuration is"
        ):
            load_model(path)


@pytest.mark.parametrize(
    "absurd",
    [
        {"channels": [100_000, 100_000, 100_000]},
        {"channels": [10**30, 8, 8]},
        {"encoder_blocks": [10**12, 1, 1]},
        {"estimator_channels": 10**9},
    ],
    ids=str,
)
def test_a_configuration_beyond_all_memory_is_named(
    tmp_path: Path, absurd: dict[str, object]
) -> None:
    path, _ = write(tmp_path)
    metadata, tensors = read_safetensors(path)
    config = json.loads(metadata["config"]) | absurd
    write_safetensors(path, tensors, metadata | {"config": json.dumps(config)})
    with pytest.raises(InvalidModelFileError, match=r"small\.safetensors: .*configuration"):
        load_model(path)


def test_weights_of_no_real_numbers_are_refused(tmp_path: Path) -> None:
    path, _ = write(tmp_path)
    metadata, tensors = read_safetensors(path)
    for dtype in (torch.complex64, torch.int32):
        write_safetensors(path, {k: v.to(dtype) for k, v in tensors.items()}, metadata)
        with pytest.raises(InvalidModelFileError, match=f"is of {str(dtype)[6:]} numbers"):
            load_model(path)


def test_a_model_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ImageWriteError, match="cannot be written"):
        write(tmp_path / "file" / "below")


def test_hub_mixin_saves_a_folder_and_loads_it_back(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = HubNet(SMALL).eval()
    network.save_pretrained(tmp_path / "saved")
    again = HubNet.from_pretrained(tmp_path / "saved")
    x = torch.rand(1, 3, 16, 16)
    assert again.config == SMALL
    torch.testing.assert_close(again(x).denoised, network(x).denoised)


def test_hub_mixin_refuses_weights_that_lack_some(tmp_path: Path) -> None:
    HubNet(SMALL).save_pretrained(tmp_path / "saved")
    file = tmp_path / "saved" / "model.safetensors"
    weights = load_file(file)
    save_file(dict(list(weights.items())[::2]), file)
    with pytest.raises(RuntimeError, match="Missing key"):
        HubNet.from_pretrained(tmp_path / "saved")


def test_without_a_home_the_bundled_models_are_there(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    monkeypatch.setattr(Path, "home", refuse)
    assert find_model().stem == "aindnet-medium"
    with pytest.raises(NoHomeError, match="set XDG_DATA_HOME"):
        data_folder()
    monkeypatch.setenv("XDG_DATA_HOME", "/somewhere")
    assert data_folder() == Path("/somewhere/aindnet")
