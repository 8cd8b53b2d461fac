from __future__ import annotations

import errno
import json
import math
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from aindnet.commands.adapt import _camera
from aindnet.commands.adaptation import photos
from aindnet.commands.adaptation.photos import camera_of, read_photo
from aindnet.commands.adaptation.sources import Material, from_bursts, from_pairs
from aindnet.commands.app import main
from aindnet.errors import DatasetError, UnusablePairsError
from aindnet.photo import shown, write_image
from aindnet.photo.exif import Camera
from aindnet.photo.pixels import oriented
from aindnet.pretrained import ModelCard, load_camera_profile, load_model, save_model
from aindnet.pretrained.card import PHOTOS_LICENCE
from aindnet.training.transfer.adapt import Adaptation
from aindnet.training.transfer.held_out import Gain
from restore_networks import small_network
from transfer_scenes import PHOTOS, frames, scene, tinted_network, with_noise

BUDGET = ("--recipe", Path(__file__).with_name("quick_adaptation.yaml"))


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("models") / "small.safetensors"
    card = ModelCard(name="small", licence="Apache-2.0", trained_on="drawings")
    save_model(path, tinted_network(), card)
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("pairs")
    for side in ("noisy", "clean"):
        (root / side).mkdir()
    for number, name in enumerate(PHOTOS):
        write_image(root / "clean" / f"{name}.png", scene(name, 192, 400))
        write_image(root / "noisy" / f"{name}.png", with_noise(scene(name, 192, 400), 10, number))
    return root


def call(*arguments: object) -> int:
    with pytest.raises(SystemExit) as stopped:
        main([str(each) for each in ("adapt", *arguments)])
    assert isinstance(stopped.value.code, int)
    return stopped.value.code


