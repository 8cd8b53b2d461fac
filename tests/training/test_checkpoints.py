"""Runs end with a checkpoint, stop where they are told to, and go on only as what they are."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from aindnet.camera import CameraRecipe
from aindnet.errors import RecipeError

pytest.importorskip("pytorch_lightning")
from aindnet.training.checkpoints import Checkpoint, read_checkpoint, settings
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
