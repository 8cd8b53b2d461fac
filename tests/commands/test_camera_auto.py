"""`aindnet denoise --camera auto`: each photo by the profile of its own camera."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from aindnet.commands.app import main
from aindnet.pretrained import ModelCard, load_model, save_camera_profile, save_model
from aindnet.pretrained.camera_folder import choose_profile, find_profiles
from restore_networks import small_network

PIL_Image = pytest.importorskip("PIL.Image")
MAKE, MODEL, EXIF, ISO = 0x010F, 0x0110, 0x8769, 0x8827


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("models") / "small.safetensors"
    save_model(path, small_network(), ModelCard(name="small"))
    return path


@pytest.fixture
def cameras(model: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "cameras"
    for number, (name, iso) in enumerate((("low", [100, 400]), ("high", [1600, 6400]))):
        base = load_model(model)
        bias = base.network.head.bias
        assert bias is not None
        with torch.no_grad():
            bias.add_(0.1 * (number + 1))
        about: dict[str, Any] = {"make": "SONY", "model": "ILCE-7M3", "iso": iso}
        save_camera_profile(folder / f"{name}.safetensors", base.network, base, about)
    return folder


def photo(path: Path, model: str | None, iso: int | None) -> Path:
    exif = PIL_Image.Exif()
    if model:
        exif[MAKE], exif[MODEL] = "SONY", model
    if iso:
        exif.get_ifd(EXIF)[ISO] = iso
    grey = np.full((48, 64, 3), 100, np.uint8)
    path.parent.mkdir(exist_ok=True)
    PIL_Image.fromarray(grey).save(path, quality=98, exif=exif)
    return path


def call(*arguments: object) -> int:
    with pytest.raises(SystemExit) as stopped:
        main([str(each) for each in ("denoise", *arguments)])
    return int(stopped.value.code or 0)


def test_make_model_and_iso_choose(
    model: Path,
    cameras: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("AINDNET_CAMERAS", str(cameras))
    photo(tmp_path / "photos/a.jpg", "ILCE-7M3", 200)
    photo(tmp_path / "photos/b.jpg", "ILCE-7M3", 3200)
    photo(tmp_path / "photos/c.jpg", "ILCE-7M3", 102400)
    photo(tmp_path / "photos/d.jpg", None, None)
    for choice in ("auto", cameras):
        output = tmp_path / f"out-{Path(choice).name}"
        arguments = ("--output", output, "--model", model, "--camera", choice, "--json")
        assert call(tmp_path / "photos", *arguments) == 0
        results = json.loads(capsys.readouterr().out)["results"]
        notices = [" ".join(result["notices"]) for result in results]
        assert "low.safetensors" in notices[0]
        assert "high.safetensors" in notices[1]
        assert "no camera profile for SONY ILCE-7M3 at ISO 102400" in notices[2]
        assert "unnamed camera" in notices[3]
        means = [float(np.asarray(PIL_Image.open(r["output"])).mean()) for r in results]
        # The two profiles brighten by 0.1 and 0.2 more than the base, which c and d had.
        assert means[0] - means[3] == pytest.approx(25.5, abs=2)
        assert means[1] - means[3] == pytest.approx(51, abs=2)
        assert means[2] == pytest.approx(means[3], abs=0.5)


def test_a_profile_of_other_files_is_said(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    base = load_model(model)
    about = {"model": "ILCE-7M3", "files": ["RAW"]}
    save_camera_profile(tmp_path / "cameras/raw.safetensors", base.network, base, about)
    path = photo(tmp_path / "photos/a.jpg", "ILCE-7M3", 200)
    assert call(path, "--model", model, "--camera", tmp_path / "cameras", "--json") == 0
    notices = json.loads(capsys.readouterr().out)["results"][0]["notices"]
    assert "camera profile raw.safetensors" in notices
    assert any("learned from other files than JPEG (RAW)" in each for each in notices)
    assert any("does not say for which ISO" in each for each in notices)


def test_what_exif_says_is_told_on_a_printable_line(
    model: Path, cameras: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = photo(tmp_path / "photos/a.jpg", "ILCE\x1b[2J", 200)
    assert call(path, "--model", model, "--camera", cameras, "--json") == 0
    (notice,) = json.loads(capsys.readouterr().out)["results"][0]["notices"]
    assert r"no camera profile for SONY ILCE\x1b[2J at ISO 200" in notice


def test_other_profiles_make_a_resumed_run_do_its_photos_again(
    model: Path, cameras: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photo(tmp_path / "photos/a.jpg", "ILCE-7M3", 200)
    arguments = (tmp_path / "photos", "--output", tmp_path / "out", "--model", model,
                 "--camera", cameras, "--resume", "--json")  # fmt: skip
    statuses = []
    for step in range(3):
        if step == 2:
            (cameras / "high.safetensors").unlink()
        assert call(*arguments) == 0
        statuses.append(json.loads(capsys.readouterr().out)["results"][0]["status"])
    assert statuses == ["done", "skipped", "done"]


def test_files_that_cannot_be_chosen_are_said_and_passed_over(
    model: Path, cameras: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    base = load_model(model)
    save_camera_profile(cameras / "nameless.safetensors", base.network, base, {})
    (cameras / "whole.safetensors").write_bytes(model.read_bytes())
    (cameras / "cut.safetensors").write_bytes(model.read_bytes()[:100])
    path = photo(tmp_path / "photos/a.jpg", "ILCE-7M3", 200)
    assert call(path, "--model", model, "--camera", cameras, "--json") == 0
    told = capsys.readouterr()
    assert "low.safetensors" in " ".join(json.loads(told.out)["results"][0]["notices"])
    for name, why in (
        ("nameless", "names no camera"),
        ("whole", "not a camera profile"),
        ("cut", "not used"),
    ):
        assert any(name in line and why in line for line in told.err.splitlines())


def test_a_folder_without_profiles_is_said(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "none").mkdir()
    path = photo(tmp_path / "photos/a.jpg", None, None)
    assert call(path, "--model", model, "--camera", tmp_path / "none") == 2
    assert "no camera profile to choose from" in capsys.readouterr().err


@pytest.mark.parametrize("choice", ["one", "folder"])
def test_a_profile_brings_the_model_that_it_was_adapted_from(
    model: Path,
    cameras: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    choice: str,
) -> None:
    monkeypatch.setenv("AINDNET_MODELS", str(model.parent))
    path = photo(tmp_path / "photos/a.jpg", "ILCE-7M3", 200)
    camera = cameras / "low.safetensors" if choice == "one" else cameras
    outputs = []
    for number, named in enumerate(([], ["--model", model])):
        output = tmp_path / f"{number}.png"
        assert call(path, "--camera", camera, "--output", output, *named, "--json") == 0
        told = json.loads(capsys.readouterr().out)
        if choice == "folder":  # no surprise, where it is not of the model that others have
            said = "camera profile low.safetensors"
            expected = said if named else f"{said}, and its model small"
            assert expected in told["results"][0]["notices"]
        outputs.append(np.asarray(PIL_Image.open(output)))
    np.testing.assert_array_equal(outputs[0], outputs[1])
    assert told["model"] == "small"
    found, _ = find_profiles(cameras, {load_model(model).sha256})
    low = next(profile for profile in found if profile.path.stem == "low")
    other = replace(low, path=tmp_path / "a.safetensors", base_sha256="0" * 64)
    for base in (low.base_sha256, "0" * 64):
        chosen = choose_profile([other, *found], "SONY", "ILCE-7M3", 200, base)
        assert chosen is not None
        assert chosen.base_sha256 == base
    # Where a model is named, it is the one.
    assert call(path, "--camera", camera, "--model", "aindnet-fast", "--overwrite") == 2
    assert "another model" in (told := capsys.readouterr().err) or "adapted from 'small'" in told
