"""The schedule ends where it says; recipes read, override and refuse."""

from __future__ import annotations

import signal
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aindnet.errors import RecipeError
from aindnet.training import TrainingRecipe, budget_factor, load_recipe, parse_budget
from aindnet.training.callbacks import interruptible
from aindnet.training.recipe import with_what_is_there

ROOT = Path(__file__).parents[2]


@given(progress=st.floats(0, 1))
def test_the_factor_stays_within_zero_and_one(progress: float) -> None:
    assert 0 <= budget_factor(progress) <= 1


def test_the_factor_warms_up_holds_and_ends_at_zero() -> None:
    shape = {"warmup": 0.1, "flat": 0.5}
    assert budget_factor(0.05, **shape) == pytest.approx(0.5)
    assert budget_factor(0.1, **shape) == budget_factor(0.49, **shape) == 1
    assert budget_factor(0.75, **shape) == pytest.approx(0.5)
    assert budget_factor(1.0, **shape) == 0
    assert budget_factor(1.2, **shape) == 0
    # Without a flat part it falls from where it has risen.
    assert budget_factor(0.5, warmup=0.5, flat=0.0) == 1
    assert budget_factor(0.75, warmup=0.5, flat=0.2) == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("25m", (1500.0, None)),
        ("1h30m", (5400.0, None)),
        ("90s", (90.0, None)),
        ("20 steps", (None, 20)),
    ],
)
def test_budgets(text: str, expected: tuple[float | None, int | None]) -> None:
    assert parse_budget(text) == expected


@pytest.mark.parametrize("text", ["0 steps", "0m", "0h0s"])
def test_a_budget_of_nothing_is_refused(text: str) -> None:
    with pytest.raises(RecipeError, match="more than nothing"):
        parse_budget(text)


@pytest.mark.parametrize("text", ["", "soon", "5 apples", "10"])
def test_a_budget_that_says_nothing_is_refused(text: str) -> None:
    with pytest.raises(RecipeError, match="write it like"):
        parse_budget(text)


def test_flags_override_the_file() -> None:
    flags = ["--budget", "25m", "--camera.jpeg", "0", "--network.channels", "16", "32", "64"]
    recipe = load_recipe(ROOT / "recipes/fast.yaml", flags)
    assert (recipe.budget, recipe.camera.jpeg, recipe.network.channels) == ("25m", 0, (16, 32, 64))
    assert recipe.network.unshuffle == 2


TRAINING = [
    path for path in sorted((ROOT / "recipes").glob("*.yaml")) if "data:" in path.read_text()
]


def test_white_noise_comes_first_and_gives_way() -> None:
    recipe = load_recipe(
        ROOT / "recipes/fast.yaml", ["--white-first", "0.2", "--camera.white", "0.4"]
    )
    shares = [recipe.camera_at(progress).white for progress in (0.0, 0.1, 0.2, 1.0)]
    assert shares == pytest.approx([1.0, 0.7, 0.4, 0.4])
    without = replace(recipe, white_first=0.0)
    assert without.camera_at(0.0) == recipe.camera
    with pytest.raises(RecipeError, match="white_first"):
        replace(recipe, white_first=1.5)


