"""`aindnet convert-tf`: the authors' checkpoint becomes a model that computes their graph."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from aindnet.commands.app import main
from aindnet.errors import InvalidModelFileError
from aindnet.pretrained import load_model
from aindnet.pretrained.tf1 import TF1_CONFIG
from aindnet.pretrained.tf1_checkpoint import checkpoint_prefix, network_from_tf1, read_checkpoint
from golden_weights import golden_variables

CASE = "c2_1x60x52"


class OpError(Exception):
    """What TensorFlow raises for files that it cannot read."""


class FakeReader:
    """The interface of TensorFlow's checkpoint reader."""

    def __init__(self, variables: dict[str, np.ndarray]) -> None:
        self.variables = variables

    def get_variable_to_shape_map(self) -> dict[str, list[int]]:
        return {name: list(value.shape) for name, value in self.variables.items()}

    def get_tensor(self, name: str) -> np.ndarray:
        return self.variables[name]


@pytest.fixture(scope="module")
def variables(shared: Path) -> dict[str, np.ndarray]:
    return golden_variables(shared)


@pytest.fixture
def tensorflow(monkeypatch: pytest.MonkeyPatch) -> dict[str, dict[str, np.ndarray]]:
    """A stand-in for TensorFlow; checkpoints by prefix."""
    checkpoints: dict[str, dict[str, np.ndarray]] = {}

    def load_checkpoint(prefix: str) -> FakeReader:
        if prefix not in checkpoints:
            raise OpError("Unable to open table file: not an sstable\nmore words")
        return FakeReader(checkpoints[prefix])

    fake = SimpleNamespace(
        train=SimpleNamespace(load_checkpoint=load_checkpoint),
        errors=SimpleNamespace(OpError=OpError),
    )
    monkeypatch.setitem(sys.modules, "tensorflow", fake)
    return checkpoints


