from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any
from unittest.mock import Mock

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
from torch import Tensor

from aindnet.errors import RecipeError, TooFewPairsError
from aindnet.network import AINDNet, is_transfer_parameter
from aindnet.training.callbacks import Budget
from aindnet.training.losses import RestorationLoss
from aindnet.training.schedule import parse_budget
from aindnet.training.transfer.adapt import (
    OTHER_CAMERAS,
    RealPairsTask,
    _in_time,
    _other_cameras,
    adapt,
)
from aindnet.training.transfer.batches import RealPairBatches
from aindnet.training.transfer.burst import burst_pairs, check_burst
from aindnet.training.transfer.frames import Frame
from aindnet.training.transfer.held_out import (
    Errors,
    between,
    bootstrap_gain,
    choose_share,
    decibels,
    places_of,
)
from aindnet.training.transfer.methods import RANK, prepare, trainable
from aindnet.training.transfer.pairs import (
    PhotoPair,
    Region,
    divide,
    noise_by_scene,
    random_pairs,
    too_small,
    whole,
)
from aindnet.training.transfer.recipe import RETRAIN_RATE, AdaptationRecipe
from restore_networks import small_network
from transfer_scenes import pairs, scene, tinted_network, with_noise

# The tinted base's results are nothing to hold to.
QUICK = AdaptationRecipe(
    budget="40 steps", crop=48, batch=4, learning_rate=3e-3, simulated_share=0.25, remember=0.0,
    precision="fp32",
)  # fmt: skip


def overlap(a: Region, b: Region) -> bool:
    apart = (
        a.y + a.height <= b.y or b.y + b.height <= a.y
        or a.x + a.width <= b.x or b.x + b.width <= a.x
    )  # fmt: skip
    return a.pair is b.pair and not apart


def test_few_scenes_give_strips_that_do_not_overlap() -> None:
    taken = pairs()
    division = divide(taken, crop=64, seed=0)
    assert not division.by_scene
    parts = (division.training, division.choosing, division.judging)
    assert all({region.pair.name for region in part} == {p.name for p in taken} for part in parts)
    for i, part in enumerate(parts):
        for other in parts[i + 1 :]:
            assert not any(overlap(a, b) for a in part for b in other)


def test_where_places_are_few_they_are_smaller() -> None:
    few = divide(pairs(), crop=64, seed=0)
    assert {(r.height, r.width) for r in few.choosing} == {(64, 64)}
    large = np.zeros((1200, 1200, 3), np.uint8)
    many = divide([PhotoPair("large", large, large, "large")], crop=64, seed=0, patch=64)
    assert {(r.height, r.width) for r in many.judging} == {(64, 64)}
    wide = divide([PhotoPair(n, large, large, n) for n in "abcd"], crop=64, seed=0)
    assert {(r.height, r.width) for r in wide.judging} == {(128, 128)}


def test_a_limited_number_of_patches_is_spread_over_all_scenes() -> None:
    image = np.zeros((1024, 512, 3), np.uint8)
    division = divide([PhotoPair(n, image, image, n) for n in "abc"], crop=64, seed=0, limit=6)
    assert {region.pair.name for region in division.judging} == set("abc")


def test_many_scenes_are_held_out_whole() -> None:
    image = scene("coffee")
    names = "abcdefghijklmnopqrst"
    taken = [PhotoPair(f"{s}{i}", image, image, s) for s in names for i in range(2)]
    division = divide(taken, crop=64, seed=3)
    assert division.by_scene
    scenes = [{region.pair.scene for region in part} for part in
              (division.training, division.choosing, division.judging)]  # fmt: skip
    assert set.union(*scenes) == set(names)
    assert list(map(len, scenes)) == [13, 2, 5]
    other = divide(taken, crop=64, seed=4)
    assert {region.pair.scene for region in other.judging} != scenes[2]
    judged = places_of(division.judging, by_scene=True)
    assert [len({r.pair.scene for r, p in zip(division.judging, judged, strict=True) if p == place})
            for place in sorted(set(judged))] == [1] * 5  # fmt: skip


