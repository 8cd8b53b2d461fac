"""What a card says of weights that were made from others."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from aindnet.errors import InvalidModelFileError
from aindnet.pretrained import ModelCard, load_model, save_model
from aindnet.pretrained.card import joined_licence
from restore_networks import small_network
from tool_modules import load_tool

START = ModelCard(name="start", licence="research only", trained_on="pairs")


@pytest.mark.parametrize(
    ("own", "start", "joined"),
    [
        ("Apache-2.0", "research only", "research only"),
        ("research only", "Apache-2.0", "research only"),
        ("CC0-1.0", "MIT", "CC0-1.0"),
        ("as its photos", "research only", "research only; and as its photos"),
        ("research only; and as its photos", "research only", "research only; and as its photos"),
        ("", "research only", "research only"),
        ("Apache-2.0", "", "not stated by the model that it was made from"),
    ],
)
def test_a_licence_is_no_freer_than_the_start_s(own: str, start: str, joined: str) -> None:
    assert joined_licence(own, start) == joined


def test_data_of_a_start_are_told_once() -> None:
    then = ModelCard(name="then", licence="MIT", trained_on="tiles").started_from(START)
    assert then.trained_on == "first, as start: pairs; then: tiles"
    assert replace(START, name="again").started_from(START).trained_on == "pairs"
    assert replace(START, trained_on="tiles").started_from(then).trained_on == then.trained_on
    assert START.started_from(ModelCard(name="old")).trained_on == (
        "first, as old: not stated; then: pairs"
    )


def test_a_mix_has_the_data_of_both_and_no_measurement_of_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    second = ModelCard(
        name="second", licence="MIT", trained_on="tiles", quality={"set": {"psnr": 30.5}}
    )
    paths = [tmp_path / f"{name}.safetensors" for name in ("first", "second", "mix")]
    networks = (small_network(), small_network(mean_limit=0.05))
    for path, network, card in zip(paths, networks, (START, second), strict=False):
        save_model(path, network, card)
    arguments = [str(path) for path in paths[:2]] + ["--share", "0.75", "--output", str(paths[2])]
    monkeypatch.setattr("sys.argv", ["mix_models.py", *arguments])
    load_tool("mix_models").main()
    card = load_model(paths[2]).card
    assert load_model(paths[2]).network.config == networks[1].config
    assert (card.name, card.licence, card.quality) == ("second", "research only", {})
    assert card.trained_on == "first, as start: pairs; then: tiles"
    assert card.recipe.startswith("0.25 · start (")


@pytest.mark.parametrize(
    ("odd", "word"),
    [
        ('"quality": {"x": 5}', "quality is no dict"),
        ('"quality": ["a"]', "quality is no dict"),
        ('"quality": {"x": {"psnr": "a"}}', "quality is no dict"),
        ('"quality": {"x": {"psnr": 1e400}}', "not JSON compliant"),
        ('"quality": {"x": {"psnr": 1' + 400 * "0" + "}}", "quality is no dict"),
        ('"int8_loss_db": {"x": true}', "int8_loss_db is no dict"),
        ('"trained_on": ["a"]', "trained_on is no str"),
        ('"licence": null', "licence is no str"),
        ('"clipped": 1', "clipped is no bool"),
        ('"name": 5', "name is no str"),
        ('"name": ""', "it has no name"),
        ('"name": "\\ud800"', "surrogates not allowed"),
        ('"later": ' + 100_000 * "[", "recursion"),
    ],
)
def test_a_damaged_card_is_said_to_be(odd: str, word: str) -> None:
    with pytest.raises(InvalidModelFileError, match=rf"^a\.safetensors: its model card .*{word}"):
        ModelCard.from_json(f'{{"name": "small", {odd}}}', source="a.safetensors")


@pytest.mark.parametrize(("text", "word"), [("[]", "no JSON object"), ("{}", "it has no name")])
def test_what_is_no_card_is_said_to_be_none(text: str, word: str) -> None:
    with pytest.raises(InvalidModelFileError, match=word):
        ModelCard.from_json(text, source="a.safetensors")


def test_a_card_comes_back_as_it_was_without_what_later_versions_say() -> None:
    card = replace(START, quality={"set": {"psnr": 30.5, "n": 3}}, int8_loss_db={"set": -0.1})
    text = card.to_json().removesuffix("}") + ', "later": [1]}'
    assert ModelCard.from_json(text, source="a") == card
