"""`tools/release_model.py`: what is on the card, and what is refused."""

import importlib
import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from aindnet.network import AINDNet, AINDNetConfig
from aindnet.pretrained import ModelCard, load_model, save_model
from aindnet.pretrained.files import save_with_int8

TOOLS = Path(__file__).parents[2] / "tools"


@pytest.fixture
def tool(monkeypatch):
    monkeypatch.syspath_prepend(str(TOOLS))
    return importlib.import_module("release_model")


@pytest.fixture
def trained(tmp_path):
    torch.manual_seed(0)
    network = AINDNet(AINDNetConfig(channels=(4, 4, 4), encoder_blocks=(1, 1, 1)))
    random = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in network.parameters():  # a fresh network gives its input back
            parameter.add_(0.004 * torch.randn(parameter.shape, generator=random))
    save_model(tmp_path / "trained.safetensors", network, ModelCard(name="mine"))
    return load_model(tmp_path / "trained.safetensors")


@pytest.fixture
def report(trained, tmp_path):
    """Writes what `aindnet evaluate --json` prints, and gives the argument that names it."""

    def write(**changed):
        measured = {
            **{"model_hash": trained.sha256, "protocol": "Crops. Subset: 31 of 62 images."},
            **{"psnr": 38.12345, "ssim": 0.9, "noisy_psnr": 35.0, "n": 31, "failed": []},
        }
        (tmp_path / "polyu.json").write_text(json.dumps(measured | changed))
        return f"PolyU={tmp_path / 'polyu.json'}"

    return write


@pytest.fixture
def release(tool, trained, tmp_path, monkeypatch):
    def call(*arguments):
        output = ("--output", str(tmp_path / "weights"))
        monkeypatch.setattr(
            "sys.argv", ["release_model.py", str(trained.path), *output, *arguments]
        )
        tool.main()
        return tmp_path / "weights" / "mine.safetensors"

    return call


def test_the_card_says_what_was_measured_and_of_how_much(release, report):
    card = load_model(release("--report", report())).card
    assert card.quality == {
        "PolyU, 31 of 62 images": {"psnr": 38.1234, "ssim": 0.9, "noisy_psnr": 35.0, "n": 31.0}
    }
    card = load_model(release("--report", report(protocol="Crops."))).card
    assert list(card.quality) == ["PolyU"]


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"model_hash": "0" * 64}, "other weights"),
        ({"model_hash": None}, "other weights"),
        ({"failed": [{"name": "a"}]}, "images failed, a first"),
        ({"psnr": None}, "has no psnr"),
        ({"ssim": None}, "has no ssim"),
    ],
)
def test_reports_that_say_nothing_of_this_model_are_refused(release, report, changed, said):
    with pytest.raises(SystemExit, match=said):
        release("--report", report(**changed))


@pytest.mark.parametrize("already_float16", [True, False])
def test_a_calibration_goes_along_where_the_weights_stay(
    trained, tmp_path, release, already_float16
):
    if already_float16:
        save_model(trained.path, trained.network, trained.card, dtype=torch.float16)
    card = replace(trained.card, int8_loss_db={"pairs": 0.01}, int8_command="calibrate")
    save_with_int8(trained.path, trained.path, card, {"stem2": (-1.0, 2.0)})
    released = load_model(release("--description", "another card"))
    assert released.card.description == "another card"
    assert released.int8_ranges == ({"stem2": (-1.0, 2.0)} if already_float16 else None)
    assert released.card.int8_loss_db == ({"pairs": 0.01} if already_float16 else {})


def test_weights_that_float16_spoils_leave_the_released_file_as_it_is(release, tool, monkeypatch):
    path = release()
    before = path.read_bytes()
    monkeypatch.setattr(tool, "MOST_CHANGE", 0.0)
    with pytest.raises(SystemExit, match="not released"):
        release("--description", "another card")
    assert path.read_bytes() == before