def test_both_sides_of_a_crop_are_turned_alike() -> None:
    taken = [replace(pair, noisy=pair.clean) for pair in pairs()]
    division = divide(taken, crop=64, seed=0)
    noisy, clean = random_pairs(division.training, 16, 64, torch.Generator().manual_seed(1))
    assert noisy.shape == (16, 3, 64, 64)
    torch.testing.assert_close(noisy, clean)
    assert noisy.max() <= 1


def test_a_method_updates_what_it_says() -> None:
    network = small_network()
    everything = {name for name, _ in network.named_parameters()}
    moved = set(trainable(prepare(network, "transfer")))
    assert moved == {name for name in everything if is_transfer_parameter(name)}
    assert moved < everything
    modulation = set(trainable(prepare(network, "modulation")))
    assert modulation == {name for name in moved if ".gamma_beta." in name}
    gains = set(trainable(prepare(network, "gains")))
    assert gains == {name for name in modulation if name.endswith(".bias")}
    assert set(trainable(prepare(network, "retrain"))) == everything
    fresh = prepare(network, "scratch")
    assert fresh is not network
    assert set(trainable(fresh)) == everything
    with pytest.raises(RecipeError, match="choose transfer"):
        prepare(network, "all")  # type: ignore[arg-type]
    smoothed = small_network(normalization="none", smoothing=True)
    assert set(trainable(prepare(smoothed, "transfer"))) == moved


def test_transfer_gains_and_leaves_the_other_weights_alone() -> None:
    base = tinted_network()
    before = {name: value.clone() for name, value in base.state_dict().items()}
    losses: list[float] = []
    result = adapt(base, pairs(30.0), QUICK, watcher=lambda progress, loss: losses.append(loss))
    assert len(losses) == result.steps == 40
    after = result.network.state_dict()
    for name, value in base.state_dict().items():
        assert torch.equal(value, before[name])
        if not is_transfer_parameter(name):
            assert torch.equal(after[name], value), name
    assert any(not torch.equal(after[n], v) for n, v in before.items())
    assert result.share > 0
    assert result.gain.certain
    assert result.gain.decibels > 0.5


def test_a_pull_keeps_the_weights_near_the_base_s() -> None:
    base = tinted_network()
    distances = []
    for pull in (0.0, 100.0):
        recipe = replace(QUICK, budget="10 steps", shares=(1.0,), pull=pull)
        adapted = adapt(base, pairs(30.0), recipe).network.parameters()
        moved = [(a - b).detach().norm() for a, b in zip(adapted, base.parameters(), strict=True)]
        distances.append(float(torch.stack(moved).norm()))
    assert 0 < distances[1] < 0.6 * distances[0]


def test_low_rank_updates_are_of_low_rank_and_of_the_modulation_alone() -> None:
    base = tinted_network()
    for parameter in base.parameters():  # as a profile stores them
        parameter.data = parameter.data.bfloat16().float()
    recipe = replace(QUICK, method="low_rank", budget="10 steps", shares=(1.0,))
    adapted = adapt(base, pairs(30.0), recipe).network
    assert set(adapted.state_dict()) == set(base.state_dict())
    moved = 0
    for name, value in base.state_dict().items():
        change = (adapted.state_dict()[name] - value).float()
        if not name.endswith(".gamma_beta.weight"):
            assert not change.any(), name
            continue
        strength = torch.linalg.svdvals(change.flatten(1))
        moved += bool(strength[0] > 0)
        # What is judged and stored is the sum in bf16, whose rounding is of full rank.
        rounding = value.norm() * 2**-8
        assert len(strength) <= RANK or strength[RANK] < 0.05 * strength[0] + rounding
    assert moved


