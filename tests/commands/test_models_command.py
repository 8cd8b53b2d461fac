"""`aindnet models`: what is listed is what `--model` takes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from aindnet.commands.app import main
from aindnet.pretrained import ModelCard, load_model, save_model
from aindnet.pretrained.files import (
    DEFAULT_MODEL,
    find_model,
    read_safetensors,
    write_safetensors,
)
from restore_networks import small_network


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("AINDNET_MODELS", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "160")
    return tmp_path


def listed(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    with pytest.raises(SystemExit):
        main(["models", "--json"])
    models: list[dict[str, Any]] = json.loads(capsys.readouterr().out)["models"]
    return models


def table(capsys: pytest.CaptureFixture[str]) -> str:
    with pytest.raises(SystemExit):
        main(["models"])
    return capsys.readouterr().out


def test_models_are_listed_by_what_they_are_loaded_by(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save_model(folder / "my-d800.safetensors", small_network(), ModelCard(name="small"))
    mine = next(each for each in listed(capsys) if each["name"] == "small")
    assert load_model(mine["model"]).sha256 == mine["sha256"]
    shown = table(capsys)
    assert "my-d800" in shown
    assert "card: small" in shown


def test_the_default_is_one_file(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "a-copy.safetensors").symlink_to(find_model())
    defaults = {each["model"]: each["default"] for each in listed(capsys)}
    assert defaults["a-copy"] is False
    assert [name for name, default in defaults.items() if default] == [DEFAULT_MODEL]
    assert table(capsys).count("(default)") == 1


def test_an_odd_model_is_named_and_the_others_are_listed(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save_model(folder / "good.safetensors", small_network(), ModelCard(name="good"))
    metadata, tensors = read_safetensors(folder / "good.safetensors")
    cards = {"odd": '{"name": "odd", "quality": {"x": 5}}', "deep": 100_000 * "["}
    for name, card in cards.items():
        write_safetensors(folder / f"{name}.safetensors", tensors, metadata | {"card": card})
    for arguments in (["models"], ["models", "--json"]):
        with pytest.raises(SystemExit) as stopped:
            main(arguments)
        assert stopped.value.code == 0
        told = capsys.readouterr()
        assert "good" in told.out
        for name in cards:
            assert f"{name}.safetensors: its model card is damaged" in told.err


def test_what_a_card_says_is_no_markup(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    card = ModelCard(
        name="[red]small",
        licence="[/red] mine",
        quality={"[b]set": {"psnr": 30.5}},
        int8_loss_db={"[i]set": 0.1},
        known_failures="[/b] \x1b[31m red\nand more",
    )
    path = folder / "a.safetensors"
    save_model(path, small_network(), card)
    metadata, tensors = read_safetensors(path)
    write_safetensors(path, tensors, metadata | {"card": card.to_json()})
    shown = table(capsys)
    for text in ("card: [red]small", "[/red] mine", "[b]set: 30.50", "int8 on [i]set", "[/b]"):
        assert text in shown
    assert "\x1b" not in shown
