"""`aindnet train` from the command line in: exit codes, and one line where something is wrong."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest

from aindnet.commands.app import main
from aindnet.errors import TrainingDivergedError

pytest.importorskip("pytorch_lightning")
from aindnet.training import TrainingRecipe, fit


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    path = tmp_path / "recipe.yaml"
    path.write_text("name: x\ndata: [none.tar]\nvalidation: [val.tar]")
    return path


def run(*arguments: object) -> int:
    with pytest.raises(SystemExit) as stopped:
        main(["train", *map(str, arguments)])
    return int(stopped.value.code or 0)


def test_own_photos_are_all_that_is_needed(
    recipe: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    seen: list[tuple[TrainingRecipe, dict[str, Any]]] = []

    def stand_in(settings: TrainingRecipe, **options: Any) -> Path:
        seen.append((settings, options))
        return Path("x.safetensors")

    monkeypatch.setattr(fit, "fit", stand_in)
    flags = ("--data", "a", "my own/b", "--overwrite", "--budget=25m", "--output", "/home/me/runs")
    assert run(recipe, *flags) == 0
    [(settings, options)] = seen
    assert settings.data == (Path("a"), Path("my own/b"))
    assert settings.hold_out == 0.05
    assert options["overwrite"]
    assert options["file"] == "recipe.yaml --data a b --budget=25m --output runs"
    assert "val.tar: not there" in capsys.readouterr().err


def test_the_card_s_flags_are_whole_but_for_the_folders_of_paths(
    recipe: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []

    def stand_in(settings: TrainingRecipe, *, file: str, **_: Any) -> Path:
        told.append(file)
        return Path("x.safetensors")

    monkeypatch.setattr(fit, "fit", stand_in)
    flags = ("--data=/a/date=2024/photos", "--real_pairs", "/me/c", "/me/d", "--initial=/me/m.st")
    assert run(recipe, *flags, "--licence", "CC BY 4.0 / CC0", "--trained-on=a/b") == 0
    said = "--data=photos --real_pairs c d --initial=m.st --licence 'CC BY 4.0 / CC0'"
    assert told == [f"recipe.yaml {said} --trained-on=a/b"]


@pytest.mark.parametrize("flags", [("--data", ""), ("--output=",), ("--initial", "")], ids=str)
def test_an_empty_path_is_wrong_usage(
    recipe: Path, flags: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(recipe, *flags) == 2
    assert "is empty: name a" in capsys.readouterr().err


def test_a_run_that_diverges_fails_and_is_no_wrong_usage(
    recipe: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def diverge(*_: Any, **__: Any) -> Path:
        raise TrainingDivergedError("training diverged at step 3")

    monkeypatch.setattr(fit, "fit", diverge)
    assert run(recipe) == 1
    assert capsys.readouterr().err == "aindnet: training diverged at step 3\n"


def test_the_missing_extra_is_named(
    recipe: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    known = importlib.util.find_spec
    without = {"pytorch_lightning"}
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *_: None if name in without else known(name)
    )
    assert run(recipe) == 2
    assert "pip install 'aindnet[train]'" in capsys.readouterr().err