def test_averages_from_the_base_s_training_stay() -> None:
    base = small_network(normalization="running")
    recipe = replace(QUICK, budget="3 steps", shares=(1.0,))
    adapted = adapt(base, pairs(30.0), recipe).network
    assert any(
        not torch.equal(a, b) for a, b in zip(adapted.parameters(), base.parameters(), strict=True)
    )
    averages = dict(adapted.named_buffers())
    assert averages
    for name, value in base.named_buffers():
        assert torch.equal(averages[name], value), name


def test_new_noise_like_the_pairs_own_is_mixed_in() -> None:
    regions = [whole(pair) for pair in pairs(sigma=20)]
    recipe = AdaptationRecipe(batch=8, crop=96, simulated_share=0.25, own_share=0.5)
    noisy, clean = next(iter(RealPairBatches(regions, recipe)))
    without, same = next(iter(RealPairBatches(regions, replace(recipe, own_share=0.0))))
    assert torch.equal(clean, same)
    assert torch.equal(noisy[6:], without[6:])
    assert not torch.equal(noisy[2:6], without[2:6])
    level = float((noisy[2:6] - clean[2:6]).std())
    assert level == pytest.approx(float((without[2:6] - clean[2:6]).std()), rel=0.15)
    with pytest.raises(RecipeError, match="own_share"):
        AdaptationRecipe(simulated_share=0.6, own_share=0.4)


def test_noisier_scenes_can_be_drawn_more_often() -> None:
    regions = [
        replace(whole(pair), pair=replace(pair, noisy=with_noise(pair.clean, sigma, 1)))
        for pair, sigma in zip(pairs(), (5, 5, 5, 25), strict=True)
    ]
    levels = noise_by_scene(regions)
    assert levels[regions[3].pair.scene] == pytest.approx(25 / 255, rel=0.1)
    drawn = []
    for weights in (None, levels):
        generator = torch.Generator().manual_seed(3)
        noisy, clean = random_pairs(regions, 200, 32, generator, weights)
        loud = (noisy - clean).flatten(1).std(dim=1) > 12 / 255
        drawn.append(float(loud.float().mean()))
    assert drawn[0] == pytest.approx(1 / 4, abs=0.1)
    assert drawn[1] == pytest.approx(25 / 40, abs=0.1)


def test_the_same_seed_gives_the_same_weights() -> None:
    recipe = replace(QUICK, budget="4 steps", shares=(1.0,))
    first, second = (adapt(small_network(), pairs(), recipe).network for _ in range(2))
    for a, b in zip(first.parameters(), second.parameters(), strict=True):
        assert torch.equal(a, b)


def test_weights_that_harm_are_not_chosen() -> None:
    """Pairs whose target is the noisy photo's own noise teach nothing that the base lacks."""
    recipe = replace(QUICK, budget="6 steps", learning_rate=0.3)
    result = adapt(small_network(), pairs(3.0), recipe)
    assert result.share == 0.0
    assert not result.gain.certain
    assert result.gain.decibels == pytest.approx(0.0, abs=1e-9)


def test_a_share_that_forgets_too_much_is_not_taken() -> None:
    """Errors by the head's bias, 0 at the base and 1 when trained: better here, worse elsewhere."""
    base, trained = small_network(), small_network()
    with torch.no_grad():
        for network, value in ((base, 0.0), (trained, 1.0)):
            assert network.head.bias is not None
            network.head.bias.fill_(value)

    def errors(network: AINDNet, regions: Sequence[Region]) -> Errors:
        assert network.head.bias is not None
        way = float(network.head.bias.detach()[0])
        return np.array([1 + 0.1 * way if regions is elsewhere else 1 - 0.5 * way])

    image = scene("coffee")
    here, elsewhere = ([Region(PhotoPair("a", image, image, "a"), 0, 0, 8, 8)] for _ in range(2))
    shares = (0.0, 0.25, 0.5, 0.75, 1.0)
    assert choose_share(base, trained, here, shares, errors) == 1.0
    assert choose_share(base, trained, here, shares, errors, elsewhere, 0.25) == 0.5
    assert choose_share(base, trained, here, shares, errors, elsewhere, 0.01) == 0.0


