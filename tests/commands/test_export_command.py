from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from aindnet.commands.app import main
from aindnet.network import AINDNet, AINDNetConfig
from aindnet.pretrained import ModelCard, load_model, save_camera_profile, save_model
from aindnet.pretrained.card import PHOTOS_LICENCE
from aindnet.pretrained.files import model_metadata, read_safetensors, write_safetensors
from restore_networks import small_network


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("models") / "small.safetensors"
    save_model(path, small_network(), ModelCard(name="small"))
    return path


def call(*arguments: object) -> int:
    with pytest.raises(SystemExit) as stopped:
        main([str(each) for each in ("export", *arguments)])
    assert isinstance(stopped.value.code, int)
    return stopped.value.code


def test_what_it_writes_runs(model: Path, tmp_path: Path) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    output = tmp_path / "folder" / "small.onnx"
    assert call("--format", "onnx", "--output", output, "--model", model, "--dynamic") == 0
    session = onnxruntime.InferenceSession(output, providers=["CPUExecutionProvider"])
    image = np.random.default_rng(0).random((1, 3, 32, 64), dtype=np.float32)
    with torch.inference_mode():
        expected = small_network()(torch.from_numpy(image)).denoised.numpy()
    np.testing.assert_allclose(session.run(["denoised"], {"noisy": image})[0], expected, atol=1e-4)


