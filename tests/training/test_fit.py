"""Whole runs, of a few steps: they learn, resume to the same weights, and stop at NaN."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from PIL import Image

from aindnet.camera import CameraRecipe
from aindnet.errors import (
    DatasetError,
    ImageWriteError,
    MissingExtraError,
    RecipeError,
    TrainingDivergedError,
)
from aindnet.network import AINDNet, AINDNetConfig, RunningNorm
from aindnet.pretrained import load_model
from aindnet.training.photos import Tiles, load_tiles, random_crops
from aindnet.training.recipe import PhotosOfAKind

pytest.importorskip("pytorch_lightning")
from aindnet.training.callbacks import (
    Budget,
    DivergenceGuard,
    PrintedProgress,
    RunningStatistics,
)
from aindnet.training.data import (
    Batch,
    SyntheticNoiseData,
    _all_real_pairs,
    check_sources,
    real_pairs,
    synthetic_validation,
    white_validation,
    without_held_out,
)
from aindnet.training.fit import fit
from aindnet.training.model_file import SaveModel
from aindnet.training.task import SyntheticNoiseTask
from training_runs import SMALL, recipe, weights


def test_tiles_of_a_folder_and_their_crops(photos: Path) -> None:
    tiles = load_tiles([photos])
    assert tiles.shape == (3, 3, 256, 256)
    assert tiles.dtype == torch.uint8
    a, b = (
        random_crops(tiles, 5, 48, torch.Generator().manual_seed(3), soft_content=0.5)
        for _ in range(2)
    )
    assert a.shape == (5, 3, 48, 48)
    assert torch.equal(a, b)
    assert a.min() >= 0
    assert a.max() <= 1


def test_folders_of_one_name_have_scores_of_their_own(photos: Path, tmp_path: Path) -> None:
    for place in ("a", "b"):
        for side in ("noisy", "clean"):
            folder = tmp_path / place / "pairs" / side
            folder.mkdir(parents=True)
            (folder / "0.png").write_bytes((photos / "0.png").read_bytes())
    places = (tmp_path / "a/pairs", tmp_path / "b/pairs", tmp_path / "b")
    with pytest.raises(DatasetError, match="no pairs"):
        _all_real_pairs(places, 3)
    assert [b.source for b in _all_real_pairs(places[:2], 3)] == ["pairs 1", "pairs 2"]
    assert [b.source for b in _all_real_pairs(places[:1], 3)] == ["pairs"]


def test_white_validation_is_white_and_of_its_level(photos: Path, tmp_path: Path) -> None:
    (synthetic,) = synthetic_validation(recipe(photos, tmp_path))
    # Whatever the camera makes of the picture, and however flat the crops are.
    camera = CameraRecipe(edge_aware=1.0, edge_aware_picture=1.0)
    other = recipe(photos, tmp_path, camera=camera, low_contrast=1.0)
    assert not torch.equal(synthetic_validation(other)[0].clean, synthetic.clean)
    for batch, level in zip(white_validation(other), (10, 25), strict=True):
        assert batch.source == f"white {level}"
        assert torch.equal(batch.clean, synthetic.clean)
        noise = (batch.noisy - batch.clean) * 255
        assert float(noise.std()) == pytest.approx(level, rel=0.02)
        assert batch.noise_level is not None
        assert torch.allclose(batch.noise_level * 255, torch.tensor(float(level)))
    assert white_validation(recipe(photos, tmp_path, validation=())) == []


def test_a_network_for_grey_photos_is_trained_on_their_luma(photos: Path, tmp_path: Path) -> None:
    grey = replace(SMALL, image_channels=1)
    (batch,) = synthetic_validation(recipe(photos, tmp_path, network=grey))
    (colour,) = synthetic_validation(recipe(photos, tmp_path))
    expected = (colour.clean * torch.tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1)).sum(1)
    assert torch.allclose(batch.clean[:, 0], expected, atol=1e-6)
    assert batch.noise_level is not None
    assert batch.noisy.shape == batch.clean.shape == batch.noise_level.shape
    model = load_model(fit(recipe(photos, tmp_path, network=grey)))
    assert model.network.config.image_channels == 1


def test_a_share_of_a_batch_is_of_another_kind(photos: Path, tmp_path: Path) -> None:
    loud, quiet = (
        CameraRecipe(white=1.0, white_range=(level, level), jpeg=0.0) for level in (0.1, 0.01)
    )
    kind = PhotosOfAKind(share=0.25, camera=loud, low_contrast=1.0, contrast_range=(0.01, 0.01))
    given = recipe(photos, tmp_path, camera=quiet, processed=kind, stages=((0.0, 32, 8),))
    data = SyntheticNoiseData(given)
    data.setup("fit")
    batch = data.make(5, torch.device("cpu"))
    assert batch.noise_level is not None
    noise = (batch.noisy - batch.clean).std(dim=(1, 2, 3))
    assert noise.shape == (8,)
    assert noise[:6].max() < 0.02
    assert noise[6:].min() > 0.05
    assert batch.noise_level[6:].mean() > 4 * batch.noise_level[:6].mean()
    contrast = batch.clean.std(dim=(2, 3)).amax(dim=1)
    assert contrast[6:].max() < 0.01 < contrast[:6].max()
    for wrong in ({"share": 1.5}, {"soft_range": (0.5, 1.0)}, {"contrast_range": (0.0, 1.0)}):
        with pytest.raises(RecipeError, match=next(iter(wrong))):
            recipe(photos, tmp_path, processed=PhotosOfAKind(**wrong))
    with pytest.raises(RecipeError, match="or smoothing"):
        recipe(photos, tmp_path, trains="first look")


def test_patterns_take_the_place_of_photos() -> None:
    photos = torch.full((2, 3, 64, 64), 128, dtype=torch.uint8)
    crops = random_crops(photos, 200, 48, torch.Generator().manual_seed(0), patterns=0.25)
    assert crops.min() >= 0
    assert crops.max() <= 1
    drawn = crops.flatten(1).std(dim=1) > 0
    assert 30 < int(drawn.sum()) < 70
    # Two thirds are flat patches, where most neighbours are alike; in a third colours run.
    patches = crops[drawn]
    alike = ((patches[..., 1:] - patches[..., :-1]).abs() < 1e-6).float().mean(dim=(1, 2, 3))
    assert 0.4 < float((alike > 0.5).float().mean()) < 0.9
    assert float((alike < 0.05).float().mean()) > 0.15
    assert float((patches.amax(1) - patches.amin(1)).mean()) > 0.15


def test_lowered_contrast_keeps_the_mean_colour_and_the_share() -> None:
    generator = torch.Generator().manual_seed(5)
    photos = torch.randint(0, 256, (4, 3, 64, 64), dtype=torch.uint8, generator=generator)
    plain, lowered = (
        random_crops(
            photos, 300, 48, torch.Generator().manual_seed(0), low_contrast=share,
            contrast_range=(0.25, 0.5),
        )
        for share in (0.0, 0.4)
    )  # fmt: skip
    torch.testing.assert_close(plain.mean((2, 3)), lowered.mean((2, 3)), rtol=0, atol=1e-5)
    factor = lowered.flatten(1).std(1) / plain.flatten(1).std(1)
    changed = factor < 0.99
    assert 90 < int(changed.sum()) < 150
    assert bool((factor[changed] > 0.24).all())
    assert bool((factor[changed] < 0.52).all())
    assert torch.equal(plain[~changed], lowered[~changed])


def test_a_source_without_photos_is_named(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="no photo of at least"):
        load_tiles([tmp_path])
    (tmp_path / "broken.png").write_bytes(b"no picture")
    with pytest.raises(DatasetError, match=r"broken\.png"):
        load_tiles([tmp_path])
    with pytest.raises(DatasetError, match="neither a folder nor a readable tar"):
        load_tiles([tmp_path / "missing.tar"])


def test_a_run_writes_a_model_with_its_card(photos: Path, tmp_path: Path) -> None:
    path = fit(recipe(photos, tmp_path, trained_on="drawings"), file="tiny.yaml")
    loaded = load_model(path)
    assert loaded.network.config == SMALL
    assert loaded.card.trained_on == "drawings"
    assert "12 steps" in loaded.card.hardware
    assert (tmp_path / "runs/tiny/last.ckpt").is_file()
    assert list((tmp_path / "runs/tiny").glob("events.out.tfevents*"))


def test_a_card_tells_of_the_start_and_is_no_freer(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = recipe(photos, tmp_path, budget="1 steps", validation=())
    start = fit(replace(given, name="start", trained_on="pairs", licence="research only"))
    kind = PhotosOfAKind(share=0.25, camera=CameraRecipe(jpeg=0.875))
    changes: dict[str, Any] = {"name": "on", "trained_on": "tiles", "processed": kind}
    file = "tiny.yaml --camera.jpeg 0.3"
    card = load_model(fit(replace(given, initial=str(start), **changes), file=file)).card
    assert card.trained_on == "first, as start: pairs; then: tiles"
    assert card.licence == "research only"
    assert "licence will be 'research only', not 'Apache-2.0'" in capsys.readouterr().err
    assert "25% of each batch: " in card.noise_model
    assert "0.875" in card.noise_model
    assert card.recipe == f"{file}, seed 0, from start.safetensors"


@pytest.mark.parametrize("optimizer", ["adamw", "muon", "soap"])
def test_a_resumed_run_ends_with_the_same_weights(
    photos: Path, tmp_path: Path, optimizer: str
) -> None:
    changes: dict[str, Any] = {"optimizer": optimizer}
    whole = fit(recipe(photos, tmp_path / "whole", **changes))
    # A checkpoint at step 8 of the same 12 steps.
    fit(recipe(photos, tmp_path / "first", **changes, checkpoint_every="8 steps"))
    checkpoint = next((tmp_path / "first/runs/tiny").glob("step=8.ckpt"))
    resumed = fit(recipe(photos, tmp_path / "second", **changes), resume=checkpoint)
    torch.testing.assert_close(weights(resumed), weights(whole), rtol=0, atol=1e-6)


def test_a_run_resumed_where_a_stage_begins_sees_the_same_photos(
    photos: Path, tmp_path: Path
) -> None:
    changes: dict[str, Any] = {
        "stages": ((0.0, 32, 4), (0.66, 48, 2)),
        "white_first": 0.9,
    }
    whole = fit(recipe(photos, tmp_path / "whole", **changes))
    fit(recipe(photos, tmp_path / "first", **changes, checkpoint_every="8 steps"))
    checkpoint = next((tmp_path / "first/runs/tiny").glob("step=8.ckpt"))
    resumed = fit(recipe(photos, tmp_path / "second", **changes), resume=checkpoint)
    torch.testing.assert_close(weights(resumed), weights(whole), rtol=0, atol=1e-6)


def test_a_finished_run_is_not_resumed(photos: Path, tmp_path: Path) -> None:
    path = fit(recipe(photos, tmp_path))
    before = path.read_bytes()
    with pytest.raises(RecipeError, match="the run is done, 12 steps"):
        fit(recipe(photos, tmp_path), resume=path.with_name("last.ckpt"))
    assert path.read_bytes() == before


def test_a_large_seed_is_a_seed(photos: Path, tmp_path: Path) -> None:
    data = SyntheticNoiseData(recipe(photos, tmp_path, seed=4_000_000_000))
    data.setup("fit")
    assert data.make(3, torch.device("cpu")).noisy.shape == (4, 3, 32, 32)


def test_the_file_of_a_validation_holds_the_average(photos: Path, tmp_path: Path) -> None:
    path = tmp_path / "runs/tiny/tiny.safetensors"
    seen: dict[int, torch.Tensor] = {}

    class Watch(SaveModel):
        def save(self, trainer: Any, pl_module: Any) -> None:
            super().save(trainer, pl_module)
            seen[trainer.global_step] = weights(path)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("aindnet.training.fit.SaveModel", Watch)
        fit(recipe(photos, tmp_path, validate_every="8 steps", checkpoint_every="8 steps"))
    stored = torch.load(path.parent / "step=8.ckpt", weights_only=False)
    average = load_model(path).network
    of_network = {k: v for k, v in stored["state_dict"].items() if k.startswith("network.")}
    average.load_state_dict({k.removeprefix("network."): v for k, v in of_network.items()})
    expected = torch.cat([v.flatten() for v in average.state_dict().values()])
    torch.testing.assert_close(seen[8], expected, rtol=0, atol=1e-6)


def test_a_start_that_is_another_network_is_refused(photos: Path, tmp_path: Path) -> None:
    path = fit(recipe(photos, tmp_path, budget="1 steps"))
    other = replace(SMALL, normalization="running")
    with pytest.raises(RecipeError, match="not that of"):
        fit(recipe(photos, tmp_path, name="other", initial=str(path), network=other))
    with pytest.raises(RecipeError, match="takes a checkpoint"):
        fit(recipe(photos, tmp_path), resume=path)


def test_a_second_pass_can_be_taught_to_weights_that_had_one(photos: Path, tmp_path: Path) -> None:
    once = replace(SMALL, normalization="none")
    twice = replace(once, half_pass=0.4, mean_limit=0.05, looks=2)
    path = fit(recipe(photos, tmp_path, network=once, budget="1 steps"))
    changes = {"name": "twice", "network": twice, "learning_rate": 1e-12, "ema_decay": 0.0}
    other = fit(recipe(photos, tmp_path, budget="1 steps", initial=str(path), **changes))
    assert load_model(other).network.config == twice
    torch.testing.assert_close(weights(other), weights(path), rtol=0, atol=1e-3)


def test_the_colour_pass_can_be_added_to_a_trained_smoother(photos: Path, tmp_path: Path) -> None:
    before = replace(SMALL, normalization="none", smoothing=True)
    path = fit(recipe(photos, tmp_path, network=before, budget="1 steps"))
    network = replace(before, colour_pass=True)
    changes = {"name": "colour", "network": network, "learning_rate": 1e-12, "ema_decay": 0.0}
    other = fit(recipe(photos, tmp_path, budget="1 steps", initial=str(path), **changes))
    assert load_model(other).network.config == network
    torch.testing.assert_close(weights(other), weights(path), rtol=0, atol=1e-3)


def test_a_smoother_is_trained_alone(photos: Path, tmp_path: Path) -> None:
    network = replace(SMALL, normalization="none", smoothing=True)
    path = fit(recipe(photos, tmp_path, network=network, budget="1 steps"))
    changes = {"name": "smoother", "network": network, "trains": "smoothing", "ema_decay": 0.0}
    other = fit(recipe(photos, tmp_path, budget="3 steps", initial=str(path), **changes))
    before, after = (load_model(each).network.state_dict() for each in (path, other))
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    assert moved
    assert all(name.startswith("smoother.") for name in moved)
    with pytest.raises(RecipeError, match="add_smoothing"):
        fit(recipe(photos, tmp_path, name="none", trains="smoothing"))


def test_what_the_start_made_of_other_photos_is_remembered(photos: Path, tmp_path: Path) -> None:
    """The more, the nearer its results on them stay, while the processed ones are learned."""
    start = fit(recipe(photos, tmp_path, name="start", budget="8 steps"))
    kind = PhotosOfAKind(share=0.5, camera=CameraRecipe(white=1.0, white_range=(0.1, 0.1)))
    general = SyntheticNoiseData(recipe(photos, tmp_path, stages=((0.0, 32, 8),)))
    general.setup("fit")
    noisy = general.make(3, torch.device("cpu")).noisy
    moved = []
    for remember in (0.3, 30.0):
        trained = fit(
            recipe(
                photos, tmp_path, name=f"{remember}", initial=str(start), processed=kind,
                remember=remember, budget="20 steps", loss="l1",
            )
        )  # fmt: skip
        with torch.inference_mode():
            before, after = (load_model(path).network(noisy).denoised for path in (start, trained))
        moved.append(float((after - before).square().mean()))
    assert 0 < moved[1] < 0.5 * moved[0]
    few = {"processed": PhotosOfAKind(share=0.1)}  # of a batch of four, none
    for wrong in ({"initial": None}, {"processed": PhotosOfAKind()}, few, {"remember": -1.0}):
        given = {"initial": str(start), "processed": kind, "remember": 1.0} | wrong
        with pytest.raises(RecipeError, match="remember"):
            recipe(photos, tmp_path, **given)


@pytest.mark.parametrize("normalization", ["running", "none", "instance"])
def test_what_is_remembered_is_what_inference_gives(
    photos: Path, tmp_path: Path, normalization: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not by the batch's statistics, nor by averages that follow it."""
    limit = None if normalization == "instance" else 0.1
    network = AINDNet(replace(SMALL, normalization=normalization, feature_limit=limit))
    for module in network.modules():
        if isinstance(module, RunningNorm):
            module.mean.add_(0.1)
    kind = PhotosOfAKind(share=0.5)
    given = recipe(photos, tmp_path, initial="start", processed=kind, remember=1.0)
    with torch.inference_mode():
        noisy = torch.rand(4, 3, 32, 32, generator=torch.Generator().manual_seed(0))
        expected = network.eval()(noisy[:2]).denoised
    task = SyntheticNoiseTask(given, network.train())
    monkeypatch.setattr(task, "log_dict", lambda *_: None)
    told: list[torch.Tensor] = []

    def keep(*_: Any, known: torch.Tensor, **__: Any) -> Any:
        told.append(known)
        return SimpleNamespace(restoration=0, noise_level=0, remembering=0, total=0)

    monkeypatch.setattr("aindnet.training.task.synthetic_noise_loss", keep)
    for _ in range(2):
        task.training_step(Batch(noisy, noisy, noisy, "synthetic", processed=2), 0)
        torch.testing.assert_close(told.pop(), expected)


