"""`aindnet simulate`: pairs folders that `evaluate pairs` takes."""

from __future__ import annotations

import errno
import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
import torch

from aindnet.camera import CameraRecipe, SensorNoise, simulate
from aindnet.commands.app import main
from aindnet.commands.simulate import without_gains
from aindnet.photo import read_image, write_image

FOLDERS = ("noisy", "clean", "noise-level")


def run(*arguments: object) -> int:
    with pytest.raises(SystemExit) as stopped:
        main(["simulate", *map(str, arguments)])
    return int(stopped.value.code or 0)


def results(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(capsys.readouterr().out)["results"]
    return found


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    for number, name in enumerate(("a/1.png", "b/1.png")):
        (folder / name).parent.mkdir(parents=True)
        write_image(folder / name, np.full((48, 64, 3), 90 + 40 * number, np.uint8))
    return folder


def test_folders_are_mirrored_and_nothing_is_written_over(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "pairs"
    assert run(photos, "--output", output, "--shot", 0.05, "--read", 0.01, "--json") == 0
    found = results(capsys)
    assert [each["status"] for each in found] == ["done", "done"]
    for name, level in (("a/1", 90), ("b/1", 130)):
        noisy, clean = (read_image(output / side / f"{name}.png") for side in FOLDERS[:2])
        assert np.unique(clean).tolist() == [level]
        assert noisy.shape == clean.shape
        assert noisy.std() > 1
        sigma = read_image(output / "noise-level" / f"{name}.tif")
        assert sigma.dtype == np.float32
    first = (output / "noisy/a/1.png").read_bytes()
    assert run(photos, "--output", output, "--seed", 1) == 1
    assert "a/1.png: exists already; pass --overwrite" in capsys.readouterr().err
    assert (output / "noisy/a/1.png").read_bytes() == first
    assert run(photos, "--output", output, "--shot", 0.05, "--read", 0.01, "--overwrite") == 0
    assert (output / "noisy/a/1.png").read_bytes() == first


@pytest.mark.parametrize("linked", [False, True])
def test_inputs_are_never_changed(
    photos: Path, tmp_path: Path, linked: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "sim"
    output.mkdir()
    clean = photos.rename(output / "clean")
    before = {path: path.read_bytes() for path in clean.rglob("*.png")}
    source = clean
    if linked:
        source = tmp_path / "links"
        source.symlink_to(clean)
    assert run(source, "--output", output, "--overwrite") == 1
    assert "is an input, and inputs are never changed" in capsys.readouterr().err
    assert {path: path.read_bytes() for path in clean.rglob("*.png")} == before
    assert not (output / "noisy").exists()


@pytest.mark.parametrize("inside", [".", "pairs"])
def test_an_output_inside_the_input_is_no_input(photos: Path, inside: str) -> None:
    (photos / "a/._1.png").write_bytes(b"a Mac's")
    for _ in range(2):
        assert run(photos, "--output", photos / inside, "--overwrite") == 0
    made = sorted(str(path.relative_to(photos / inside)) for path in photos.rglob("1.tif"))
    assert made == ["noise-level/a/1.tif", "noise-level/b/1.tif"]


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_grey_photo_gives_grey_files(tmp_path: Path, dtype: type) -> None:
    write_image(tmp_path / "grey.png", np.full((32, 40), np.iinfo(dtype).max // 2, dtype))
    assert run(tmp_path / "grey.png", "--output", tmp_path / "pairs", "--shot", 0, "--read", 0) == 0
    noisy, clean = (read_image(tmp_path / "pairs" / side / "grey.png") for side in FOLDERS[:2])
    assert noisy.shape == clean.shape == (32, 40)
    assert noisy.dtype == clean.dtype == np.uint8
    assert abs(int(clean[0, 0]) - 127) <= 1
    assert read_image(tmp_path / "pairs/noise-level/grey.tif").shape == (32, 40)


def test_a_shorter_burst_leaves_no_frames_of_the_longer_one(tmp_path: Path) -> None:
    write_image(tmp_path / "a.png", np.full((16, 16, 3), 90, np.uint8))
    for frames in (4, 2):
        flags = ("--output", tmp_path / "out", "--frames", frames, "--overwrite")
        assert run(tmp_path / "a.png", *flags) == 0
    names = sorted(path.name for path in (tmp_path / "out/noisy/a").iterdir())
    assert names == ["000.png", "001.png"]


@pytest.mark.parametrize(
    ("own", "flags", "reason"),
    [
        ("002.png", (), "is there already, and would be a frame of the burst; pass --overwrite"),
        ("002.png", ("--overwrite",), "is no frame of an earlier burst"),
        ("20240131.png", ("--overwrite",), "is no frame of an earlier burst"),
    ],
)
def test_a_burst_removes_no_files_that_no_burst_left(
    tmp_path: Path,
    own: str,
    flags: tuple[str, ...],
    reason: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    write_image(tmp_path / "a.png", np.full((16, 16, 3), 90, np.uint8))
    file = tmp_path / "out/noisy/a" / own
    file.parent.mkdir(parents=True)
    file.write_bytes(b"mine")
    call = (tmp_path / "a.png", "--output", tmp_path / "out", "--frames", 2, *flags)
    assert run(*call) == 1
    assert f"{file}: {reason}" in capsys.readouterr().err
    assert file.read_bytes() == b"mine"
    assert list(file.parent.iterdir()) == [file]


def test_a_shorter_burst_removes_no_input(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_image(tmp_path / "a.png", np.full((16, 16, 3), 90, np.uint8))
    output = ("--output", tmp_path / "out", "--overwrite", "--frames")
    assert run(tmp_path / "a.png", *output, 3) == 0
    frame = tmp_path / "out/noisy/a/002.png"
    assert run(tmp_path / "a.png", frame, *output, 2) == 1
    assert f"{frame}: is an input" in capsys.readouterr().err
    assert frame.is_file()


@pytest.mark.parametrize("frames", [(2, 1), (1, 2)])
def test_a_burst_and_a_pair_do_not_stand_side_by_side(
    tmp_path: Path, frames: tuple[int, int]
) -> None:
    write_image(tmp_path / "a.png", np.full((16, 16, 3), 90, np.uint8))
    names = {1: ["a.png"], 2: ["a/000.png", "a/001.png"]}
    noisy = tmp_path / "out/noisy"

    def made() -> list[str]:
        return sorted(str(path.relative_to(noisy)) for path in noisy.rglob("*.png"))

    call = (tmp_path / "a.png", "--output", tmp_path / "out", "--frames")
    assert run(*call, frames[0]) == 0
    assert run(*call, frames[1]) == 1
    assert made() == names[frames[0]]
    assert run(*call, frames[1], "--overwrite") == 0
    assert made() == names[frames[1]]
    assert (noisy / "a").exists() == (frames[1] == 2)


def test_photos_named_like_frames_are_not_taken_for_them(tmp_path: Path) -> None:
    for name in ("a.png", "a/000.png"):
        (tmp_path / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        write_image(tmp_path / "in" / name, np.full((16, 16, 3), 90, np.uint8))
    for _ in range(2):
        assert run(tmp_path / "in", "--output", tmp_path / "out", "--overwrite") == 0
    assert (tmp_path / "out/noisy/a/000.png").is_file()


def test_names_that_are_not_utf_8_are_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name = os.fsdecode(b"latin-\xe9.png")
    write_image(tmp_path / "a.png", np.full((16, 16, 3), 90, np.uint8))
    (tmp_path / "a.png").rename(tmp_path / name)
    assert run(tmp_path / name, "--output", tmp_path / "out", "--json") == 0
    assert Path(results(capsys)[0]["input"]).name == name


def test_a_stated_sensor_is_not_multiplied() -> None:
    recipe = without_gains(CameraRecipe(smooth=0.0, jpeg=0.0, blotches=0.0, resample=0.0))
    recipe = replace(recipe, mosaic=0.0, response="identity")
    sensor = SensorNoise(torch.full((1, 3), 0.02**2), torch.full((1, 3), 0.02**2), "affine")
    clean = torch.full((1, 3, 128, 128), 0.5)
    for seed in range(3):
        noisy, _, _ = simulate(clean, torch.Generator().manual_seed(seed), recipe, sensor=sensor)
        expected = (0.02**2 * 0.5 + 0.02**2) ** 0.5
        assert (noisy - clean).std(dim=(2, 3)).flatten().tolist() == pytest.approx(
            [expected] * 3, rel=0.04
        )


def test_two_photos_of_one_name_are_not_one(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    both = (photos / "a/1.png", photos / "b/1.png")
    assert run(*both, "--output", tmp_path / "pairs", "--json") == 1
    captured = capsys.readouterr()
    found = json.loads(captured.out)["results"]
    assert [each["status"] for each in found] == ["done", "failed"]
    assert "has that name already" in captured.err
    assert np.unique(read_image(tmp_path / "pairs/clean/1.png")).tolist() == [90]


def test_what_cannot_be_simulated_is_named(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = ("--output", tmp_path / "pairs")
    for flags, reason in (
        (("--iso", 800), "--camera-name with --iso"),
        (("--camera-name", "Nikon D9999", "--iso", 800), "Nikon D9999"),
        (("--camera-name", "Nikon D800", "--iso", -100), "--iso -100: must be"),
        (("--shot", "nan", "--read", 0.1), "--shot nan: must be"),
        (("--shot", 0.1, "--read", -1), "--read -1: must be"),
        (("--shot", 1e20, "--read", 0), "--shot 1e+20: must be a standard deviation, 0 to 10"),
        (("--camera-name", "Nikon D800", "--iso", 1e30), "above 0 and up to 10,000,000"),
    ):
        assert run(photos, *output, *flags) == 2
        assert reason in capsys.readouterr().err
    (photos / "a/1.png").write_bytes(b"no photo")
    assert run(photos, *output) == 1
    assert "a/1.png" in capsys.readouterr().err


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        RuntimeError(
            "[enforce fail at alloc_cpu.cpp:126] DefaultCPUAllocator: can't allocate "
            "memory: you tried to allocate 800000000000 bytes."
        ),
    ],
    ids=["Python", "PyTorch"],
)
def test_a_photo_that_memory_does_not_hold_is_named_and_the_others_done(
    photos: Path,
    tmp_path: Path,
    error: Exception,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    calls = []

    def photograph(*given: Any, **options: Any) -> Any:
        calls.append(given)
        if len(calls) == 1:
            raise error
        return simulate(*given, **options)

    monkeypatch.setattr("aindnet.camera.simulate", photograph)
    assert run(photos, "--output", tmp_path / "pairs", "--json") == 1
    captured = capsys.readouterr()
    found = json.loads(captured.out)["results"]
    assert [each["status"] for each in found] == ["failed", "done"]
    assert f"{photos}/a/1.png: not enough memory for a photo of this size; crop" in captured.err


def test_other_errors_are_not_taken_for_memory(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def photograph(*_: Any, **__: Any) -> Any:
        raise RuntimeError("index out of range")

    monkeypatch.setattr("aindnet.camera.simulate", photograph)
    with pytest.raises(RuntimeError, match="index out of range"):
        main(["simulate", str(photos), "--output", str(tmp_path / "pairs")])


def test_a_photo_of_nan_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, np.full((16, 16, 3), np.nan, np.float32), photometric="rgb")
    assert run(path, "--output", tmp_path / "pairs") == 1
    assert capsys.readouterr().err.startswith(f"aindnet: {path}: ")


@pytest.mark.parametrize("frames", [1, 2])
def test_a_run_that_is_stopped_leaves_no_noise_beside_another_s_level(
    tmp_path: Path, frames: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_image(tmp_path / "a.png", np.full((16, 16, 3), 90, np.uint8))
    call = (tmp_path / "a.png", "--output", tmp_path / "out", "--frames", frames, "--overwrite")
    assert run(*call) == 0

    def stopped(path: Path, image: Any) -> None:
        write_image(path, image)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("aindnet.photo.write_image", stopped)
        assert run(*call, "--seed", 1) == 130
    assert {path.suffix for path in (tmp_path / "out").rglob("*.*")} == {".png"}
    assert not (tmp_path / "out/clean").exists()
    assert run(*call) == 0
    assert (tmp_path / "out/clean/a.png").is_file()


def test_paths_that_cannot_be_reached_are_named_and_the_others_done(
    photos: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    scandir = os.scandir

    def closed(path: str) -> Any:
        if Path(path) == photos / "b":
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", closed)
    long = tmp_path / ("n" * 300 + ".png")
    assert run(long, photos, "--output", tmp_path / "pairs", "--json") == 1
    captured = capsys.readouterr()
    found = json.loads(captured.out)["results"]
    assert sorted((Path(each["input"]), each["status"]) for each in found) == sorted(
        [(long, "failed"), (photos / "b", "failed"), (photos / "a/1.png", "done")]
    )
    assert "File name too long" in captured.err
    assert "b: Permission denied" in captured.err


def test_a_burst_is_one_scene_by_one_camera_with_new_noise_in_every_frame(
    tmp_path: Path,
) -> None:
    photo = tmp_path / "ramp.png"
    write_image(photo, np.tile(np.linspace(20, 230, 96).astype(np.uint8)[:, None], (96, 1, 3)))
    output = tmp_path / "burst"
    weak = ("--shot", 0.02, "--read", 0.005)  # else clipping, the same in every frame, is seen
    assert run(photo, "--output", output, "--frames", 6, *weak) == 0
    frames = [read_image(path).astype(float) for path in sorted((output / "noisy/ramp").iterdir())]
    assert len(frames) == 6
    noise = np.array(frames) - read_image(output / "clean/ramp.png")
    deviations = noise.std(axis=(1, 2, 3))
    assert deviations.max() < 1.15 * deviations.min()  # of one camera
    correlation = np.corrcoef(noise.reshape(6, -1))
    assert np.abs(correlation[np.triu_indices(6, 1)]).max() < 0.2  # each frame's own
    assert read_image(output / "noise-level/ramp.tif").mean() * 255 == pytest.approx(
        deviations.mean(), rel=0.25
    )


def test_one_camera_takes_all_photos(tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    for name in "abcd":
        write_image(photos / f"{name}.png", np.full((64, 64, 3), 120, np.uint8))
    deviations = {}
    for flags in ((), ("--one-camera",)):
        output = tmp_path / f"pairs{len(flags)}"
        assert run(photos, "--output", output, "--seed", 1, *flags) == 0
        noisy = np.array([read_image(p) for p in sorted((output / "noisy").iterdir())], float)
        assert len({photo.tobytes() for photo in noisy}) == 4
        deviations[len(flags)] = noisy.std(axis=(1, 2, 3))
    assert deviations[1].max() < 1.2 * deviations[1].min()
    assert deviations[0].max() > 1.5 * deviations[0].min()