def test_photos_all_but_clean_do_not_hold_an_adaptation_back() -> None:
    """3 dB lost at 57 dB is nothing to the eye; at 37 dB it is."""
    base, trained = small_network(), small_network()
    with torch.no_grad():
        assert trained.head.bias is not None
        trained.head.bias.fill_(1.0)
    image = scene("coffee")
    here, elsewhere = ([Region(PhotoPair("a", image, image, "a"), 0, 0, 8, 8)] for _ in range(2))

    def chosen(error: float) -> float:
        def errors(network: AINDNet, regions: Sequence[Region]) -> Errors:
            assert network.head.bias is not None
            way = float(network.head.bias.detach()[0])
            return np.array([error * (1 + way) if regions is elsewhere else 1 - 0.5 * way])

        return choose_share(base, trained, here, (0.0, 1.0), errors, elsewhere, 0.2)

    assert (chosen(2e-6), chosen(2e-4)) == (1.0, 0.0)


def test_forgetting_is_measured_on_many_cameras_however_few_the_photos() -> None:
    division = divide(pairs(8.0), crop=48, seed=0)
    assert len(division.choosing) < OTHER_CAMERAS
    seen = _other_cameras(division, replace(QUICK, crop=32))
    assert len(seen) == OTHER_CAMERAS + OTHER_CAMERAS // 2
    assert len(_other_cameras(division, replace(QUICK, crop=32, leaves_share=0.0))) == OTHER_CAMERAS
    noise = [
        float((region.read(region.pair.noisy) - region.read(region.pair.clean)).std())
        for region in seen
    ]
    assert max(noise) > 5 * min(noise)