def test_a_network_of_a_coarse_grid_says_what_its_sides_must_be(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    onnx = pytest.importorskip("onnx")
    network = small_network(normalization="none", unshuffle=2, modulation_stride=24)
    save_model(tmp_path / "m.safetensors", network, ModelCard(name="m"))
    open_, fixed = tmp_path / "open.onnx", tmp_path / "fixed.onnx"
    flags = ("--format", "onnx", "--model", tmp_path / "m.safetensors")
    assert call(*flags, "--output", open_, "--dynamic") == 0
    assert "sides must be multiples of 96 pixels" in capsys.readouterr().err
    assert call(*flags, "--output", fixed) == 0  # the size that nobody gave fits
    facts = {each.key: each.value for each in onnx.load(open_).metadata_props}
    assert facts["sides"] == "multiples of 96 pixels"
    shape = onnx.load(fixed).graph.input[0].type.tensor_type.shape
    assert [each.dim_value for each in shape.dim] == [1, 3, 576, 576]


@pytest.mark.parametrize(
    ("format_", "name", "there"),
    [("safetensors", "m.safetensors", "m.safetensors"), ("openvino", "m.xml", "m.bin")],
)
def test_what_is_there_is_kept(
    format_: str,
    name: str,
    there: str,
    model: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / there).write_text("trained for a week")
    assert call("--format", format_, "--output", tmp_path / name, "--model", model) == 2
    assert f"{there}: exists already" in capsys.readouterr().err
    assert (tmp_path / there).read_text() == "trained for a week"


def test_an_adapted_model_says_so(model: Path, tmp_path: Path) -> None:
    base = load_model(model)
    base.network.head.weight.data.add_(0.1)
    profile, output = tmp_path / "camera.safetensors", tmp_path / "mine.safetensors"
    save_camera_profile(profile, base.network, load_model(model), {"camera": "X100"})
    call("--format", "safetensors", "--output", output, "--model", model, "--camera", profile)
    exported = load_model(output)
    assert exported.card.name == "small for X100"
    assert exported.card.quality == {}
    torch.testing.assert_close(
        exported.network.head.weight, base.network.head.weight, rtol=0.01, atol=0
    )


@pytest.mark.parametrize(
    ("about", "licence"),
    [
        ({"licence": "research only"}, "research only"),
        ({}, PHOTOS_LICENCE),
        ({"licence": "MIT"}, "MIT"),
    ],
)
def test_an_adapted_model_is_no_freer_than_its_pairs(
    tmp_path: Path, about: dict[str, str], licence: str
) -> None:
    model, profile = tmp_path / "small.safetensors", tmp_path / "camera.safetensors"
    card = ModelCard(name="small", licence="Apache-2.0", trained_on="drawings")
    save_model(model, small_network(), card)
    base = load_model(model)
    more = {"camera": "X100", "pairs": 12}
    save_camera_profile(profile, base.network, base, more | about)
    output = tmp_path / "mine.safetensors"
    flags = ("--output", output, "--model", model, "--camera", profile)
    assert call("--format", "safetensors", *flags) == 0
    exported = load_model(output).card
    assert exported.licence == licence
    assert exported.trained_on == "first, as small: drawings; then: 12 pairs of X100"


def test_a_damaged_profile_is_named(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    loaded = load_model(model)
    output = ("--output", tmp_path / "mine.safetensors", "--model", model)
    for number, change in enumerate(({"about": "{"}, {"base_sha256": None}, None)):
        path = tmp_path / f"{number}.safetensors"
        save_camera_profile(path, loaded.network, loaded, {})
        metadata, tensors = read_safetensors(path)
        if change is None:
            tensors.pop("head.weight")
        header = {k: v for k, v in (metadata | (change or {})).items() if v is not None}
        write_safetensors(path, tensors, header)
        assert call("--format", "safetensors", *output, "--camera", path) == 2
        assert "damaged" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("--format", "onnx", "--output", "a.xml"), "must end in .onnx"),
        (("--format", "onnx", "--output", "a.onnx", "--size", "100"), "multiple of 32"),
        (("--format", "darktable", "--output", "a.dtmodel", "--dynamic"), "--dynamic"),
        (("--format", "safetensors", "--output", "a.pth"), "must end in .safetensors"),
        (("--format", "safetensors", "--output", "a.safetensors", "--size", "64"), "no size"),
    ],
)
def test_wrong_use_is_said_and_nothing_written(
    model: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: tuple[str, ...],
    reason: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert call(*arguments, "--model", model) == 2
    assert reason in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def detect(path: Path) -> AINDNet | None:
    """A loader of another program, written from docs/engine.md: it sees tensors and no header."""
    tensors = load_file(path)
    described = tensors.pop("aindnet_configuration", None)
    if described is None:
        return None
    configuration = json.loads(bytes(described.tolist()).decode("utf-8"))
    if (configuration["architecture"], configuration["version"]) != ("aindnet", 1):
        return None
    network = AINDNet(AINDNetConfig(**configuration["config"]))
    network.load_state_dict(tensors)
    return network.eval()


def test_a_loader_knows_the_state_dict_by_its_tensors_alone(model: Path, tmp_path: Path) -> None:
    output = tmp_path / "state.safetensors"
    assert call("--format", "safetensors", "--output", output, "--model", model) == 0
    image = torch.rand(1, 3, 40, 56)
    found = detect(output)
    assert found is not None
    assert found.config == small_network().config
    torch.testing.assert_close(found(image), small_network()(image), rtol=0, atol=0)
    again = load_model(output)  # and it is a model file all the same
    torch.testing.assert_close(again.network(image), found(image), rtol=0, atol=0)
    assert again.card == ModelCard(name="small")
    assert detect(model) is None


def test_an_adapted_graph_is_not_passed_off_as_its_base(tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx")
    model, profile = tmp_path / "small.safetensors", tmp_path / "camera.safetensors"
    card = ModelCard(name="small", date="2026-01-02", int8_loss_db={"polyu": 0.1})
    network = small_network()
    ranges = {name: (0.0, 1.0) for name in ("head",)}
    write_safetensors(
        model,
        {k: v.contiguous() for k, v in network.state_dict().items()},
        model_metadata(network.config, card, ranges),
    )
    base, hashes = load_model(model), []
    for number, date in enumerate(("2026-03-04", "2026-03-05")):
        base.network.head.weight.data.add_(0.1)
        save_camera_profile(profile, base.network, load_model(model), {"date": date})
        output = tmp_path / f"{number}.onnx"
        flags = ("--output", output, "--model", model, "--size", 32)
        assert call("--format", "onnx", *flags, "--camera", profile) == 0
        facts = {each.key: each.value for each in onnx.load(output).metadata_props}
        written = json.loads(facts["card"])
        assert (written["date"], written["int8_loss_db"]) == (date, {})
        hashes.append(facts["sha256"])
    assert len({*hashes, base.sha256}) == 3


def test_an_output_below_a_file_is_said(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    for format_, suffix in (("onnx", "onnx"), ("safetensors", "safetensors")):
        output = tmp_path / "file" / f"n.{suffix}"
        assert call("--format", format_, "--output", output, "--model", model) == 2
        assert "is a file, not a folder" in capsys.readouterr().err
