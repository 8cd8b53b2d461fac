"""Runs end with a checkpoint, stop where they are told to, and go on only as what they are."""

from __future__ import annotations

import errno
import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from aindnet.camera import CameraRecipe
from aindnet.errors import ImageWriteError, RecipeError
from aindnet.network import AINDNet
from aindnet.pretrained import ModelCard, load_model, save_model

pytest.importorskip("pytorch_lightning")
from aindnet.training.checkpoints import LOCK, Checkpoint, read_checkpoint, settings
from aindnet.training.fit import fit
from aindnet.training.task import SyntheticNoiseTask
from training_runs import SMALL, recipe, weights

NONE_YET = {"checkpoint_every": "5m", "validate_every": "5m"}
"""A run that ends before its first checkpoint is due."""


def test_a_run_ends_with_a_checkpoint_that_goes_on(photos: Path, tmp_path: Path) -> None:
    """With the weights of the last step, not their average; so a longer run is the same run."""
    flat: dict[str, Any] = NONE_YET | {"flat": 1.0, "warmup": 0.0, "validation": ()}
    whole = fit(recipe(photos, tmp_path / "whole", budget="6 steps", **flat))
    first = fit(recipe(photos, tmp_path / "first", budget="3 steps", **flat))
    last = first.with_name("last.ckpt")
    assert read_checkpoint(last).step == 3
    longer = recipe(photos, tmp_path / "first", budget="6 steps", **flat)
    torch.testing.assert_close(weights(fit(longer, resume=last)), weights(whole), rtol=0, atol=1e-6)


def test_a_time_budget_that_is_used_up_is_not_resumed(photos: Path, tmp_path: Path) -> None:
    changes: dict[str, Any] = NONE_YET | {"budget": "0.1s", "validation": ()}
    path = fit(recipe(photos, tmp_path, **changes))
    before = path.read_bytes()
    with pytest.raises(RecipeError, match=r"the run is done, 0\.\d minutes; .* longer --budget"):
        fit(recipe(photos, tmp_path, **changes), resume=path.with_name("last.ckpt"))
    assert path.read_bytes() == before


def test_a_short_run_replaces_the_checkpoints_of_the_old_one(photos: Path, tmp_path: Path) -> None:
    changes: dict[str, Any] = {"budget": "2 steps", "validation": ()}
    fit(recipe(photos, tmp_path, checkpoint_every="1 steps", **changes))
    path = fit(recipe(photos, tmp_path, seed=1, **NONE_YET, **changes), overwrite=True)
    assert [each.name for each in path.parent.glob("*.ckpt")] == ["last.ckpt"]
    assert (read_checkpoint(path.with_name("last.ckpt")).settings or {})["seed"] == "1"


@pytest.fixture
def heard(request: pytest.FixtureRequest) -> Iterator[int]:
    """A signal that is not ignored, as Ctrl-C is where a shell runs the tests in the background."""
    number: int = request.param
    before = signal.signal(number, signal.default_int_handler)
    yield number
    signal.signal(number, before)


@pytest.mark.parametrize("heard", [signal.SIGINT, signal.SIGTERM], indirect=True)
def test_a_run_that_is_told_to_stop_goes_on_to_the_same_weights(
    photos: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    heard: int,
) -> None:
    given = recipe(photos, tmp_path, **NONE_YET, budget="4 steps", validation=())
    whole = fit(replace(given, name="whole"))

    def tell(task: SyntheticNoiseTask) -> None:
        if task.global_step == 1:  # a signal itself would be all of this process's
            handler = signal.getsignal(heard)
            assert callable(handler)
            handler(heard, None)

    handler = signal.getsignal(heard)
    with monkeypatch.context() as patch:
        patch.setattr(SyntheticNoiseTask, "on_after_backward", tell)
        with pytest.raises(KeyboardInterrupt):
            fit(given)
    assert signal.getsignal(heard) is handler
    last = tmp_path / "runs/tiny/last.ckpt"
    assert f"stopped after step 2; go on with --resume {last}" in capsys.readouterr().err
    torch.testing.assert_close(weights(fit(given, resume=last)), weights(whole), rtol=0, atol=1e-6)


def test_an_ignored_signal_stays_ignored(photos: Path, tmp_path: Path) -> None:
    seen = []
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(
                SyntheticNoiseTask,
                "on_after_backward",
                lambda task: seen.append(signal.getsignal(signal.SIGINT)),
            )
            fit(recipe(photos, tmp_path, **NONE_YET, budget="1 steps", validation=()))
    finally:
        signal.signal(signal.SIGINT, before)
    assert seen == [signal.SIG_IGN]


