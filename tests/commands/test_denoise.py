"""`aindnet denoise` from the command line in: outputs, exit codes, JSON, errors, resume."""

from __future__ import annotations

import errno
import fcntl
import io
import json
import os
import signal
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image, ImageCms

from aindnet.commands import denoise as command
from aindnet.commands.app import main
from aindnet.commands.batch.jobs import Refused
from aindnet.commands.batch.manifest import MANIFEST_NAME, Manifest
from aindnet.commands.batch.progress import RunProgress
from aindnet.commands.batch.runner import BatchRunner
from aindnet.commands.batch.settings import Settings
from aindnet.errors import AindnetError, InvalidImageError
from aindnet.photo import read_image, write_image
from aindnet.photo.atomic import AtomicFile
from aindnet.photo.colour_codes import make_profile
from denoise_stand_ins import NOISE_LEVEL, StandInDenoiser


@pytest.fixture(autouse=True)
def stand_in(monkeypatch: pytest.MonkeyPatch) -> StandInDenoiser:
    denoiser = StandInDenoiser()
    monkeypatch.setattr(command, "_load", lambda *_: denoiser)
    return denoiser


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    generator = np.random.default_rng(1)
    folder = tmp_path / "photos"
    (folder / "sub").mkdir(parents=True)
    for name in ("a.png", "b.jpg", "sub/c.tif", "sub/d.webp"):
        write_image(folder / name, generator.integers(0, 256, (40, 60, 3), dtype=np.uint8))
    return folder


def run(*arguments: str | Path) -> int:
    with pytest.raises(SystemExit) as stopped:
        main([str(each) for each in arguments])
    return int(stopped.value.code or 0)