@pytest.mark.parametrize("path", TRAINING, ids=lambda p: p.stem)
def test_every_recipe_of_the_repository_reads(path: Path) -> None:
    assert load_recipe(path).name


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name: x\ndata: [a]\nlerning_rate: 1", "lerning_rate"),
        ("name: x\ndata: []", "no clean photos"),
        ("name: [", "not valid YAML"),
        ("just text", "list of fields"),
        ("name: x\ndata: [a]\nstages: [[0.5, 128, 8]]", "begin at 0"),
        ("name: x\ndata: [a]\nlearning_rate: fast", "fast"),
        ("name: x\ndata: [a]\nstages: [[0, 512, 4]]", "crop of 32 to 256"),
        ("name: x\ndata: [a]\nstages: [[0, 64, 4], [0.9, 64, 4], [0.5, 64, 4]]", "one after"),
        ("name: x\ndata: [a]\nlearning_rate: -1", "learning_rate` must be above 0"),
        ("name: x\ndata: [a]\nwarmup: 5", "warmup` is a share"),
        ("name: ''\ndata: [a]", "name '' must be that of a file"),
        ("name: a/b\ndata: [a]", "name 'a/b' must be that of a file"),
        ("name: ..\ndata: [a]", "without a slash"),
        (
            "name: x\ndata: [a]\n1: 2",
            r"wrong\.yaml, line 3: the key 1 is no text; put it in quotes",
        ),
        ("name: x\ndata: [a]\ncamera: {subsampling: {4:2:0: 1}}", "the key 4:2:0 is no text"),
        ("name: x\ndata: [a]\nseed: 1\nseed: 2", "line 4: seed is there a second time"),
        ("name: x\ndata: [a]\nseed: 1.5", "seed: 1.5 is not a whole number"),
        ("name: x\ndata: [a]\nstages: [[0.0, 64.5, 2]]", "stages: 64.5 is not a whole number"),
        ("name: x\ndata: [a]\nnetwork: {modulation-channels: 8.5}", "8.5 is not a whole number"),
        ("name: x\ndata: [a]\ncamera: {response_spread: 50}", "response_spread must be 0 to 2.5"),
        ("name: x\ndata: [a]\nnetwork: 3", "network is a list of fields and their values, not 3"),
        ("name: x\ndata: [a]\nnetwork: [3]", "network is a list of fields"),
        ("name: x\ndata: [a]\nprocessed: 1", "processed is a list of fields"),
        ("name: x\ndata: [a]\nprocessed: {camera: 1}", "processed.camera is a list of fields"),
        ("name: x\ndata: ['']", "data is empty: name a file or a folder"),
        ("name: x\ndata: [a]\noutput: ''", "output is empty"),
        ("name: x\ndata: [a]\ninitial: ''", "`initial` is empty"),
        ("name: x\ndata: [a]\ncheckpoint_every: 99999999999h", "checkpoint_every '9.* 8760h"),
        ("name: x\ndata: [a]\ndevices: 0", "devices` must be at least 1"),
        ("name: x\ndata: [a]\nvalidate_every: soon", "validate_every 'soon'"),
        ("name: x\ndata: [a]\ncamera: {jpeg: 60}", r"wrong\.yaml: .*jpeg is a probability"),
        ("name: x\ndata: [a]\ncamera: {priors: {unifrom: 1}}", "priors has no unifrom"),
        ("name: x\ndata: [a]\nnetwork: {channels: [0, 0, 0]}", "channels .* at least 1"),
    ],
)
def test_a_wrong_recipe_is_named(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "wrong.yaml"
    path.write_text(text)
    with pytest.raises(RecipeError, match=message):
        load_recipe(path)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--data", ""), "data is empty: name a file or a folder"),
        (("--data=",), "data is empty"),
        (("--validation", "a", ""), "validation is empty"),
        (("--real-pairs", ""), "real_pairs is empty"),
        (("--output", ""), "output is empty"),
        (("--initial", ""), "`initial` is empty"),
        (("--network", "3"), "network is a list of fields and their values, not 3"),
        (("--processed=1",), "processed is a list of fields"),
        (("--seed", "1.5"), "seed: 1.5 is not a whole number"),
        (("--devices=1.9",), "devices: 1.9 is not a whole number"),
        (("--stages", "0", "64.7", "8"), "stages: 64.7 is not a whole number"),
        (("--network.channels", "16", "32.5", "64"), "network.channels: 32.5 is not a whole"),
    ],
    ids=lambda each: " ".join(each) if isinstance(each, tuple) else "",
)
def test_a_flag_that_would_be_taken_for_another_is_named(
    flags: tuple[str, ...], message: str
) -> None:
    with pytest.raises(RecipeError, match=message):
        load_recipe(ROOT / "recipes/fast.yaml", flags)


def test_whole_numbers_and_empty_texts_are_what_they_were() -> None:
    flags = ["--seed", "2.0", "--stages", "0", "64", "8", "0.5", "128", "4", "--description", ""]
    recipe = load_recipe(ROOT / "recipes/fast.yaml", flags)
    assert (recipe.seed, recipe.description) == (2, "")
    assert recipe.stages == ((0.0, 64, 8), (0.5, 128, 4))


def test_a_missing_recipe_is_named(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"none\.yaml: there is no such recipe"):
        load_recipe(tmp_path / "none.yaml")