def test_what_the_recipe_changes_in_a_run_is_said(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = recipe(photos, tmp_path, **NONE_YET, budget="1 steps", validation=())
    last = fit(given).with_name("last.ckpt")
    capsys.readouterr()
    camera = CameraRecipe(jpeg=0.6)
    other = replace(given, budget="2 steps", camera=camera, learning_rate=1e-3, description="x")
    fit(other, resume=last)
    told = capsys.readouterr().err
    assert "camera.jpeg 0.3 → 0.6, learning_rate 0.002 → 0.001" in told
    assert "description" not in told
    with pytest.raises(RecipeError, match=r"another network \(network\.map_limit None → 0\.25\)"):
        fit(replace(other, network=replace(SMALL, map_limit=0.25)), resume=last)


def test_tiles_held_out_count_where_there_are_no_others(photos: Path, tmp_path: Path) -> None:
    given = recipe(photos, tmp_path)
    stored = Checkpoint(Path("last.ckpt"), {}, [], 0, 0.0, settings(given))
    assert stored.changed(replace(given, hold_out=0.1, validation=(tmp_path,))) == []
    assert stored.changed(replace(given, hold_out=0.1, validation=())) == ["hold_out 0.0 → 0.1"]
    others = replace(given, camera=CameraRecipe(jpeg=0.3, priors={"uniform": 1.0}))
    [changed] = stored.changed(others)
    assert changed.startswith("camera.priors {'cameras': ")
    del (stored.settings or {})["camera.priors"]  # as of a version that had no such field
    assert stored.changed(others) == []


def test_two_runs_are_not_at_work_in_one_folder(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Though nothing is written yet; a lock that a killed run left is free."""
    given = recipe(photos, tmp_path, **NONE_YET, budget="1 steps", validation=())
    other = replace(given, name="other")
    last = fit(other).with_name("last.ckpt")
    folder = tmp_path / "runs/tiny"
    folder.mkdir()
    (folder / LOCK).touch()
    refused: list[str] = []

    def meanwhile(task: SyntheticNoiseTask) -> None:
        for options in ({}, {"overwrite": True}, {"resume": last}):
            with pytest.raises(RecipeError) as error:
                fit(given, **options)
            refused.append(str(error.value))

    with monkeypatch.context() as patch:
        patch.setattr(SyntheticNoiseTask, "on_after_backward", meanwhile)
        path = fit(given)
    assert len(refused) == 3
    assert all(line.startswith(f"{folder}: another run is at work there") for line in refused)
    assert path.is_file()
    assert not (folder / LOCK).exists()


def test_a_run_that_goes_on_under_another_name_spares_what_is_there(
    photos: Path, tmp_path: Path
) -> None:
    given = recipe(photos, tmp_path, **NONE_YET, budget="1 steps", validation=())
    last = fit(given).with_name("last.ckpt")
    other = fit(replace(given, name="other", seed=1))
    before = {each.name: each.read_bytes() for each in other.parent.iterdir()}
    longer = replace(given, name="other", budget="2 steps")
    with pytest.raises(RecipeError, match="other: holds a run already"):
        fit(longer, resume=last)
    assert {each.name: each.read_bytes() for each in other.parent.iterdir()} == before
    fit(longer, resume=last, overwrite=True)
    assert read_checkpoint(other.with_name("last.ckpt")).step == 2


def test_a_model_that_a_run_did_not_come_to_write_is_written(photos: Path, tmp_path: Path) -> None:
    given = recipe(photos, tmp_path, **NONE_YET, budget="2 steps", validation=())
    path = fit(given, file="tiny.yaml")
    last, (whole, card) = path.with_name("last.ckpt"), (weights(path), load_model(path).card)
    path.unlink()
    fit(given, resume=last)
    assert torch.equal(weights(path), whole)
    assert load_model(path).card.recipe == card.recipe
    assert "2 steps" in load_model(path).card.hardware
    # A validation's, of before.
    save_model(path, AINDNet(SMALL), ModelCard(name="tiny", hardware="1 × cpu, 1 steps, 0 min"))
    fit(given, resume=last)
    assert torch.equal(weights(path), whole)
    with pytest.raises(RecipeError, match="the run is done, 2 steps"):
        fit(given, resume=last)


def test_a_resumed_run_s_card_tells_of_the_start_and_of_all_photos(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = recipe(photos, tmp_path, **NONE_YET, budget="1 steps", validation=())
    start = fit(replace(given, name="start", trained_on="pairs", licence="research only"))
    on = replace(given, trained_on="photos in a")
    path = fit(replace(on, initial=str(start)))
    last, before = path.with_name("last.ckpt"), load_model(path).card
    capsys.readouterr()
    fit(replace(on, budget="2 steps"), resume=last)
    assert "licence will be 'research only', not 'Apache-2.0': start" in capsys.readouterr().err
    card = load_model(path).card
    assert (card.licence, card.trained_on) == (before.licence, before.trained_on)
    assert card.recipe.endswith(", from start")
    fit(replace(on, budget="3 steps", initial=str(start)), resume=last)
    assert load_model(path).card.trained_on == before.trained_on
    others = (photos.with_name("others"),)
    for steps in (4, 5):
        fit(
            replace(on, budget=f"{steps} steps", data=others, trained_on="photos in b"),
            resume=last,
        )
        card = load_model(path).card
        assert card.licence == "research only"
        assert card.trained_on == (
            "first, as tiny: first, as start: pairs; then: photos in a; then: photos in b"
        )


def test_a_resumed_run_has_the_optimizer_of_its_recipe(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = recipe(photos, tmp_path, **NONE_YET, budget="1 steps", validation=())
    last = fit(given).with_name("last.ckpt")
    groups: list[dict[str, Any]] = []

    def keep(task: SyntheticNoiseTask) -> None:
        groups.extend(task.trainer.optimizers[0].param_groups)

    monkeypatch.setattr(SyntheticNoiseTask, "on_after_backward", keep)
    other = {"weight_decay": 0.3, "betas": (0.5, 0.6), "modulation_rate": 0.25}
    fit(replace(given, budget="2 steps", **other), resume=last)
    assert {group["betas"] for group in groups} == {(0.5, 0.6)}
    assert {group["rate"] for group in groups} == {1.0, 0.25}
    assert {group["weight_decay"] for group in groups} == {0.0, 0.3}
    assert all(group["lr"] > 0 for group in groups)


def test_weights_have_one_name_compiled_or_not(photos: Path, tmp_path: Path) -> None:
    given = recipe(photos, tmp_path, **NONE_YET, budget="1 steps", validation=())
    plain, compiled = (
        SyntheticNoiseTask(replace(given, compile=each), AINDNet(SMALL)).state_dict()
        for each in (False, True)
    )
    assert list(compiled) == list(plain)
    assert all(name.startswith("network.") for name in plain)
    # As old files have them.
    last = fit(given).with_name("last.ckpt")
    stored = torch.load(last)
    for kind in ("state_dict", "current_model_state"):
        stored[kind] |= {
            name.replace("network.", "runner._orig_mod."): value
            for name, value in stored[kind].items()
        }
    for name in ("aindnet_cards", "aindnet_recipe"):
        del stored[name]
    old = tmp_path / "old.ckpt"
    torch.save(stored, old)
    longer = replace(given, budget="2 steps")
    expected = weights(fit(longer, resume=last))
    assert torch.equal(weights(fit(replace(longer, name="old"), resume=old)), expected)


@pytest.mark.parametrize("optimizer", ["adamw", "soap"])
def test_checkpoints_are_of_tensors_and_plain_values_alone(
    photos: Path, tmp_path: Path, optimizer: str
) -> None:
    """So that no code of theirs is run."""
    given = recipe(
        photos, tmp_path, **NONE_YET, budget="1 steps", validation=(), optimizer=optimizer
    )
    last = fit(given).with_name("last.ckpt")
    fit(replace(given, budget="2 steps"), resume=last)
    stored = torch.load(last, weights_only=False)
    torch.save(stored | {"more": Path("x")}, last)
    with pytest.raises(RecipeError, match="not a readable checkpoint"):
        fit(replace(given, budget="3 steps"), resume=last)


def test_a_checkpoint_that_cannot_be_written_is_named(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("pytorch_lightning.Trainer.save_checkpoint", full)
    with pytest.raises(ImageWriteError, match=r"runs/tiny: the checkpoint of step 1 .*\(No space"):
        fit(recipe(photos, tmp_path, **NONE_YET, budget="1 steps", validation=()))