def run_json(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> tuple[int, Any]:
    capsys.readouterr()
    code = run(*arguments, "--json")
    return code, json.loads(capsys.readouterr().out)


def visible(folder: Path) -> list[str]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return sorted(str(path.relative_to(folder)) for path in files if path.name[0] != ".")


def test_one_photo_goes_beside_its_input(photos: Path) -> None:
    before = (photos / "a.png").read_bytes()
    assert run("denoise", photos / "a.png") == 0
    noisy = read_image(photos / "a.png").astype(np.float64)
    expected = np.rint(noisy + 0.1 * (127.5 - noisy))
    assert np.abs(read_image(photos / "a.denoised.png") - expected).max() <= 1
    assert (photos / "a.png").read_bytes() == before


def test_output_can_be_a_file_or_a_folder(photos: Path, tmp_path: Path) -> None:
    assert run("denoise", photos / "a.png", "--output", tmp_path / "x.tif") == 0
    assert run("denoise", photos / "a.png", photos / "b.jpg", "--output", tmp_path / "out") == 0
    assert read_image(tmp_path / "x.tif").shape == (40, 60, 3)
    assert visible(tmp_path / "out") == ["a.png", "b.jpg"]


def test_a_folder_is_mirrored(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (photos / "notes.txt").write_text("no photo")
    code, document = run_json(capsys, "denoise", photos, "--output", tmp_path / "out")
    assert code == 0
    assert visible(tmp_path / "out") == ["a.png", "b.jpg", "sub/c.tif", "sub/d.webp"]
    assert [result["status"] for result in document["results"]] == ["done"] * 4
    first = document["results"][0]
    assert first["input"] == str(photos / "a.png")
    assert first["output"] == str(tmp_path / "out" / "a.png")
    assert first["noise_level"] == pytest.approx(NOISE_LEVEL)
    assert first["error"] is None


def test_a_folder_without_output_leaves_its_own_results_alone(photos: Path) -> None:
    assert run("denoise", photos) == 0
    assert run("denoise", photos, "--overwrite") == 0
    assert len(visible(photos)) == 8


def test_noise_map_and_compare_sheet(photos: Path) -> None:
    assert run("denoise", photos / "a.png", "--noise-map", "--compare") == 0
    noise = read_image(photos / "a.noise.png")
    assert noise.shape == (40, 60, 3)
    assert np.unique(noise).tolist() == [round(NOISE_LEVEL / 0.25 * 255)]
    sheet = read_image(photos / "a.compare.png")
    np.testing.assert_array_equal(sheet[:40, :60], read_image(photos / "a.png"))
    np.testing.assert_array_equal(sheet[:40, 68:128], read_image(photos / "a.denoised.png"))


def test_what_stands_where_a_map_would_is_found_before_the_work(
    photos: Path, stand_in: StandInDenoiser, capsys: pytest.CaptureFixture[str]
) -> None:
    (photos / "a.noise.png").write_bytes(b"mine")
    before = stand_in.seen
    assert run("denoise", photos / "a.png", "--noise-map") == 1
    assert "a.noise.png" in capsys.readouterr().err
    assert stand_in.seen == before
    assert (photos / "a.noise.png").read_bytes() == b"mine"
    assert "a.denoised.png" not in visible(photos)


def test_the_choice_of_backend_is_said(photos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, document = run_json(capsys, "denoise", photos / "a.png")
    assert code == 0
    assert [document[each] for each in ("backend", "device", "precision")] == [
        StandInDenoiser.backend,
        StandInDenoiser.device,
        StandInDenoiser.precision,
    ]


@pytest.mark.parametrize("gamma", [None, 1.8])
def test_the_compare_sheet_of_a_wide_gamut_is_srgb(tmp_path: Path, gamma: float | None) -> None:
    display_p3 = (0.680, 0.320, 0.265, 0.690, 0.150, 0.060, 0.3127, 0.3290)
    profile = make_profile(display_p3, gamma)
    assert profile is not None
    samples = np.random.default_rng(1).integers(90, 170, (40, 60, 3), dtype=np.uint8)
    photo = Image.fromarray(samples)
    photo.save(tmp_path / "a.png", icc_profile=profile)
    assert run("denoise", tmp_path / "a.png", "--compare") == 0
    seen = ImageCms.profileToProfile(
        photo, ImageCms.ImageCmsProfile(io.BytesIO(profile)), ImageCms.createProfile("sRGB")
    )
    with Image.open(tmp_path / "a.compare.png") as sheet:
        assert "icc_profile" not in sheet.info
        difference = np.asarray(sheet)[:40, :60].astype(int) - np.asarray(seen)
    assert np.abs(difference).max() <= 2


def test_same_names_keep_pictures_of_their_own(photos: Path) -> None:
    write_image(photos / "a.jpg", np.zeros((20, 20, 3), np.uint8))
    assert run("denoise", photos / "a.png", photos / "a.jpg", "--noise-map") == 0
    assert {"a.png.noise.png", "a.jpg.noise.png"} <= set(visible(photos))


def test_strength_zero_is_the_input(photos: Path) -> None:
    assert run("denoise", photos / "sub" / "c.tif", "--strength", "0") == 0
    np.testing.assert_array_equal(
        read_image(photos / "sub" / "c.denoised.tif"), read_image(photos / "sub" / "c.tif")
    )


BAD = {
    "empty.png": b"",
    "text.jpg": b"this is no photo\n" * 20,
    "cut.png": b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0",
}


def test_bad_inputs_are_named_and_the_others_done(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, content in BAD.items():
        (tmp_path / name).write_bytes(content)
    whole = (photos / "b.jpg").read_bytes()
    (tmp_path / "half.jpg").write_bytes(whole[: len(whole) // 2])
    bad = [*BAD, "half.jpg", "nowhere.png"]
    inputs = [*(tmp_path / name for name in bad), tmp_path / "no-folder", photos / "a.png"]
    code = run("denoise", *inputs, "--output", tmp_path / "out")
    lines = capsys.readouterr().err.splitlines()
    assert code == 1
    for name in [*bad, "no-folder"]:
        assert len([line for line in lines if name in line]) == 1, name
    assert visible(tmp_path / "out") == ["a.png"]
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["a.png"]


def test_paths_that_cannot_be_reached_are_named_and_the_others_done(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    long = "n" * 300  # pathlib's tests raise for it, as for a folder without permission
    inputs = [tmp_path / f"{long}.png", photos / "a.png"]
    code, document = run_json(capsys, "denoise", *inputs, "--output", tmp_path / "out")
    assert code == 1
    assert [result["status"] for result in document["results"]] == ["failed", "done"]
    assert "File name too long; check the path" in document["results"][0]["error"]
    for output in (tmp_path / long, tmp_path / long / "x.png"):
        code, document = run_json(capsys, "denoise", photos / "a.png", "--output", output)
        assert code == 1
        assert "choose another --output" in document["results"][0]["error"]


@pytest.mark.parametrize("flags", [[], ["--noise-map", "--output", "out"]])
def test_a_name_that_is_too_long_is_found_before_the_work(
    tmp_path: Path,
    stand_in: StandInDenoiser,
    flags: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    name = f"{'n' * 250}.png"
    write_image(name, np.zeros((16, 16, 3), np.uint8))
    assert run("denoise", name, *flags) == 1
    assert "File name too long; choose another --output" in capsys.readouterr().err
    assert stand_in.seen == 0
    assert os.listdir(tmp_path) == [name]


def test_unwritable_output_is_named(photos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    blocked = photos / "a.png" / "out"  # a file where a folder should be
    assert run("denoise", photos / "b.jpg", "--output", blocked) == 1
    assert "a.png" in capsys.readouterr().err


def test_existing_output_is_kept(photos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (photos / "a.denoised.png").write_bytes(b"mine")
    assert run("denoise", photos / "a.png") == 1
    assert "--overwrite" in capsys.readouterr().err
    assert (photos / "a.denoised.png").read_bytes() == b"mine"
    assert run("denoise", photos / "a.png", "--overwrite") == 0
    assert read_image(photos / "a.denoised.png").shape == (40, 60, 3)


def test_inputs_are_never_written_over(photos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = (photos / "a.png").read_bytes()
    assert run("denoise", photos / "a.png", "--output", photos, "--overwrite") == 1
    assert "never changed" in capsys.readouterr().err
    assert (photos / "a.png").read_bytes() == before


@pytest.mark.parametrize(
    "arguments",
    [
        ["--strength", "1.5"],
        ["--jobs", "0"],
        ["--pixel-limit", "-1"],
        ["--backend", "abacus"],
        ["--no-such-flag"],
    ],
)
def test_wrong_usage_is_exit_code_2(photos: Path, arguments: list[str]) -> None:
    assert run("denoise", photos / "a.png", *arguments) == 2
    assert visible(photos) == ["a.png", "b.jpg", "sub/c.tif", "sub/d.webp"]


@pytest.mark.parametrize(("model", "least"), [("aindnet-fast", 384), ("aindnet-medium", 576)])
def test_tiles_too_small_for_the_model_are_wrong_usage(
    photos: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    model: str,
    least: int,
) -> None:
    monkeypatch.undo()
    assert run("denoise", photos / "a.png", "--model", model, "--tile", "0") == 2
    said = f"aindnet: --tile 0: must be at least {least} pixels"
    assert capsys.readouterr().err.startswith(said)


def test_unknown_model_is_one_line(
    photos: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.undo()
    assert run("denoise", photos / "a.png", "--model", "no-such-model") == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1
    assert "no-such-model" in lines[0]


def test_camera_is_loaded(
    photos: Path, stand_in: StandInDenoiser, monkeypatch: pytest.MonkeyPatch
) -> None:
    import aindnet.restore

    class Loader:
        @staticmethod
        def from_pretrained(model: str | None, **options: Any) -> StandInDenoiser:
            assert (model, options["device"], options["tile"]) == ("small", "cpu", 384)
            return stand_in

    monkeypatch.undo()
    monkeypatch.setattr(aindnet.restore, "Denoiser", Loader)
    profile = photos / "camera.safetensors"
    profile.write_bytes(b"profile")
    flags = ["--model", "small", "--device", "cpu", "--tile", "384", "--camera", profile]
    assert run("denoise", photos / "a.png", *flags) == 0
    assert stand_in.cameras == [profile]


def test_resume_skips_what_is_done_and_redoes_what_is_not(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    call = ["denoise", photos, "--output", out, "--resume"]
    statuses = []
    for change in (None, None, "output", "strength"):
        if change == "output":
            (out / "a.png").unlink()
        if change == "strength":
            call += ["--strength", "0.5"]
        code, document = run_json(capsys, *call)
        assert code == 0
        statuses.append([result["status"][0] for result in document["results"]])
    assert statuses == [list("dddd"), list("ssss"), list("dsss"), list("dddd")]


def test_resume_keeps_the_result_of_a_photo_whose_name_another_one_has_now(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As on a memory card that is used again, whose camera counts from the beginning."""
    out = tmp_path / "out"
    call = ["denoise", photos, "--output", out, "--resume"]
    assert run(*call) == 0
    before = (out / "b.jpg").read_bytes()
    write_image(photos / "b.jpg", np.full((30, 30, 3), 9, np.uint8))
    code, document = run_json(capsys, *call)
    assert code == 1
    assert [result["status"][0] for result in document["results"]] == list("sfss")
    error = document["results"][1]["error"]
    assert f"is the result of {photos / 'b.jpg'} as it was before" in error
    assert "--overwrite" in error
    assert (out / "b.jpg").read_bytes() == before
    code, document = run_json(capsys, *call, "--overwrite")
    assert code == 0
    assert [result["status"][0] for result in document["results"]] == list("sdss")
    assert read_image(out / "b.jpg").shape == (30, 30, 3)


def test_a_damaged_record_and_one_of_a_later_version_are_read_as_far_as_they_go(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    call = ["denoise", photos, "--output", tmp_path / "out", "--resume"]
    assert run(*call) == 0
    record = tmp_path / "out" / MANIFEST_NAME
    lines = [json.loads(line) | {"later": 1} for line in record.read_text().splitlines() if line]
    damaged = ['{"file": ["a.png"], "sha256": "x"}', 100_000 * "[", "[1]", '{"output": 1}', "7"]
    record.write_text("\n".join([*damaged, *map(json.dumps, lines), ""]))
    code, document = run_json(capsys, *call)
    assert code == 0
    assert [result["status"][0] for result in document["results"]] == list("ssss")


def test_resume_makes_a_lost_noise_map_again(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    call = ["denoise", photos, "--output", tmp_path / "out", "--resume", "--noise-map"]
    assert run(*call) == 0
    (tmp_path / "out/a.noise.png").unlink()
    _, document = run_json(capsys, *call)
    assert [result["status"][0] for result in document["results"]] == list("dsss")
    assert (tmp_path / "out/a.noise.png").is_file()


def test_resume_makes_a_lost_noise_map_of_a_later_page_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pages = np.zeros((2, 16, 16, 3), np.uint8)
    tifffile.imwrite(tmp_path / "a.tif", pages, photometric="rgb")
    call = ["denoise", tmp_path / "a.tif", "--output", tmp_path / "out", "--resume", "--noise-map"]
    assert run(*call) == 0
    _, document = run_json(capsys, *call)
    assert document["results"][0]["status"] == "skipped"
    (tmp_path / "out/a.page-2.noise.png").unlink()
    _, document = run_json(capsys, *call)
    assert document["results"][0]["status"] == "done"
    assert (tmp_path / "out/a.page-2.noise.png").is_file()


def test_a_record_that_the_disk_has_no_room_for_is_named(
    photos: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    write = os.write

    def half(descriptor: int, data: Any) -> int:
        part = data[: len(data) // 2] if b"noise_level" in bytes(data[:500]) else data
        return write(descriptor, part)

    call = ["denoise", photos / "a.png", "--output", tmp_path / "out", "--resume"]
    with monkeypatch.context() as full:
        full.setattr(os, "write", half)
        assert run(*call) == 1
    said = f"{MANIFEST_NAME}: cannot be written (No space left on device); free some space"
    assert said in capsys.readouterr().err
    assert run(*call) == 0


def test_resume_keeps_a_result_that_was_changed(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    call = ["denoise", photos, "--output", out, "--resume"]
    assert run(*call) == 0
    (out / "a.png").write_bytes(b"retouched")
    code, document = run_json(capsys, *call, "--strength", "0.5")
    assert code == 1
    assert [result["status"][0] for result in document["results"]] == list("fddd")
    assert "a.png: was changed since" in document["results"][0]["error"]
    assert "--overwrite" in document["results"][0]["error"]
    assert (out / "a.png").read_bytes() == b"retouched"
    _, document = run_json(capsys, *call, "--strength", "0.5", "--overwrite")
    assert [result["status"][0] for result in document["results"]] == list("dsss")


def test_resume_keeps_a_picture_beside_a_result_that_no_run_made(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    call = ["denoise", photos, "--output", out, "--resume"]
    assert run(*call) == 0
    (out / "a.noise.png").write_bytes(b"mine")
    _, document = run_json(capsys, *call, "--noise-map")
    assert [result["status"][0] for result in document["results"]] == list("fddd")
    assert (out / "a.noise.png").read_bytes() == b"mine"


def test_resume_keeps_a_file_where_an_earlier_run_failed_to_save(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_space(_: AtomicFile) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    call = ["denoise", photos, "--output", tmp_path / "out", "--resume"]
    with monkeypatch.context() as full:
        full.setattr(AtomicFile, "_link", no_space)
        assert run(*call) == 1
    own = tmp_path / "out/a.png"
    own.write_bytes(b"mine")
    assert run(*call) == 1
    assert own.read_bytes() == b"mine"


def test_resume_does_a_photo_again_whose_run_was_killed_before_it_was_recorded(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: object, **__: object) -> None:
        raise RuntimeError

    call = ["denoise", photos, "--output", tmp_path / "out", "--resume", "--noise-map"]
    with monkeypatch.context() as early:
        early.setattr(Manifest, "finish", killed)
        assert run(*call) == 1
    assert (tmp_path / "out/a.png").is_file()
    assert run(*call) == 0


def test_resume_keeps_a_result_that_changes_while_it_is_made_again(
    photos: Path, tmp_path: Path, stand_in: StandInDenoiser, monkeypatch: pytest.MonkeyPatch
) -> None:
    call = ["denoise", photos, "--output", tmp_path / "out", "--resume"]
    assert run(*call) == 0
    own = tmp_path / "out/a.png"
    bands = stand_in.bands

    def meanwhile(source: Any, **options: Any) -> Any:
        own.write_bytes(b"retouched")
        return bands(source, **options)

    monkeypatch.setattr(stand_in, "bands", meanwhile)
    assert run(*call, "--strength", "0.5") == 1
    assert own.read_bytes() == b"retouched"


def test_resume_keeps_the_results_of_another_folder(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other, out = tmp_path / "other", tmp_path / "out"
    other.mkdir()
    write_image(other / "a.png", np.full((40, 60, 3), 9, np.uint8))
    flags = ("--output", out, "--resume", "--noise-map")
    assert run("denoise", photos, *flags) == 0
    before = (out / "a.png").read_bytes()
    code, document = run_json(capsys, "denoise", other, *flags)
    assert code == 1
    said = f"{out / 'a.png'}: is the result of {photos / 'a.png'}; choose another --output"
    assert document["results"][0]["error"].startswith(said)
    assert (out / "a.png").read_bytes() == before
    (out / "a.png").unlink()  # nor its noise map, where nothing is in the way of the photo
    _, document = run_json(capsys, "denoise", other, *flags)
    assert "a.noise.png: is the result of" in document["results"][0]["error"]
    assert run("denoise", other, *flags, "--overwrite") == 0
    _, document = run_json(capsys, "denoise", photos, *flags)
    assert [result["status"][0] for result in document["results"]] == list("fsss")


def test_resume_goes_on_with_a_folder_that_was_moved(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = ("--output", tmp_path / "out", "--resume")
    assert run("denoise", photos, *flags) == 0
    moved = photos.rename(tmp_path / "moved")
    _, document = run_json(capsys, "denoise", moved, *flags)
    assert [result["status"][0] for result in document["results"]] == list("ssss")
    assert run("denoise", moved, *flags, "--strength", "0.5") == 0


def test_resume_reads_records_that_do_not_say_of_what_a_file_is(
    photos: Path, tmp_path: Path
) -> None:
    flags = ("--output", tmp_path / "out", "--resume")
    assert run("denoise", photos, *flags) == 0
    record = tmp_path / "out" / MANIFEST_NAME
    lines = [json.loads(line) for line in record.read_text().splitlines() if line]
    made = [{key: line[key] for key in ("file", "sha256")} for line in lines if "file" in line]
    assert len(made) == 4
    record.write_text("".join(json.dumps(line) + "\n" for line in made))
    assert run("denoise", photos.rename(tmp_path / "moved"), *flags) == 0


def test_resume_finds_pictures_that_were_named_in_a_call_with_other_photos(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    call = ("denoise", photos, "--output", tmp_path / "out", "--resume", "--noise-map")
    assert run(*call) == 0
    (photos / "a.jpg").write_bytes((photos / "b.jpg").read_bytes())
    _, document = run_json(capsys, *call)
    assert [result["status"][0] for result in document["results"]] == list("dssss")
    (photos / "a.png").rename(tmp_path / "a.png")
    _, document = run_json(capsys, *call)  # a.noise.png is there, and is the other's
    assert [result["status"][0] for result in document["results"]] == list("ssss")
    (tmp_path / "out/a.jpg.noise.png").unlink()
    (tmp_path / "a.png").rename(photos / "a.png")
    _, document = run_json(capsys, *call)
    assert [result["status"][0] for result in document["results"]] == list("dssss")


@pytest.mark.parametrize(("first", "second"), [("", "sub"), ("sub", "")])
def test_resume_names_the_record_of_a_run_over_other_folders(
    photos: Path,
    tmp_path: Path,
    first: str,
    second: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = tmp_path / "out"
    assert run("denoise", photos / first, "--output", out / first, "--resume") == 0
    code, document = run_json(
        capsys, "denoise", photos / second, "--output", out / second, "--resume"
    )
    assert code == 1
    errors = [each["error"] for each in document["results"] if each["status"] == "failed"]
    assert len(errors) == 2
    assert all(f"there is one in {out / first}: resume that run" in error for error in errors)


def test_resume_of_a_single_photo_says_that_there_is_no_record(
    photos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("denoise", photos / "a.png") == 0
    capsys.readouterr()
    assert run("denoise", photos / "a.png", "--resume") == 1
    error = capsys.readouterr().err
    assert "a.denoised.png: exists already, and is in no record of an earlier run" in error
    assert "pass --overwrite" in error


def test_without_locks_a_run_says_so_and_goes_on(
    photos: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def no_locks(*_: object) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "lockf", no_locks)
    code = run("denoise", photos, "--output", tmp_path / "out")
    assert code == 0
    assert visible(tmp_path / "out") == ["a.png", "b.jpg", "sub/c.tif", "sub/d.webp"]
    assert capsys.readouterr().err.count("cannot be locked (No locks available)") == 1


def test_resume_does_not_take_over_foreign_files(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "a.png").write_bytes(b"mine")
    code, document = run_json(capsys, "denoise", photos, "--output", out, "--resume")
    assert code == 1
    assert [result["status"] for result in document["results"]] == ["failed"] + ["done"] * 3
    assert (out / "a.png").read_bytes() == b"mine"


def test_odd_names(photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names = ["new\nline.png", os.fsdecode(b"latin-\xe9.png"), "p[1].png", "-dash.png", " .png"]
    folder = tmp_path / "odd"
    folder.mkdir()
    for name in names:
        (folder / name).write_bytes((photos / "a.png").read_bytes())
    code, document = run_json(capsys, "denoise", folder, "--output", tmp_path / "out")
    assert code == 0
    assert set(names) < set(os.listdir(tmp_path / "out"))
    assert {Path(result["input"]).name for result in document["results"]} == set(names)


def test_folders_linked_in_a_circle(photos: Path, tmp_path: Path) -> None:
    (photos / "sub" / "up").symlink_to(photos)
    (photos / "self.png").symlink_to("self.png")
    assert run("denoise", photos, "--output", tmp_path / "out") == 1  # self.png can't be opened
    assert visible(tmp_path / "out") == ["a.png", "b.jpg", "sub/c.tif", "sub/d.webp"]


def test_a_pipe_is_no_photo(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    assert run("denoise", tmp_path / "pipe.png") == 1
    assert "not a file" in capsys.readouterr().err


def test_pixel_limit(photos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("denoise", photos / "a.png", "--pixel-limit", "0.001") == 1
    assert "--pixel-limit" in capsys.readouterr().err
    assert run("denoise", photos / "a.png", "--pixel-limit", "0") == 0


def test_an_error_about_a_picture_names_its_file(
    photos: Path, stand_in: StandInDenoiser, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(source: Any, **options: Any) -> Any:
        raise InvalidImageError("this model is for grey photos only, and the image has colour")

    stand_in.bands = refuse  # type: ignore[method-assign]
    code, document = run_json(capsys, "denoise", photos / "a.png")
    assert code == 1
    assert document["results"][0]["error"].startswith(f"{photos / 'a.png'}: this model is for grey")


def test_a_folder_with_a_pipe_in_it_does_not_hang(
    photos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    os.mkfifo(photos / "pipe.png")
    assert run("denoise", photos) == 1
    assert "pipe.png: not a file" in capsys.readouterr().err
    assert "a.denoised.png" in visible(photos)


@pytest.mark.parametrize("limit", ["inf", "nan", "-1"])
def test_a_pixel_limit_that_is_none_is_refused(
    photos: Path, limit: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("denoise", photos / "a.png", f"--pixel-limit={limit}") == 2
    assert "must be megapixels, or 0 for none" in capsys.readouterr().err


def test_seconds_are_a_photo_s_own(
    photos: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Waiting for the photos before it is none of a photo's time."""
    slow = StandInDenoiser(seconds_per_band=0.2)
    monkeypatch.setattr(command, "_load", lambda *_: slow)
    _, document = run_json(capsys, "denoise", photos, "--jobs", "4")
    seconds = [result["seconds"] for result in document["results"]]
    assert len(seconds) == 4
    assert min(seconds) >= 0.2
    assert max(seconds) < 2.5 * min(seconds)


def test_a_picture_of_a_later_page_does_not_replace_an_input(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pages = [np.full((16, 16, 3), 30 * k, np.uint8) for k in (1, 2)]
    tifffile.imwrite(tmp_path / "a.tif", np.stack(pages), photometric="rgb")
    other = tmp_path / "a.page-2.noise.png"
    write_image(other, pages[0])
    before = other.read_bytes()
    code, document = run_json(
        capsys, "denoise", tmp_path / "a.tif", other, "--noise-map", "--overwrite"
    )
    assert code == 1
    assert other.read_bytes() == before
    assert "is an input" in document["results"][0]["error"]


@pytest.mark.parametrize(
    ("can_resume", "said"), [(True, "--resume goes on"), (False, "those without a result")]
)
def test_a_stopped_run_says_how_to_go_on(
    can_resume: bool, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    RunProgress([]).summary([], interrupted=True, can_resume=can_resume)
    assert said in capsys.readouterr().err


def test_what_is_being_saved_at_an_interrupt_is_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    def save(self: BatchRunner, task: object) -> object:
        time.sleep(0.5)  # until the run waits for it
        os.kill(os.getpid(), signal.SIGINT)
        for _ in range(300):  # a busy machine comes to it late
            if runner.interrupted:
                break
            time.sleep(0.1)
        return task

    monkeypatch.setattr(BatchRunner, "_save", save)
    runner = BatchRunner(StandInDenoiser(), Settings(), RunProgress([]))
    refused = Refused(Path("a.jpg"), AindnetError("no photo"))
    # Tests that run in the background may have been started with the signal ignored.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        outcomes = runner.run([refused, refused])
    finally:
        signal.signal(signal.SIGINT, before)
    assert runner.interrupted
    assert [outcome.error for outcome in outcomes] == ["no photo"]