def test_the_card_says_whether_anything_clips(photos: Path, tmp_path: Path) -> None:
    unclipped = CameraRecipe(round_8_bit=False, jpeg=0.0)
    kind = PhotosOfAKind(share=0.25)
    for clipped, camera, processed in (
        (False, unclipped, PhotosOfAKind()),
        (True, replace(unclipped, jpeg=0.3), PhotosOfAKind()),
        (True, replace(unclipped, round_8_bit=True), PhotosOfAKind()),
        (True, unclipped, kind),
    ):
        given = recipe(photos, tmp_path, camera=camera, processed=processed)
        saver = SaveModel(given, tmp_path, Budget(given, SyntheticNoiseData(given)), "", None)
        assert saver.card("").clipped == clipped


@pytest.mark.parametrize("known", [True, False])
def test_the_line_of_a_validation_says_what_is_known(
    known: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    scores = {"val/pairs": 31.0, "val/pairs_gain": 1.5}
    if known:
        scores["val/noise_level_error"] = 0.25
    trainer = SimpleNamespace(
        sanity_checking=False, is_global_zero=True, global_step=3, callback_metrics=scores
    )
    progress = PrintedProgress(SimpleNamespace(elapsed=lambda: 60.0))  # type: ignore[arg-type]
    progress.on_validation_end(trainer, None)  # type: ignore[arg-type]
    line = capsys.readouterr().err.rstrip()
    assert line.endswith("pairs 31.00 (+1.50)" + ("; noise level off by 25 %" if known else ""))


def test_a_resumed_run_remembers_its_start(photos: Path, tmp_path: Path) -> None:
    start = fit(recipe(photos, tmp_path, name="start", budget="8 steps"))
    changes: dict[str, Any] = {
        "initial": str(start), "processed": PhotosOfAKind(share=0.5), "remember": 3.0, "loss": "l1",
    }  # fmt: skip
    whole = fit(recipe(photos, tmp_path / "whole", **changes))
    fit(recipe(photos, tmp_path / "first", **changes, checkpoint_every="8 steps"))
    checkpoint = next((tmp_path / "first/runs/tiny").glob("step=8.ckpt"))
    resumed = fit(recipe(photos, tmp_path / "second", **changes), resume=checkpoint)
    torch.testing.assert_close(weights(resumed), weights(whole), rtol=0, atol=1e-6)


def test_running_statistics_are_learned_and_kept(photos: Path, tmp_path: Path) -> None:
    network = replace(SMALL, normalization="running")
    kinds: list[bool] = []

    class Watch(RunningStatistics):
        def on_train_batch_start(self, trainer: Any, pl_module: Any, *rest: Any) -> None:
            super().on_train_batch_start(trainer, pl_module, *rest)
            kinds.append(
                next(m.own_batch for m in pl_module.modules() if isinstance(m, RunningNorm))
            )

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("aindnet.training.fit.RunningStatistics", Watch)
        path = fit(recipe(photos, tmp_path, network=network, own_batch=0.5))
    assert kinds == [True] * 6 + [False] * 6
    averages = dict(load_model(path).network.named_buffers())
    assert all(value.isfinite().all() for value in averages.values())
    assert any(value.abs().max() > 1e-3 for name, value in averages.items() if "mean" in name)


def test_nan_stops_the_run_and_keeps_the_checkpoint(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from aindnet.training import data

    original = data.simulate

    def poisoned(clean: torch.Tensor, generator: torch.Generator, camera: CameraRecipe) -> Any:
        made = original(clean, generator, camera)
        poisoned.calls += 1
        return made._replace(noisy=made.noisy * float("nan")) if poisoned.calls > 9 else made

    poisoned.calls = 0
    monkeypatch.setattr(data, "simulate", poisoned)
    with pytest.raises(TrainingDivergedError, match="last good checkpoint"):
        fit(recipe(photos, tmp_path, checkpoint_every="4 steps"))
    checkpoints = sorted((tmp_path / "runs/tiny").glob("*.ckpt"))
    state = torch.load(checkpoints[0], weights_only=False)["state_dict"]
    assert all(value.isfinite().all() for value in state.values())


def test_a_batch_far_off_is_borne_and_a_third_is_not() -> None:
    guard = DivergenceGuard(window=20)
    trainer = SimpleNamespace(
        callback_metrics={}, global_step=0, checkpoint_callback=None, ckpt_path=None, world_size=1
    )

    def step(loss: float) -> None:
        trainer.global_step += 1
        guard.on_train_batch_end(trainer, None, {"loss": loss}, None, 0)  # type: ignore[arg-type]

    for _ in range(20):
        step(1.0)
    for _ in range(3):  # far apart, however many
        step(100.0)
        for _ in range(20):
            step(1.0)
    step(100.0)
    step(100.0)
    with pytest.raises(TrainingDivergedError, match="rose to 100 from 1"):
        step(100.0)


def test_a_loss_of_any_rank_stops_all_of_them() -> None:
    def reduce(both: torch.Tensor, reduce_op: str) -> torch.Tensor:
        return torch.stack([both, torch.full_like(both, float("nan"))]).mean(0)

    strategy = SimpleNamespace(reduce=reduce, root_device="cpu")
    trainer = SimpleNamespace(
        callback_metrics={}, global_step=3, checkpoint_callback=None, ckpt_path=None,
        world_size=2, strategy=strategy,
    )  # fmt: skip
    with pytest.raises(TrainingDivergedError, match="the loss is nan"):
        DivergenceGuard().on_train_batch_end(trainer, None, {"loss": 1.0}, None, 0)  # type: ignore[arg-type]


def test_a_gradient_of_nan_never_reaches_the_weights(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def poison(task: SyntheticNoiseTask) -> None:
        if task.global_step == 3:
            next(p for p in task.parameters() if p.grad is not None).grad.fill_(float("nan"))  # type: ignore[union-attr]

    monkeypatch.setattr(SyntheticNoiseTask, "on_after_backward", poison)
    checkpoint = tmp_path / "runs/tiny/last.ckpt"
    with pytest.raises(TrainingDivergedError, match=f"norm is nan.* checkpoint is {checkpoint}"):
        fit(recipe(photos, tmp_path, checkpoint_every="1 steps"))
    stored = torch.load(checkpoint, weights_only=False)
    for name in ("state_dict", "current_model_state"):
        assert all(value.isfinite().all() for value in stored[name].values())


def test_weights_that_are_not_finite_are_never_written() -> None:
    trainer = SimpleNamespace(global_step=7, checkpoint_callback=None, ckpt_path=None)
    bad = {"state_dict": {}, "current_model_state": {"w": torch.tensor([1.0, float("inf")])}}
    with pytest.raises(TrainingDivergedError, match="no checkpoint was written yet"):
        DivergenceGuard().on_save_checkpoint(trainer, None, bad)  # type: ignore[arg-type]


def test_a_run_takes_the_place_of_another_only_when_told_to(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    short = {"budget": "3 steps", "validate_every": "3 steps"}
    path = fit(recipe(photos, tmp_path, checkpoint_every="2 steps", **short))
    folder = path.parent
    before = {each.name: each.read_bytes() for each in folder.iterdir()}
    with pytest.raises(RecipeError, match="holds a run already"):
        fit(recipe(photos, tmp_path, seed=1, **short))
    assert {each.name: each.read_bytes() for each in folder.iterdir()} == before

    with monkeypatch.context() as patch:  # a run that ends before its first checkpoint
        patch.setattr(DivergenceGuard, "on_before_optimizer_step", _diverge)
        with pytest.raises(TrainingDivergedError):
            fit(recipe(photos, tmp_path, seed=1, **short), overwrite=True)
    assert (folder / "last.ckpt").read_bytes() == before["last.ckpt"]

    fit(recipe(photos, tmp_path, seed=1, checkpoint_every="3 steps", **short), overwrite=True)
    assert sorted(each.name for each in folder.glob("*.ckpt")) == ["last.ckpt", "step=3.ckpt"]
    assert (folder / "last.ckpt").read_bytes() != before["last.ckpt"]
    assert len(list(folder.glob("events.out.tfevents*"))) == 1


def _diverge(*_: Any) -> None:
    raise TrainingDivergedError("at once")


def test_what_cannot_be_resumed_is_named(photos: Path, tmp_path: Path) -> None:
    junk = tmp_path / "junk.ckpt"
    junk.write_bytes(b"no checkpoint")
    with pytest.raises(RecipeError, match=r"junk\.ckpt: not a readable checkpoint"):
        fit(recipe(photos, tmp_path), resume=junk)
    other = {"state_dict": {}, "optimizer_states": [{"param_groups": []}]}
    torch.save(other, junk)
    with pytest.raises(RecipeError, match=r"junk\.ckpt: of another network"):
        fit(recipe(photos, tmp_path), resume=junk)


@pytest.mark.parametrize("wrong", [{"accelerator": "tpu9"}, {"strategy": "foo"}])
def test_devices_that_there_are_not_are_named(
    photos: Path, tmp_path: Path, wrong: dict[str, str]
) -> None:
    [(name, value)] = wrong.items()
    with pytest.raises(RecipeError, match=f"--{name} {value}"):
        fit(recipe(photos, tmp_path, **wrong))


def test_the_network_is_that_of_the_weights_it_starts_from(photos: Path, tmp_path: Path) -> None:
    grey = replace(SMALL, image_channels=1)
    path = fit(recipe(photos, tmp_path, name="grey", network=grey, budget="1 steps"))
    changes = {"name": "on", "network": AINDNetConfig(), "initial": str(path)}
    assert (
        load_model(fit(recipe(photos, tmp_path, budget="1 steps", **changes))).network.config
        == grey
    )


def test_tiles_that_are_held_out_are_not_trained_on(photos: Path, tmp_path: Path) -> None:
    data = SyntheticNoiseData(recipe(photos, tmp_path, validation=(), hold_out=0.05))
    data.setup("fit")
    assert len(data.tiles) == 2
    assert torch.equal(data.tiles, load_tiles([photos])[:2])
    assert {batch.source for batch in data.validation} == {"synthetic", "white 10", "white 25"}
    with pytest.raises(DatasetError, match="too few to hold some out"):
        without_held_out(Tiles(data.tiles[:1], torch.zeros(1)), 0.05)


def test_whole_photos_are_held_out_where_there_are_enough() -> None:
    pixels = torch.arange(40, dtype=torch.uint8).view(40, 1, 1, 1)
    training, held = without_held_out(Tiles(pixels, torch.arange(40) // 5), 0.2)
    assert (len(training), len(held)) == (30, 10)  # 8 of 40 lie in the last two photos
    training, held = without_held_out(Tiles(pixels, torch.arange(40) // 20), 0.2)
    assert (len(training), len(held)) == (32, 8)  # of two photos, none is given up


def test_the_boundary_of_photos_is_the_nearer_one_or_none() -> None:
    def held(tiles_of: list[int], share: float = 0.05) -> int:
        photos = torch.repeat_interleave(torch.arange(len(tiles_of)), torch.tensor(tiles_of))
        training, held = without_held_out(Tiles(photos.byte(), photos), share)
        assert len(training) + len(held) == sum(tiles_of)
        return len(held)

    assert held([12] * 24 + [300]) == 29  # tiles: the last photo is half of all
    assert held([600] + [1] * 24) == 24  # not all of the first
    assert held([10] * 10) == 10
    assert held([10] * 17 + [20, 9]) == 9


@pytest.mark.parametrize("kind", ["validation", "real_pairs"])
def test_what_is_validated_on_is_not_trained_on(photos: Path, tmp_path: Path, kind: str) -> None:
    inside = photos / "some"
    inside.mkdir()
    for path in (photos, inside, photos.parent, photos / "../photos/some"):
        given = recipe(photos, tmp_path, **{"validation": (), kind: (path,)})
        with pytest.raises(DatasetError, match="to validate on, but its photos and those of"):
            fit(given)
    shard = photos / "shard.tar"
    shard.touch()  # of a folder, images are read alone
    check_sources(recipe(photos, tmp_path, validation=(shard,)))
    assert not (tmp_path / "runs").exists()


def test_photos_that_are_not_there_are_named_before_anything_is_written(
    photos: Path, tmp_path: Path
) -> None:
    gone = tmp_path / "gone.tar"
    with pytest.raises(DatasetError, match=r"gone\.tar: not there; .* with --data FOLDER$"):
        fit(recipe(photos, tmp_path, data=(gone,)))
    with pytest.raises(DatasetError, match=r"with --validation FOLDER$"):
        fit(recipe(photos, tmp_path, validation=(gone,)))
    (photos / "0.png").write_bytes(b"no picture")
    with pytest.raises(DatasetError, match=r"0\.png"):
        fit(recipe(photos, tmp_path))
    assert not (tmp_path / "runs").exists()
    (tmp_path / "runs").touch()
    with pytest.raises(ImageWriteError, match="runs is a file, not a folder"):
        fit(recipe(photos, tmp_path))


def test_a_run_says_what_it_found_and_nothing_else(
    photos: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], recwarn: Any
) -> None:
    given = recipe(photos, tmp_path, validation=(), hold_out=0.3, synthetic_crops=0)
    last = fit(replace(given, budget="1 steps")).with_name("last.ckpt")
    fit(replace(given, budget="2 steps"), resume=last)
    line = (
        "aindnet: training on 3 tiles of 256×256 pixels of 3 photos; the last 1 of them (33.3%) "
        "for validation\n"
    )
    assert capfd.readouterr() == ("", 2 * line)
    assert not recwarn.list


def test_the_sides_of_a_pair_show_the_same(photos: Path, tmp_path: Path) -> None:
    pairs = tmp_path / "pairs"
    noisy, clean = pairs / "noisy/a.png", pairs / "clean/a.png"
    for path in (noisy, clean):
        path.parent.mkdir(parents=True)
    picture = Image.open(photos / "0.png")
    turned = Image.Exif()
    turned[0x0112] = 6
    picture.save(noisy)
    picture.rotate(90, expand=True).save(clean, exif=turned)
    (batch,) = real_pairs(pairs)
    assert torch.equal(batch.noisy, batch.clean)
    picture.resize((400, 400)).save(clean)
    with pytest.raises(DatasetError, match="400×400 and 300×256"):
        real_pairs(pairs)
    clean.write_bytes(b"no picture")
    with pytest.raises(DatasetError, match=r"clean/a\.png: not readable"):
        real_pairs(pairs)


def test_an_optimizer_that_is_not_installed_is_named_first(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(MissingExtraError, match=r"pip install 'aindnet\[soap\]'"):
        fit(recipe(photos, tmp_path, optimizer="soap"))
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("optimizer", ["adamw", "muon", "soap"])
def test_the_modulation_has_a_learning_rate_of_its_own(
    photos: Path, tmp_path: Path, optimizer: str
) -> None:
    """With a rate of nothing the AIN modules stay as they were, and all others move."""
    before = fit(recipe(photos, tmp_path, name="before", budget="1 steps"))
    after = fit(
        recipe(
            photos, tmp_path, initial=str(before), modulation_rate=0.0, optimizer=optimizer,
            weight_decay=0.0, budget="6 steps",
        )
    )  # fmt: skip
    old, new = (dict(load_model(path).network.named_parameters()) for path in (before, after))
    for name, parameter in old.items():
        if ".norm1." in name or ".norm2." in name:
            assert torch.equal(parameter, new[name]), name
    assert not torch.equal(old["encoder1.0.conv2.weight"], new["encoder1.0.conv2.weight"])
    assert not torch.equal(old["stem1.weight"], new["stem1.weight"])


@pytest.mark.slow
def test_a_short_run_learns_to_denoise(photos: Path, tmp_path: Path) -> None:
    white = CameraRecipe(white=1.0, white_range=(0.05, 0.15), jpeg=0.0)
    changes = {"camera": white, "optimizer": "muon", "loss": "l1", "stages": ((0.0, 64, 8),)}
    path = fit(recipe(photos, tmp_path, budget="150 steps", validate_every="150 steps", **changes))
    network = load_model(path).network
    clean = load_tiles([photos])[:, :, :128, :128].float() / 255
    noisy = clean + 0.1 * torch.randn(clean.shape, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        denoised = network(noisy).denoised
    assert (denoised - clean).square().mean() < 0.75 * (noisy - clean).square().mean()