def test_forgetting_is_measured_on_made_up_pictures_that_were_not_trained_on() -> None:
    division = divide(pairs(8.0), crop=48, seed=0)
    recipe = replace(QUICK, crop=32)
    trained_on = [(leaf * 255).round() / 255 for leaf in
                  RealPairBatches(division.training, recipe).leaves]  # fmt: skip
    assert trained_on
    made_up = _other_cameras(division, recipe)[-OTHER_CAMERAS // 2 :]
    for region in made_up:
        clean = region.read(region.pair.clean)
        assert not any(torch.allclose(clean, leaf, atol=1e-3) for leaf in trained_on)


def test_choosing_and_judging_are_within_the_budget() -> None:
    timed = _in_time(replace(QUICK, budget="100s"), 30.0)
    assert parse_budget(timed.budget) == (70.0, None)
    assert parse_budget(_in_time(replace(QUICK, budget="100s"), 300.0).budget) == (25.0, None)
    assert _in_time(QUICK, 30.0) == QUICK


def test_made_up_pictures_stand_in_for_part_of_the_simulated_ones() -> None:
    taken = pairs(8.0)
    regions = [whole(pair) for pair in taken]
    recipe = AdaptationRecipe(batch=8, crop=32, simulated_share=0.5, leaves_share=0.5)
    _, clean = next(iter(RealPairBatches(regions, recipe)))
    _, photos = next(iter(RealPairBatches(regions, replace(recipe, leaves_share=0.0))))
    same = [bool(torch.equal(a, b)) for a, b in zip(clean, photos, strict=True)]
    assert same == [False, False, True, True, True, True, True, True]
    _, clean = next(iter(RealPairBatches(regions, replace(recipe, batch=2))))
    assert not torch.equal(clean[0], next(iter(RealPairBatches(
        regions, replace(recipe, batch=2, leaves_share=0.0))))[1][0])  # fmt: skip
    with pytest.raises(RecipeError, match="leaves_share"):
        AdaptationRecipe(leaves_share=1.5)


@pytest.mark.parametrize(
    ("fields", "word"),
    [
        ({"shares": ()}, "shares"),
        ({"simulated_share": 0.6, "batch": 1}, "no place for a real pair"),
        ({"seed": -1}, "seed"),
        ({"learning_rate": -1.0}, "learning_rate"),
        ({"ema_decay": 2.0}, "ema_decay"),
        ({"method": "all"}, "method"),
        ({"loss": "l2"}, "loss"),
        ({"remember": -0.5}, "remember"),
    ],
)
def test_settings_that_make_no_sense_are_refused(fields: dict[str, Any], word: str) -> None:
    with pytest.raises(RecipeError, match=word):
        AdaptationRecipe(**fields)


def test_a_share_between_base_and_adapted_weights() -> None:
    base, other = small_network(), small_network()
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.add_(1.0)
    mixed = between(base, other, 0.25)
    for a, b in zip(base.parameters(), mixed.parameters(), strict=True):
        torch.testing.assert_close(b, a + 0.25)


def test_frames_of_one_place_count_once() -> None:
    """Gains that scatter about nothing from place to place are certain in one run of forty."""
    random = np.random.default_rng(0)
    certain = dict.fromkeys((3, 6), 0)
    for _ in range(100):
        for count in certain:
            places = np.repeat(np.arange(count), 8)
            gains = random.normal(0, 0.3, count)[places] + random.normal(0, 0.02, 8 * count)
            before = np.full(8 * count, 4e-4)
            gain = bootstrap_gain(
                before, before * 10 ** (-gains / 10), np.zeros(8 * count), places.tolist(), seed=0
            )
            certain[count] += gain.certain
    assert max(certain.values()) <= 8
    taken = pairs()
    one = Region(taken[0], 0, 0, 64, 64)
    frame = replace(taken[0], name="b", clean=with_noise(taken[0].clean, 3, 1))
    crop = replace(taken[1], scene=taken[0].scene)
    regions = [one, replace(one, pair=frame), replace(one, x=64), replace(one, pair=crop)]
    assert places_of(regions, by_scene=False) == [0, 0, 1, 2]
    others = [replace(one, pair=pair) for pair in taken]
    assert len(set(places_of(others, by_scene=False))) == len(taken)


def test_frames_count_once_under_loud_and_coarse_noise() -> None:
    """The targets of four frames, as noisy as these are, differ by more than places may."""
    random = np.random.default_rng(0)
    clean = scene("coffee").astype(float)
    coarse = [gaussian_filter(random.normal(size=clean.shape), (2, 2, 0)) for _ in range(4)]
    noisy = [np.clip(np.rint(clean + 15 * noise / noise.std()), 0, 255) for noise in coarse]
    taken = [Frame(str(i), image.astype(np.uint8)) for i, image in enumerate(noisy)]
    burst = burst_pairs(check_burst("wall", taken))
    assert len(burst) == 4
    judged = [Region(pair, 0, x, 64, 64) for pair in burst for x in (0, 64, 128)]
    assert places_of(judged, by_scene=False) == [0, 1, 2] * 4


def test_pairs_of_one_place_count_once_whatever_their_exposure() -> None:
    """Each pair's clean side is as bright as its noisy one."""
    taken = pairs()[0]
    darker = replace(taken, name="b", clean=np.rint(np.asarray(taken.clean) * 0.9).astype(np.uint8))
    regions = [Region(pair, 0, x, 64, 64) for pair in (taken, darker) for x in (0, 64)]
    assert places_of(regions, by_scene=False) == [0, 1, 0, 1]


def test_the_noise_of_a_bursts_target_is_taken_off() -> None:
    true_before, true_after, left = 4e-4, 2e-4, 3e-4
    measured = np.full(20, true_before + left), np.full(20, true_after + left)
    gain = bootstrap_gain(*measured, np.full(20, left), range(20), seed=0)
    assert gain.decibels == pytest.approx(10 * np.log10(2))
    assert decibels(*measured, np.zeros(20)) < 1.5


def test_where_the_targets_noise_hides_what_is_left_no_gain_is_told() -> None:
    """Errors of 1.5 and 1.45 of 255² under noise of 100, of which too much is taken off."""
    squares = 1 / 255**2
    scatter = np.random.default_rng(0).normal(0, 0.01, 20)
    before, after = np.full(20, 101.5 * squares), (101.45 + scatter) * squares
    for too_much, hidden in ((0.7, False), (1.48, True)):
        left = np.full(20, (100 + too_much) * squares)
        gain = bootstrap_gain(before, after, left, range(20), seed=0)
        assert gain.hidden is hidden
        assert gain.certain is not hidden
        assert bool(np.isinf([gain.low, gain.high]).all()) is hidden


def test_a_gain_that_some_draws_cannot_tell_is_not_certain() -> None:
    """One place alone has an error that is seen; a third of the draws are without it."""
    left = np.full(8, 4e-4)
    before, after = left.copy(), left.copy()
    before[0], after[0] = 8e-4, 6e-4
    gain = bootstrap_gain(before, after, left, range(8), seed=0)
    assert decibels(before, after, left) == pytest.approx(10 * np.log10(2))
    assert gain.hidden
    assert not gain.certain


def test_the_gain_over_untouched_photos() -> None:
    recipe = replace(QUICK, leaves_share=0.0)
    results = [adapt(tinted_network(), pairs(sigma), recipe) for sigma in (1.0, 60.0)]
    assert [result.gain.certain for result in results] == [True, True]
    weak, strong = (result.over_noisy for result in results)
    assert weak < 0 < strong


def test_a_batch_weighs_loud_photos_by_the_loss() -> None:
    torch.manual_seed(0)
    network = small_network()
    clean = torch.rand(2, 3, 48, 48)
    noisy = clean + torch.tensor([0.005, 0.3])[:, None, None, None] * torch.randn(2, 3, 48, 48)

    def quiet_share(loss: RestorationLoss) -> float:
        task = RealPairsTask(network, replace(QUICK, loss=loss))
        whole, first = (
            task.training_step((noisy, clean), 0),
            task.training_step((noisy[:1], clean[:1]), 0),
        )
        return float(first.detach() / (2 * whole.detach()))

    assert quiet_share("relative_l1") > 2 * quiet_share("l1")


def test_what_was_known_is_asked_for_of_the_simulated_share() -> None:
    """Nothing is lost before the first step, real pairs count, and a scratch run knows nothing."""
    torch.manual_seed(0)
    network = small_network(normalization="none").train()
    clean = torch.rand(4, 3, 48, 48)
    noisy = clean + 0.1 * torch.randn_like(clean)
    recipe = replace(QUICK, simulated_share=0.75, remember=1.0)

    def loss(recipe: AdaptationRecipe, real: Tensor = clean[3:]) -> float:
        task = RealPairsTask(network, recipe)
        return float(task.training_step((noisy, torch.cat([clean[:3], real])), 0).detach())

    assert recipe.simulated == 3
    alone = loss(replace(recipe, remember=0.0, batch=1, simulated_share=0.0))
    real = RealPairsTask(network, recipe).network(noisy).denoised[3:] - clean[3:]
    assert loss(recipe) == pytest.approx(float(real.detach().abs().mean()), rel=1e-4)
    assert loss(recipe, clean[3:] + 0.2) > loss(recipe) + 0.1
    assert loss(replace(recipe, remember=0.0)) == pytest.approx(alone, rel=1e-6)
    assert loss(replace(recipe, method="scratch")) == pytest.approx(alone, rel=1e-6)


def test_retraining_takes_smaller_steps() -> None:
    rates = {}
    for method in ("transfer", "retrain"):
        recipe = replace(QUICK, method=method)
        task = RealPairsTask(prepare(small_network(), recipe.method), recipe)
        budget = Budget(recipe, Mock())
        trainer = Mock(optimizers=[task.configure_optimizers()], global_step=10, world_size=1)
        budget.on_train_batch_start(trainer, Mock(), None, 0)
        rates[method] = trainer.optimizers[0].param_groups[0]["lr"]
    assert rates["retrain"] == pytest.approx(RETRAIN_RATE * rates["transfer"])
    assert rates["transfer"] == QUICK.learning_rate


def test_an_adaptation_that_remembers_moves_less_elsewhere() -> None:
    base = tinted_network()
    division = divide(pairs(30.0), crop=48, seed=0)
    elsewhere = [r.read(r.pair.noisy)[None] for r in _other_cameras(division, QUICK)]
    moved = []
    for remember in (0.0, 10.0):
        recipe = replace(
            QUICK, budget="25 steps", shares=(1.0,), simulated_share=0.5, remember=remember
        )
        adapted = adapt(base, pairs(30.0), recipe).network
        with torch.inference_mode():
            changes = [adapted(photo).denoised - base(photo).denoised for photo in elsewhere]
        moved.append(float(torch.stack([c.square().mean() for c in changes]).mean().sqrt()))
    assert moved[1] < 0.7 * moved[0]


def test_photos_that_are_too_small_are_refused() -> None:
    image = scene("coffee", 64, 90)
    with pytest.raises(TooFewPairsError, match="too few"):
        divide([PhotoPair("a", image, image, "a")], crop=64, seed=0)


@pytest.mark.parametrize("crop", [32, 64, 128, 300])
def test_what_is_large_enough_is_said(crop: int) -> None:
    image = np.zeros((16, 16, 3), np.uint8)
    said = re.search(r"at least (\d+)×(\d+)", too_small(PhotoPair("a", image, image, "a"), crop))
    assert said is not None
    width, height = map(int, said.groups())

    def fits(width: int, height: int) -> bool:
        image = np.zeros((height, width, 3), np.uint8)
        return not too_small(PhotoPair("a", image, image, "a"), crop)

    assert fits(width, height)
    assert not fits(width - 1, height)
    assert not fits(width, height - 1)


def test_a_bursts_noisy_targets_are_no_clean_pictures() -> None:
    """What noise a mean of few frames keeps must not be taught as what is to be kept."""
    recipe = AdaptationRecipe(crop=48, batch=8, simulated_share=0.5, precision="fp32")
    flat = np.full((192, 192, 3), 128, np.uint8)
    variance = np.full((12, 12), (5 / 255) ** 2, np.float32)
    noisy = with_noise(flat, 12.0, 1)
    burst = [
        PhotoPair(n, noisy, with_noise(flat, 5.0, 2), n, target_variance=variance) for n in "ab"
    ]
    clear = PhotoPair("c", noisy, np.full_like(flat, 60), "c")
    _, clean = next(iter(RealPairBatches([whole(pair) for pair in burst], recipe)))
    leaves = {tuple(leaf.mean(dim=(1, 2)).tolist()) for leaf in RealPairBatches([], recipe).leaves}
    for picture in clean[:4]:
        means = tuple(picture.mean(dim=(1, 2)).tolist())
        assert any(np.allclose(means, each, atol=1e-4) for each in leaves)
    _, clean = next(iter(RealPairBatches([whole(p) for p in (*burst, clear)], recipe)))
    for picture in clean[2:4]:  # not made up: of the pair that is clean
        torch.testing.assert_close(picture, torch.full_like(picture, 60 / 255))
    division = divide(burst, crop=48, seed=0)
    assert len(_other_cameras(division, recipe)) == OTHER_CAMERAS


def test_a_model_without_modulation_has_nothing_to_transfer_by_it() -> None:
    network = small_network(modulation="none")
    for method in ("modulation", "low_rank", "gains"):
        with pytest.raises(RecipeError, match="choose transfer or retrain"):
            prepare(network, method)
    names = [name for name, _ in small_network(modulation="none", normalization="running")
             .named_buffers()]  # fmt: skip
    assert names
    assert not any(map(is_transfer_parameter, names))