def test_a_recipe_of_another_encoding_is_named(tmp_path: Path) -> None:
    path = tmp_path / "latin.yaml"
    path.write_bytes("name: Müller\ndata: [a]".encode("latin-1"))
    with pytest.raises(RecipeError, match=r"latin\.yaml: not UTF-8"):
        load_recipe(path)


def test_a_flag_takes_several_values() -> None:
    flags = ["--data", "a", "b", "--budget", "25m", "--real-pairs", "c", "--real-pairs", "d"]
    recipe = load_recipe(ROOT / "recipes/fast.yaml", flags)
    assert recipe.data == (Path("a"), Path("b"))
    assert recipe.real_pairs == (Path("c"), Path("d"))
    assert recipe.budget == "25m"


def test_own_photos_are_validated_on_where_the_recipe_s_are_not_there(tmp_path: Path) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text("name: x\ndata: [none.tar]\nvalidation: [val.tar]\nreal_pairs: [real, .]")

    def read(*flags: str) -> tuple[TrainingRecipe, list[str]]:
        return with_what_is_there(load_recipe(path, flags), flags)

    recipe, notices = read("--data", "mine")
    assert (recipe.validation, recipe.hold_out) == ((), 0.05)
    assert recipe.real_pairs == (Path("."),)
    assert len(notices) == 2
    assert "val.tar: not there; about 5% of the tiles of --data are held out" in notices[0]
    recipe, notices = read("--data=mine", "--validation", "val.tar", "--real_pairs", "real")
    assert (recipe.validation, recipe.hold_out) == ((Path("val.tar"),), 0)
    assert recipe.real_pairs == (Path("real"),)
    assert notices == []
    assert read()[0].validation == (Path("val.tar"),)


def test_a_share_to_hold_out_goes_before_the_recipe_s_validation(tmp_path: Path) -> None:
    path, there = tmp_path / "recipe.yaml", tmp_path / "there.tar"
    there.touch()

    def read(validation: Path, *flags: str) -> tuple[TrainingRecipe, list[str]]:
        path.write_text(f"name: x\ndata: [none.tar]\nvalidation: [{validation}]")
        return with_what_is_there(load_recipe(path, flags), flags)

    for validation in (there, tmp_path / "gone.tar"):
        for flags in (["--hold-out", "0.1"], ["--data", "mine", "--hold_out=0.1"]):
            recipe, notices = read(validation, *flags)
            assert (recipe.validation, recipe.hold_out, notices) == ((), 0.1, [])
    recipe, _ = read(there, "--hold-out", "0.1", "--validation", str(there))
    assert recipe.validation == (there,)
    recipe, _ = read(there, "--hold-out", "0")
    assert recipe.validation == (there,)
    recipe, notices = read(tmp_path / "gone.tar", "--data", "mine", "--hold-out", "0")
    assert (recipe.validation, recipe.hold_out) == ((), 0)
    assert "no validation on clean photos" in notices[0]


def test_the_card_of_own_photos_does_not_speak_of_the_recipe_s() -> None:
    flags = ["--data", "my/photos"]
    recipe, _ = with_what_is_there(load_recipe(ROOT / "recipes/fast.yaml", flags), flags)
    assert recipe.trained_on == "photos in photos"
    assert "Apache" not in recipe.licence
    flags += ["--trained_on", "own photos", "--licence", "CC0"]
    recipe, _ = with_what_is_there(load_recipe(ROOT / "recipes/fast.yaml", flags), flags)
    assert (recipe.trained_on, recipe.licence) == ("own photos", "CC0")
    untouched = load_recipe(ROOT / "recipes/fast.yaml")
    assert with_what_is_there(untouched)[0].trained_on == untouched.trained_on


def test_ctrl_c_during_a_fit_is_told_as_such() -> None:
    def interrupted() -> None:
        try:
            raise KeyboardInterrupt
        except KeyboardInterrupt:
            signal.signal(signal.SIGINT, signal.SIG_IGN)  # as Lightning does
            sys.exit(1)

    handler = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt), interruptible():
        interrupted()
    assert signal.getsignal(signal.SIGINT) is handler
    with pytest.raises(SystemExit), interruptible():
        sys.exit(3)