def printed(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(capsys.readouterr().out)
    return document


def test_pairs_to_a_profile_that_denoise_takes(
    model: Path, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "mine.safetensors"
    assert call("--pairs", folder, "--output", output, "--model", model, *BUDGET, "--json") == 0
    about = printed(capsys)["about"]
    assert about["gain_db"] > 0
    assert about["gain_interval_db"][0] > 0
    assert about["licence"] == PHOTOS_LICENCE
    assert about["files"] == ["other"]
    assert about["scenes"] == len(PHOTOS)
    profile = load_camera_profile(output)
    assert profile.base_sha256 == load_model(model).sha256
    assert profile.about == about

    photo = folder / "noisy" / "coffee.png"
    results = []
    for camera in ((), ("--camera", output)):
        target = tmp_path / f"{len(camera)}.png"
        with pytest.raises(SystemExit) as stopped:
            main(
                [str(x) for x in ("denoise", photo, "--output", target, "--model", model, *camera)]
            )
        assert stopped.value.code == 0
        results.append(target.read_bytes())
    assert results[0] != results[1]


def test_a_data_set_s_own_layout(
    tmp_path: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in PHOTOS:
        for side, stem in (("noisy", "real"), ("clean", "mean")):
            photo = (folder / side / f"{name}.png").read_bytes()
            for scene_name in (f"d800_{name}", f"5d3_{name}"):
                (tmp_path / f"{scene_name}_1_{stem}.png").write_bytes(photo)
    assert call("--pairs", tmp_path, "--layout", "cc", "--only", "d800", "--check", "--json") == 0
    document = printed(capsys)
    assert document["pairs"] == [f"d800_{name}_1" for name in sorted(PHOTOS)]
    assert document["scenes"] == len(PHOTOS)
    of_polyu = ("--pairs", tmp_path, "--layout", "polyu", "--only", "d800", "--check", "--json")
    assert call(*of_polyu) == 0
    assert printed(capsys)["scenes"] == len(PHOTOS)
    both = ("--pairs", tmp_path, folder, "--layout", "cc", "pairs", "--check", "--json")
    assert call(*both) == 0
    assert len(printed(capsys)["pairs"]) == 3 * len(PHOTOS)
    assert call("--pairs", folder, folder, "--check", "--json") == 0
    document = printed(capsys)
    assert len(document["pairs"]) == 2 * len(PHOTOS)
    assert document["scenes"] == len(PHOTOS)  # those of one name are one
    assert call(*both[:3], "--layout", "cc", "--check") == 2
    assert "give one for each" in capsys.readouterr().err
    assert call("--pairs", tmp_path, "--layout", "gaussian", "--check") == 2
    assert "choose pairs, polyu" in capsys.readouterr().err
    assert call("--pairs", tmp_path, "--layout", "cc", "--only", "nothing", "--check") == 2
    assert "no image is left" in capsys.readouterr().err
    assert call("--pairs", tmp_path, "--only", "d800", "--check") == 2
    assert "--only goes with a data set's --layout" in capsys.readouterr().err


def test_a_burst_to_a_profile(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("coffee", "chelsea"):
        (tmp_path / "bursts" / name).mkdir(parents=True)
        for number in range(5):
            image = with_noise(scene(name, 192, 400), 10, number)
            write_image(tmp_path / "bursts" / name / f"{number}.png", image)
    lit = np.clip(scene("coffee", 192, 400) * 1.1, 0, 255)
    write_image(tmp_path / "bursts/coffee/lit.png", with_noise(lit, 10, 9))
    output = tmp_path / "mine.safetensors"
    code = call(
        "--burst", tmp_path / "bursts", "--output", output, "--model", model, *BUDGET, "--json"
    )
    document = printed(capsys)
    assert code == 0
    assert len(document["pairs"]) == 10
    assert list(document["rejected"]) == ["coffee/lit.png"]
    assert document["about"]["gain_interval_db"][0] > 0


def test_noise_too_weak_to_be_worth_cleaning(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for side, sigma in (("noisy", 1.0), ("clean", 0.0)):
        (tmp_path / "pairs" / side).mkdir(parents=True)
        for number, name in enumerate(PHOTOS):
            write_image(
                tmp_path / "pairs" / side / f"{name}.png",
                with_noise(scene(name, 192, 400), sigma, number),
            )
    output = tmp_path / "mine.safetensors"
    assert call("--pairs", tmp_path / "pairs", "--output", output, "--model", model, *BUDGET) == 0
    assert "better as they are: noise so weak is not worth cleaning" in capsys.readouterr().err
    assert load_camera_profile(output).about["gain_over_noisy_db"] < 0


def test_noisy_photos_alone(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "photos").mkdir()
    for number, name in enumerate(PHOTOS):
        write_image(
            tmp_path / "photos" / f"{name}.png", with_noise(scene(name, 192, 400), 10, number)
        )
    output = tmp_path / "mine.safetensors"
    arguments = ("--noisy", tmp_path / "photos", "--output", output, "--model", model, *BUDGET)
    assert call(*arguments, "--json") == 0
    printed_text = capsys.readouterr()
    assert "experimental" in printed_text.err
    level = float(printed_text.err.split("noise of ")[1].split(" ")[0])
    assert level == pytest.approx(10, rel=0.15)
    assert json.loads(printed_text.out)["about"]["source"] == "noisy photos alone"


def test_nothing_is_written_where_nothing_is_gained(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good = tmp_path / "small.safetensors"
    save_model(good, small_network(), ModelCard(name="small"))
    output = tmp_path / "mine.safetensors"
    code = call("--pairs", folder, "--output", output, "--model", good, "--budget", "1 steps")
    assert code == 1
    told = capsys.readouterr().err
    assert "nothing was written" in told
    assert "a second try is judged by the same parts: more photos say more" in told
    assert not output.exists()


def test_nothing_is_written_where_the_gain_cannot_be_told(
    folder: Path, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    unknown = Gain(math.nan, -math.inf, math.inf, 8, 8, 30.0)
    result = Adaptation(small_network(), 1.0, unknown, math.nan, False, 1, 1.0)
    monkeypatch.setattr("aindnet.training.transfer.adapt.adapt", lambda *_, **__: result)
    output = tmp_path / "mine.safetensors"
    assert call("--pairs", folder, "--output", output, "--model", model, "--json") == 1
    assert "what is gained cannot be told" in printed(capsys)["error"]
    assert not output.exists()


def test_a_file_that_took_the_name_meanwhile_is_kept(
    folder: Path, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    output = tmp_path / "mine.safetensors"

    def while_another_runs(*_: object, **__: object) -> Adaptation:
        output.write_text("of another run")
        return Adaptation(small_network(), 1.0, Gain(1.0, 0.5, 1.5, 8, 8, 30.0), 2.0, False, 1, 1.0)

    monkeypatch.setattr("aindnet.training.transfer.adapt.adapt", while_another_runs)
    assert call("--pairs", folder, "--output", output, "--model", model, "--json") == 0
    assert output.read_text() == "of another run"
    told = capsys.readouterr()
    written = tmp_path / "mine-2.safetensors"
    document = json.loads(told.out)
    assert document["output"] == str(written)
    assert load_camera_profile(written).about == document["about"]
    assert f"{output}: another file has this name by now, and is kept" in told.err
    assert f"wrote {written}: +1.00 dB" in told.err


def test_a_recipe_says_the_rest(
    model: Path, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe = tmp_path / "mine.yaml"
    recipe.write_text(
        "method: gains\nbudget: 1h\ncrop: 64\nlearning_rate: 1.0e-3\ncamera: {jpeg: 0.0}\n"
    )
    output = tmp_path / "mine.safetensors"
    call_it = ("--pairs", folder, "--output", output, "--model", model, "--json")
    assert call(*call_it, "--recipe", recipe, "--budget", "25 steps") == 0
    about = printed(capsys)["about"]
    assert (about["method"], about["steps"]) == ("gains", 25)
    assert load_camera_profile(output).about == about
    recipe.write_text("speed: 9\n")
    assert call(*call_it[:3], tmp_path / "b.safetensors", "--recipe", recipe) == 2
    assert "speed" in capsys.readouterr().err


def test_a_retrained_model_is_a_whole_model(model: Path, folder: Path, tmp_path: Path) -> None:
    output = tmp_path / "mine.safetensors"
    code = call(
        "--pairs", folder, "--output", output, "--model", model, "--method", "retrain", *BUDGET
    )
    assert code == 0
    card = load_model(output).card
    assert (card.name, card.licence) == ("mine", PHOTOS_LICENCE)
    assert card.trained_on.startswith("first, as small: drawings; then: ")


def swapped(folder: Path, root: Path, names: Sequence[str]) -> Path:
    """The pairs of `folder` in `root`, those of `names` with their sides swapped."""
    for side, other in (("noisy", "clean"), ("clean", "noisy")):
        (root / side).mkdir(parents=True)
        for name in PHOTOS:
            source = folder / (other if name in names else side) / f"{name}.png"
            (root / side / source.name).write_bytes(source.read_bytes())
    return root


def test_check_tells_what_can_be_used(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = swapped(folder, tmp_path / "pairs", ["rocket"])
    assert call("--pairs", root, "--check", "--json") == 1
    document = printed(capsys)
    assert set(document["pairs"]) == set(PHOTOS) - {"rocket"}
    assert "swap" in document["rejected"]["rocket"]


def test_most_pairs_swapped_is_a_folder_swapped(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One pair that is of no use for another reason does not hide it."""
    root = swapped(folder, tmp_path / "pairs", PHOTOS)
    for side in ("noisy", "clean"):
        write_image(root / side / "white.png", np.full((192, 400, 3), 255, np.uint8))
    assert call("--pairs", root, "--output", tmp_path / "a.safetensors") == 2
    said = f"in {len(PHOTOS)} of {len(PHOTOS) + 1} pairs the clean photo is the noisier one"
    assert said in capsys.readouterr().err


def test_a_data_set_s_exposures_are_held_to_the_limits_too(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """RENOIR's brightness is matched here, where it is counted, and not in reading."""
    for side, sigma in (("noisy", 10.0), ("clean", 0.0)):
        (tmp_path / side).mkdir()
        for number, (name, light) in enumerate((("coffee", 0.95), ("rocket", 0.7))):
            image = scene(name, 192, 400) * (light if side == "clean" else 1.0)
            write_image(tmp_path / side / f"{name}.png", with_noise(image, sigma, number))
    (tmp_path / "index.csv").write_text("name\ncoffee\nrocket\n")
    assert call("--pairs", tmp_path, "--layout", "renoir", "--check", "--json") == 1
    document = printed(capsys)
    assert 4 < document["exposure_matched"]["coffee"] < 7
    assert "exposures differ by" in document["rejected"]["rocket"]


def test_check_tells_what_adapt_would_refuse(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for side, sigma in (("noisy", 10.0), ("clean", 0.0)):
        (tmp_path / "pairs" / side).mkdir(parents=True)
        for name, width in (("coffee", 400), ("rocket", 150)):
            image = with_noise(scene(name, 192, width), sigma, 1)
            write_image(tmp_path / "pairs" / side / f"{name}.png", image)
    there = tmp_path / "there.safetensors"
    there.touch()  # nothing is written, so it is in nobody's way
    assert call("--pairs", tmp_path / "pairs", "--check", "--json", "--output", there) == 1
    told = capsys.readouterr()
    document = json.loads(told.out)
    assert document["pairs"] == ["coffee"]
    assert "150×192 pixels are too few" in document["rejected"]["rocket"]
    assert "one pair only" in told.err


def test_bursts_of_one_scene_at_several_isos_and_results_beside_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for iso, sigma in (("100", 4.0), ("6400", 12.0)):
        (tmp_path / "wall" / iso).mkdir(parents=True)
        for number in range(3):
            image = with_noise(scene("coffee", 192, 400), sigma, number)
            write_image(tmp_path / "wall" / iso / f"{number}.png", image)
            clean = scene("coffee", 192, 400)
            write_image(tmp_path / "wall" / iso / f"{number}.denoised.png", clean)
    assert call("--burst", tmp_path, "--check", "--json") == 0
    document = printed(capsys)
    assert len(document["pairs"]) == 6
    assert document["pairs"][0] == "wall/100/0.png"
    assert document["scenes"] == 1
    both = (tmp_path / "wall/100", tmp_path / "wall/6400")
    for burst in both:
        (burst / "wall").mkdir()
        for photo in burst.glob("*.png"):
            photo.rename(burst / "wall" / photo.name)
    assert call("--burst", *both, "--check", "--json") == 0
    document = printed(capsys)
    assert len(document["pairs"]) == 6
    assert document["scenes"] == 1


def test_pairs_of_one_scene_at_several_isos(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for iso, sigma in (("100", 4.0), ("6400", 12.0)):
        for name in ("coffee", "rocket"):
            for side, noise in (("noisy", sigma), ("clean", 0.0)):
                image = with_noise(scene(name, 192, 400), noise, int(iso))
                (tmp_path / side / name / iso).mkdir(parents=True)
                write_image(tmp_path / side / name / iso / "a.png", image)
    assert call("--pairs", tmp_path, "--check", "--json") == 0
    document = printed(capsys)
    assert len(document["pairs"]) == 4
    assert document["scenes"] == 2


def test_what_is_left_out_as_too_small_is_no_scene_to_hold_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Twenty scenes, but for those: the two crops of the one that stays must not overlap."""
    small = scene("coffee", 48, 48)
    photos = {f"{i}": small for i in range(19)}
    whole = scene("astronaut", 300, 400)
    photos |= {"hall/one": whole[:160, :260], "hall/other": whole[80:240, 70:330]}
    for name, image in photos.items():
        for side, sigma in (("noisy", 10.0), ("clean", 0.0)):
            path = tmp_path / side / f"{name}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            write_image(path, with_noise(image, sigma, 1))
    assert call("--pairs", tmp_path, "--check", "--json") == 1
    document = printed(capsys)
    assert document["pairs"] == ["hall/one"]
    assert "shows a part of" in document["rejected"]["hall/other"]
    assert "too few" in document["rejected"]["0"]


@pytest.mark.skipif(sys.platform != "linux", reason="names of any bytes")
def test_names_that_are_not_utf_8_are_told_and_written(
    folder: Path, model: Path, tmp_path: Path
) -> None:
    odd = os.fsdecode(b"caf\xe9")
    for side in ("noisy", "clean"):
        (tmp_path / side).mkdir()
        for name in PHOTOS:
            photo = (folder / side / f"{name}.png").read_bytes()
            (tmp_path / side / f"{odd} {name}.png").write_bytes(photo)
    output = tmp_path / f"{odd}.safetensors"
    flags = ("--pairs", tmp_path, "--output", output, "--model", model, *BUDGET, "--json")
    run = subprocess.run(
        [sys.executable, "-m", "aindnet", "adapt", *map(os.fsencode, map(str, flags))],
        capture_output=True, check=True,
    )  # fmt: skip
    document = json.loads(run.stdout)
    assert document["output"] == str(output)
    assert document["pairs"][0] == f"{odd} astronaut"
    output.rename(tmp_path / "b.safetensors")  # safetensors opens no such name
    assert load_camera_profile(tmp_path / "b.safetensors").about["camera"] == "caf\\udce9"


def test_kinds_are_those_of_the_photos_that_are_used(tmp_path: Path) -> None:
    (tmp_path / "bursts").mkdir()
    for frame in frames(4):
        write_image(tmp_path / "bursts" / frame.name, frame.image)
    write_image(tmp_path / "bursts/larger.jpg", with_noise(scene("coffee", 200, 300), 12, 1))
    material = from_bursts([tmp_path / "bursts"])
    assert list(material.rejected) == ["bursts/larger.jpg"]
    assert set(material.kinds.values()) == {"other"}
    clean = scene("coffee")
    for name, sigma in (("a.jpg", 20.0), ("b.webp", 20.0), ("c.png", 0.0)):
        for side, noise in (("noisy", sigma), ("clean", 0.0)):
            path = tmp_path / side / (name if side == "noisy" else f"{name[0]}.png")
            path.parent.mkdir(exist_ok=True)
            write_image(path, with_noise(clean, noise, 1))
    material = from_pairs([tmp_path], ["pairs"], None, check=False)
    assert material.kinds == {"a": "JPEG", "b": "other"}
    assert list(material.rejected) == ["c"]
    (tmp_path / "cc").mkdir()
    write_image(tmp_path / "cc/d800_1_real.png", with_noise(clean, 10, 1))
    write_image(tmp_path / "cc/d800_1_mean.png", clean)
    material = from_pairs([tmp_path / "cc"], ["cc"], None, check=False)
    assert set(material.kinds.values()) == {"JPEG"}  # they were, before they were cut


def test_photos_of_several_cameras_are_named(
    folder: Path, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pictures = pytest.importorskip("PIL.Image")
    root = tmp_path / "pairs"
    for side in ("noisy", "clean"):
        (root / side).mkdir(parents=True)
        for name, camera in zip(PHOTOS, ("A1", "B2", "A1", "A1"), strict=True):
            exif = pictures.Exif()
            exif[0x0110] = camera
            pictures.open(folder / side / f"{name}.png").save(
                root / side / f"{name}.png", exif=exif
            )
    for number, flags in enumerate(((), ("--camera-model", "A1", "--iso", "100", "400"))):
        output = tmp_path / f"{number}.safetensors"
        assert call("--pairs", root, "--output", output, "--model", model, *BUDGET, *flags) == 0
        about = load_camera_profile(output).about
        assert ("photos of 2 cameras (A1, B2)" in capsys.readouterr().err) is not bool(flags)
        assert about["model"] == ("A1" if flags else "")
        assert about["iso"] == ([100, 400] if flags else None)


def test_names_reach_the_terminal_on_printable_lines(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cameras = {name: Camera("", name) for name in ("A1", "B2\x1b[2J")}
    _camera(Material("pairs", cameras=cameras), None, None, None)
    assert r"photos of 2 cameras (A1, B2\x1b[2J)" in capsys.readouterr().err
    for side in ("noisy", "clean"):
        (tmp_path / side).mkdir()
        for number in range(3):
            photo = (folder / "clean/coffee.png").read_bytes()
            (tmp_path / side / f"a\x1b[2J{number}.png").write_bytes(photo)
    assert call("--pairs", tmp_path, "--check") == 1
    told = capsys.readouterr().err
    assert "\x1b" not in told
    assert r"not used: a\x1b[2J0: no noise" in told


def test_many_photos_are_said_to_be_compared(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for many, said in ((4, False), (3, True)):
        monkeypatch.setattr("aindnet.commands.adapt.MANY_SHOTS", many)
        assert call("--pairs", folder, "--check") == 0
        assert ("comparing 4 photos or bursts" in capsys.readouterr().err) is said


def test_one_bad_file_does_not_hide_the_others(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = tmp_path / "pairs"
    for side in ("noisy", "clean"):
        (root / side).mkdir(parents=True)
        for name in PHOTOS:
            (root / side / f"{name}.png").write_bytes((folder / side / f"{name}.png").read_bytes())
    write_image(root / "noisy/small.png", frames(1)[0].image[:64])
    write_image(root / "clean/small.png", frames(1)[0].image)
    (root / "noisy/cut.png").write_bytes((folder / "noisy/coffee.png").read_bytes()[:900])
    (root / "clean/cut.png").write_bytes((folder / "clean/coffee.png").read_bytes())
    (root / "clean/alone.png").write_bytes((folder / "clean/coffee.png").read_bytes())
    darker = np.rint(scene("coffee", 192, 400) * 0.95).astype(np.uint8)
    write_image(root / "clean/coffee.png", darker)
    assert call("--pairs", root, "--check", "--json") == 1
    document = printed(capsys)
    assert set(document["pairs"]) == set(PHOTOS)
    assert set(document["rejected"]) == {"alone", "cut", "small"}
    assert "one size" in document["rejected"]["small"]
    assert "damaged" in document["rejected"]["cut"]
    assert "missing in noisy/" in document["rejected"]["alone"]
    # Of the channel that differs most: dark ones are rounded by more.
    assert 5.2 <= document["exposure_matched"]["coffee"] < 7
    assert call("--pairs", root, "--output", tmp_path / "a.safetensors") == 2
    assert "--check lists them" in capsys.readouterr().err


def test_wrong_use_is_said(
    model: Path, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = ("--output", tmp_path / "a.safetensors")
    odd = os.fsdecode(b"caf\xe9") if sys.platform == "linux" else "caf\udce9"
    lonely = tmp_path / "lonely"
    swapped = tmp_path / "swapped"
    for side, other in (("noisy", "clean"), ("clean", "noisy")):
        for root in (lonely, swapped):
            (root / side).mkdir(parents=True)
        (swapped / side / "a.png").write_bytes((folder / other / "coffee.png").read_bytes())
    write_image(lonely / "noisy/a.png", frames(1)[0].image)
    write_image(lonely / "clean/b.png", frames(1)[0].image)
    one = tmp_path / "one"
    one.mkdir()
    write_image(one / "a.png", frames(1)[0].image)
    for arguments, reason in (
        (output, "one of --pairs DIR"),
        (("--pairs", folder), "--output"),
        (("--pairs", tmp_path / "none", *output, "--iso", "800", "100"), "lowest and then"),
        (("--pairs", tmp_path / "none", *output, "--name", odd), f"--name {shown(odd)}: holds"),
        (("--pairs", tmp_path / "none", *output, "--camera-make", odd), "--camera-make caf"),
        (("--pairs", tmp_path / "none", *output, "--camera-model", odd), "--camera-model caf"),
        (("--pairs", tmp_path / "none", *output, "--licence", odd), "--licence caf"),
        (("--pairs", folder, "--output", tmp_path / "a.png"), "ends in .safetensors"),
        (("--pairs", tmp_path / "none", *output), "no such folder"),
        (("--pairs", lonely, *output), "missing"),
        (("--pairs", swapped, *output), "swap the two folders"),
        (("--burst", one, *output), "1 frame"),
        (("--burst", folder, *output), f"name {folder / 'noisy'}"),
        (("--noisy", folder, *output), f"name {folder / 'noisy'}"),
        (("--pairs", folder, "--output", model), "exists already"),
        (("--pairs", folder, "--output", one / "a.png/b.safetensors"), "is a file, not a folder"),
    ):
        assert call(*arguments) == 2
        assert reason in capsys.readouterr().err
    assert not (tmp_path / "a.safetensors").exists()


def test_the_iso_range_is_that_of_the_model_that_is_named() -> None:
    taken = [Camera("Canon", "A", 400), Camera("Canon", "A", 800), Camera("Nikon", "B", 100)]
    assert camera_of(taken) == ("", "", None)
    assert camera_of(taken, "A") == ("Canon", "A", (400, 800))


@pytest.mark.parametrize("turn", range(1, 9))
def test_a_photo_is_read_upright_and_the_same_part_of_it(tmp_path: Path, turn: int) -> None:
    pictures = pytest.importorskip("PIL.Image")
    image = scene("coffee", 83, 101)
    exif = pictures.Exif()
    exif[0x0112] = turn
    stored = oriented(image, {6: 8, 8: 6}.get(turn, turn))
    pictures.fromarray(np.ascontiguousarray(stored)).save(tmp_path / "a.png", exif=exif)
    taken = read_photo(tmp_path / "a.png", (50, 40))
    assert taken.size == (101, 83)
    np.testing.assert_array_equal(taken.image, image[21:61, 25:75])


def write_p3(path: Path, image: np.ndarray) -> None:
    """An sRGB photo's colours in Display P3's numbers, as libvips' profile of that names them."""
    pyvips = pytest.importorskip("pyvips")
    photo = pyvips.Image.new_from_array(image).copy(interpretation="srgb")
    photo.icc_transform("p3", input_profile="srgb").write_to_file(path)


def test_sides_in_two_colour_profiles_are_no_pair(tmp_path: Path) -> None:
    for side, sigma, write_mixed in (("noisy", 10.0, write_image), ("clean", 0.0, write_p3)):
        (tmp_path / side).mkdir()
        image = with_noise(scene("coffee", 192, 400), sigma, 1)
        write_image(tmp_path / side / "plain.png", image)
        write_p3(tmp_path / side / "wide.png", image)
        write_mixed(tmp_path / side / "mixed.png", image)
    material = from_pairs([tmp_path], ["pairs"], None, check=True)
    assert [pair.name for pair in material.pairs] == ["plain", "wide"]
    assert material.rejected["mixed"].startswith(
        "the noisy photo is in sRGB and the clean one in sP3C"
    )


def test_frames_in_another_colour_profile_than_most_are_left_out(tmp_path: Path) -> None:
    for frame in frames(4):
        if frame.name == "2.png":
            write_p3(tmp_path / frame.name, frame.image)
        else:
            write_image(tmp_path / frame.name, frame.image)
    material = from_bursts([tmp_path])
    assert len(material.pairs) == 3
    assert material.rejected == {f"{tmp_path.name}/2.png": "it is in sP3C, others in sRGB"}


def closed(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """Take the right to read a folder away, from root too."""
    listdir = os.listdir

    def refusing(path: Path) -> list[str]:
        if Path(path) == folder:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return listdir(path)

    monkeypatch.setattr(os, "listdir", refusing)


def test_folders_of_bursts_are_searched_as_denoise_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = tmp_path / "elsewhere"
    root = tmp_path / "bursts"
    for burst in (root / "hall", root / ".thumbnails", root / "closed", elsewhere):
        burst.mkdir(parents=True)
        for frame in frames(2, name="coffee" if burst.parent == root else "chelsea"):
            write_image(burst / frame.name, frame.image)
    (root / "linked").symlink_to(elsewhere)
    (root / "again").symlink_to(root)
    closed(monkeypatch, root / "closed")
    material = from_bursts([root])
    assert {pair.name.split("/")[0] for pair in material.pairs} == {"hall", "linked"}
    assert material.rejected == {"closed": f"{root / 'closed'}: Permission denied"}
    closed(monkeypatch, elsewhere)
    with pytest.raises(DatasetError, match="Permission denied"):
        from_bursts([elsewhere])


def test_folders_of_pairs_are_searched_as_denoise_does(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "pairs"
    for side in ("noisy", "clean"):
        for place in ("hall", ".thumbnails", "closed"):
            (root / side / place).mkdir(parents=True)
            photo = (folder / side / "coffee.png").read_bytes()
            (root / side / place / "a.png").write_bytes(photo)
        (root / side / "linked").symlink_to(folder / side)
    material = from_pairs([root], ["pairs"], None, check=True)
    names = ["closed/a", "hall/a", *(f"linked/{name}" for name in sorted(PHOTOS))]
    assert [pair.name for pair in material.pairs] == names
    closed(monkeypatch, root / "noisy" / "closed")
    material = from_pairs([root], ["pairs"], None, check=True)
    assert [pair.name for pair in material.pairs] == names[1:]
    assert set(material.rejected) == {"noisy/closed", "closed/a"}
    assert material.rejected["noisy/closed"].endswith("noisy/closed: Permission denied")
    with pytest.raises(UnusablePairsError, match="noisy/closed: Permission denied"):
        from_pairs([root], ["pairs"], None, check=False)


def test_a_name_is_one_whatever_the_encoding_of_its_accents(folder: Path, tmp_path: Path) -> None:
    for side, name in (("noisy", "caf\u00e9"), ("clean", "cafe\u0301")):
        (tmp_path / side).mkdir()
        photo = (folder / side / "coffee.png").read_bytes()
        (tmp_path / side / f"{name}.png").write_bytes(photo)
    material = from_pairs([tmp_path], ["pairs"], None, check=False)
    assert [pair.name for pair in material.pairs] == ["caf\u00e9"]


def test_photos_of_one_name_in_several_folders_may_show_other_scenes(
    folder: Path, tmp_path: Path
) -> None:
    roots = [tmp_path / name for name in ("first", "second", "third")]
    for root, name in zip(roots, ("coffee", "chelsea", "coffee"), strict=True):
        for side in ("noisy", "clean"):
            (root / side).mkdir(parents=True)
            photo = (folder / side / f"{name}.png").read_bytes()
            (root / side / "1.png").write_bytes(photo)
    material = from_pairs(roots, ["pairs"] * 3, None, check=False)
    material.leave_out_overlaps()
    one, two, three = (pair.scene for pair in material.pairs)
    assert one == three != two


def test_photos_of_all_folders_are_read_in_one_window(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Middles of different sizes of one scene's photos would show parts of each other."""
    monkeypatch.setattr(photos, "MOST_PIXELS", 3 * 200 * 300)
    clean = scene("coffee", 300, 450)
    for name in ("first/a", "second/a", "second/b"):
        for side, sigma in (("noisy", 10.0), ("clean", 0.0)):
            path = tmp_path / Path(name).parent / side / "coffee" / f"{name[-1]}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            write_image(path, with_noise(clean, sigma, len(name)))
    material = from_pairs(
        [tmp_path / "first", tmp_path / "second"], ["pairs"] * 2, None, check=True
    )
    assert {pair.shape for pair in material.pairs} == {(200, 300)}


def test_bursts_of_one_name_are_refused(tmp_path: Path) -> None:
    for folder in (tmp_path / "a", tmp_path / "a" / "a"):
        folder.mkdir()
        for frame in frames(2):
            write_image(folder / frame.name, frame.image)
    with pytest.raises(DatasetError, match="would bear one name"):
        from_bursts([tmp_path / "a"])