def with_slots(variables: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The variables with what Adam keeps beside them in a checkpoint of training."""
    slots = {f"{name}/Adam{end}": value for name, value in variables.items() for end in ("", "_1")}
    counters = {"beta1_power": 0.9, "beta2_power": 0.999, "global_step": 7}
    return variables | slots | {name: np.float32(value) for name, value in counters.items()}


def touch(prefix: Path) -> Path:
    """The names of a checkpoint's files."""
    for end in (".index", ".meta", ".data-00000-of-00001"):
        Path(f"{prefix}{end}").touch()
    return prefix


def call(*arguments: object) -> int:
    with pytest.raises(SystemExit) as stopped:
        main(["convert-tf", *map(str, arguments)])
    assert isinstance(stopped.value.code, int)
    return stopped.value.code


def assert_golden(model: Path, shared: Path) -> None:
    """The model file computes the recorded outputs of the released graph."""
    with np.load(shared / "golden/cases.npz") as cases:
        noisy = torch.from_numpy(cases[f"{CASE}.input"]).permute(0, 3, 1, 2)
        golden, golden_level = cases[f"{CASE}.out"], cases[f"{CASE}.noise"]
    loaded = load_model(model)
    assert loaded.network.config == TF1_CONFIG
    with torch.inference_mode():
        out = loaded.network(noisy)
    for ours, theirs, tolerance in (
        (out.denoised, golden, 1e-3),
        (out.noise_level, golden_level, 1e-4),
    ):
        error = np.abs(ours.permute(0, 2, 3, 1).numpy() - theirs).max() / theirs.std()
        assert error < tolerance


def test_a_model_that_is_there_is_kept(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "authors.safetensors"
    output.write_text("trained for a week")
    assert call(touch(tmp_path / "model.ckpt-1000"), "--output", output) == 2
    assert "exists already" in capsys.readouterr().err
    assert output.read_text() == "trained for a week"


def test_golden_outputs_of_a_converted_checkpoint(
    variables: dict[str, np.ndarray], tensorflow: dict, shared: Path, tmp_path: Path
) -> None:
    prefix = touch(tmp_path / "model.ckpt-1000")
    tensorflow[str(prefix)] = with_slots(variables)
    output = tmp_path / "authors.safetensors"
    assert call(prefix, "--output", output) == 0
    card = load_model(output).card
    assert card.name == "authors"
    assert "model.ckpt-1000" in card.description
    assert_golden(output, shared)


def test_a_converted_model_denoises(
    variables: dict[str, np.ndarray], tensorflow: dict, tmp_path: Path
) -> None:
    from aindnet import Denoiser

    prefix = touch(tmp_path / "model.ckpt")
    tensorflow[str(prefix)] = variables
    output = tmp_path / "authors.safetensors"
    assert call(tmp_path, "--output", output) == 0
    denoiser = Denoiser.from_pretrained(output, backend="torch", precision="fp32")
    image = np.random.default_rng(0).integers(0, 256, (33, 40, 3), dtype=np.uint8)
    result = denoiser(image)
    assert (result.image.shape, result.image.dtype) == (image.shape, np.uint8)


@pytest.mark.parametrize("end", ["", ".index", ".meta", ".data-00000-of-00001"])
def test_any_file_of_a_checkpoint_names_it(tmp_path: Path, end: str) -> None:
    prefix = touch(tmp_path / "model.ckpt-1000")
    assert checkpoint_prefix(Path(f"{prefix}{end}")) == prefix


def test_a_folder_names_its_checkpoint(tmp_path: Path) -> None:
    prefix = touch(tmp_path / "model.ckpt-1000")
    assert checkpoint_prefix(tmp_path) == prefix
    touch(tmp_path / "model.ckpt-2000")
    with pytest.raises(InvalidModelFileError, match="2 checkpoints"):
        checkpoint_prefix(tmp_path)
    (tmp_path / "checkpoint").touch()  # it names the latest: TensorFlow reads it
    assert checkpoint_prefix(tmp_path) == tmp_path


def test_a_missing_weight_is_named(variables: dict[str, np.ndarray]) -> None:
    less = {name: value for name, value in variables.items() if name != "AINDNet/conv6/biases"}
    with pytest.raises(InvalidModelFileError, match=r"model: lacks 1 of .*head\.bias"):
        network_from_tf1(less, source="model")


def test_a_weight_of_another_shape_is_named(variables: dict[str, np.ndarray]) -> None:
    other = variables | {"AINDNet/conv6/biases": np.zeros(4, np.float32)}
    with pytest.raises(InvalidModelFileError, match=r"head\.bias has shape \(4,\)"):
        network_from_tf1(other, source="model")


def test_a_checkpoint_of_another_network_is_refused() -> None:
    foreign = {"resnet/conv1/weights": np.zeros((3, 3, 3, 8), np.float32)}
    with pytest.raises(InvalidModelFileError, match=r"model: .*resnet/conv1/weights"):
        network_from_tf1(foreign, source="model")
    with pytest.raises(InvalidModelFileError, match="not of the authors' graph"):
        network_from_tf1({"_GRAPH": np.array("text", dtype=object)}, source="model")


def test_a_file_that_is_no_checkpoint_is_one_line(
    tensorflow: dict, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wrong = tmp_path / "photo.jpg"
    wrong.write_bytes(b"no checkpoint")
    assert call(wrong, "--output", tmp_path / "model.safetensors") == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "photo.jpg: not a readable TensorFlow checkpoint (Unable to open" in said
    assert not (tmp_path / "model.safetensors").exists()


def test_what_is_missing_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(tmp_path / "none.ckpt", "--output", tmp_path / "model.safetensors") == 2
    assert "no such TensorFlow checkpoint" in capsys.readouterr().err
    assert call(tmp_path / "none.ckpt", "--output", tmp_path / "model.pth") == 2
    assert "must end in .safetensors" in capsys.readouterr().err


def test_without_tensorflow_the_extra_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "tensorflow", None)
    prefix = touch(tmp_path / "model.ckpt")
    assert call(prefix, "--output", tmp_path / "model.safetensors") == 2
    assert "aindnet[tf]" in capsys.readouterr().err


def test_golden_outputs_of_a_checkpoint_that_tensorflow_wrote(
    variables: dict[str, np.ndarray], shared: Path, tmp_path: Path
) -> None:
    pytest.importorskip("tensorflow", reason="TensorFlow is not installed: pip install '.[tf]'")
    import tensorflow.compat.v1 as tf1

    prefix = tmp_path / "model.ckpt"
    with tf1.Graph().as_default(), tf1.Session() as session:
        for name, value in with_slots(variables).items():
            tf1.get_variable(name, initializer=value, use_resource=False)
        session.run(tf1.global_variables_initializer())
        tf1.train.Saver().save(session, str(prefix))
    read = read_checkpoint(prefix)
    assert read.keys() == variables.keys()
    output = tmp_path / "authors.safetensors"
    assert call(tmp_path, "--output", output) == 0
    assert_golden(output, shared)
    prefix.with_name("model.ckpt.index").write_bytes(b"damaged")
    with pytest.raises(InvalidModelFileError, match="not a readable TensorFlow checkpoint"):
        read_checkpoint(prefix)
