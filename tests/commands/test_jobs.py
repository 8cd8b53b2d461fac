"""Which files of a folder are photos to denoise, and which are refused at once."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from aindnet.commands.batch import jobs as jobs_module
from aindnet.commands.batch.jobs import Job, Refused, find_jobs, made_here
from aindnet.commands.batch.names import tells_apart
from aindnet.errors import AindnetError


def put(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).write_bytes(b"\xff\xd8\xff")


@pytest.mark.parametrize(
    ("original", "result"),
    [
        ("a.jpg", "a.denoised.jpg"),
        ("a.NEF", "a.denoised.tif"),
        ("a.jpg", "a.noise.png"),
        ("a.JPG", "a.compare.png"),
        ("a.nef", "a.noise.png"),
        ("a.tif", "a.page-2.noise.png"),
        ("a.jpg", "a.jpg.compare.png"),
        ("a.nef", "a.tif.noise.png"),
        ("a.b.jpg", "a.b.denoised.jpg"),
    ],
)
def test_results_are_known_by_the_original_beside_them(
    tmp_path: Path, original: str, result: str
) -> None:
    put(tmp_path, result)
    assert not made_here(tmp_path / result)
    put(tmp_path, original)
    assert made_here(tmp_path / result)
    assert not made_here(tmp_path / original)


def test_photos_that_are_only_named_like_results_are_denoised(tmp_path: Path) -> None:
    mine = ("family.compare.jpg", "holiday.noise.png", "old.denoised.jpg")
    put(tmp_path, *mine, "family.jpg", "new.jpg", "new.denoised.jpg")
    jobs = [job for job in find_jobs([tmp_path], None) if isinstance(job, Job)]
    assert {job.input.name for job in jobs} == {*mine, "family.jpg", "new.jpg"}


def test_a_pipe_is_named_and_never_opened(tmp_path: Path) -> None:
    put(tmp_path, "a.jpg")
    os.mkfifo(tmp_path / "pipe.jpg")
    for inputs in ([tmp_path], [tmp_path / "a.jpg", tmp_path / "pipe.jpg"]):
        photo, pipe = find_jobs(inputs, None)
        assert isinstance(photo, Job)
        assert isinstance(pipe, Refused)
        assert "pipe.jpg: not a file" in str(pipe.error)


def test_a_name_that_no_image_is_written_as_makes_no_folder(tmp_path: Path) -> None:
    put(tmp_path, "a.jpg")
    (refused,) = find_jobs([tmp_path / "a.jpg"], tmp_path / "result.bmp")
    assert isinstance(refused, Refused)
    assert "no image is written as '.bmp'" in str(refused.error)
    (job,) = find_jobs([tmp_path / "a.jpg"], tmp_path / "out.v2")
    assert isinstance(job, Job)
    assert job.output == tmp_path / "out.v2/a.jpg"


@pytest.mark.parametrize("name", ["typo.jpgg", "typo.jepg", "typo.JGP", "typo.tifff", "best.fit"])
def test_a_mistyped_name_for_one_photo_makes_no_folder(tmp_path: Path, name: str) -> None:
    put(tmp_path, "a.jpg", "b.jpg")
    (refused,) = find_jobs([tmp_path / "a.jpg"], tmp_path / name)
    assert isinstance(refused, Refused)
    assert "use one of .jpg .png" in str(refused.error)
    assert "or make a folder of that name first" in str(refused.error)
    assert len(find_jobs([tmp_path / "a.jpg", tmp_path / "b.jpg"], tmp_path / name)) == 2
    (tmp_path / name).mkdir()
    (job,) = find_jobs([tmp_path / "a.jpg"], tmp_path / name)
    assert isinstance(job, Job)


@pytest.mark.parametrize("name", ["2024.05.01", "holiday.v2", "trip.jp", "a.new", "a.tmp", "a.old"])
def test_folders_may_have_dots_in_their_names(tmp_path: Path, name: str) -> None:
    put(tmp_path, "a.jpg")
    (job,) = find_jobs([tmp_path / "a.jpg"], tmp_path / name)
    assert isinstance(job, Job)
    assert job.output == tmp_path / name / "a.jpg"


def test_a_file_is_no_folder_for_results(tmp_path: Path) -> None:
    put(tmp_path, "a.jpg", "Makefile")
    for inputs in ([tmp_path / "a.jpg"], [tmp_path]):
        with pytest.raises(AindnetError, match="Makefile: is a file, and not named as an image"):
            find_jobs(inputs, tmp_path / "Makefile")


def test_an_input_is_not_written_over_through_a_link(tmp_path: Path) -> None:
    for folder in ("orig", "pick"):
        (tmp_path / folder).mkdir()
    put(tmp_path / "orig", "x.png")
    (tmp_path / "pick/x.png").symlink_to("../orig/x.png")
    (refused,) = find_jobs([tmp_path / "pick"], tmp_path / "orig")
    assert isinstance(refused, Refused)
    assert "is an input" in str(refused.error)
    # A link that is no input is replaced, and what it leads to stays.
    (tmp_path / "out").mkdir()
    (tmp_path / "out/x.png").symlink_to("../orig/x.png")
    (job,) = find_jobs([tmp_path / "orig"], tmp_path / "out")
    assert isinstance(job, Job)


def test_pictures_beside_a_result_are_never_an_input_or_another_s_output(tmp_path: Path) -> None:
    put(tmp_path, "a.png", "a.noise.png")
    inputs = [tmp_path / "a.png", tmp_path / "a.noise.png"]
    assert all(isinstance(job, Job) for job in find_jobs(inputs, None))
    refused, job = find_jobs(inputs, None, ["noise"])
    assert isinstance(refused, Refused)
    assert "a.noise.png: is an input" in str(refused.error)
    assert isinstance(job, Job)
    for folder in ("x", "y"):
        (tmp_path / folder).mkdir()
    put(tmp_path / "x", "a.png")
    put(tmp_path / "y", "a.noise.png")
    job, refused = find_jobs(
        [tmp_path / "x/a.png", tmp_path / "y/a.noise.png"], tmp_path / "out", ["noise"]
    )
    assert isinstance(job, Job)
    assert isinstance(refused, Refused)
    assert "x/a.png is written there already" in str(refused.error)
    assert "apart, with another --output" in str(refused.error)


@pytest.mark.parametrize("name", ["out.jpg", "out.bmp"])
def test_several_inputs_are_not_written_to_one_name(tmp_path: Path, name: str) -> None:
    put(tmp_path, "a.png", "b.png")
    with pytest.raises(AindnetError, match="several inputs need a folder"):
        find_jobs([tmp_path / "a.png", tmp_path / "b.png"], tmp_path / name)
    with pytest.raises(AindnetError, match="photos of a folder need a folder"):
        find_jobs([tmp_path], tmp_path / name)
    (tmp_path / name).mkdir()
    assert len(find_jobs([tmp_path], tmp_path / name)) == 2


def test_a_photo_named_twice_is_one_job_and_hidden_folders_are_none(tmp_path: Path) -> None:
    put(tmp_path, "a.png")
    (tmp_path / ".thumbnails").mkdir()
    put(tmp_path / ".thumbnails", "t.png")
    (job,) = find_jobs([tmp_path, tmp_path / "a.png"], None, ["noise"])
    assert isinstance(job, Job)
    assert job.beside("noise").name == "a.noise.png"


def test_a_photo_that_is_named_like_a_result_shares_no_picture_with_another(tmp_path: Path) -> None:
    put(tmp_path, "a.jpg")
    (tmp_path / "other").mkdir()
    put(tmp_path / "other", "a.denoised.jpg")
    inputs = [tmp_path / "a.jpg", tmp_path / "other/a.denoised.jpg"]
    found = find_jobs(inputs, tmp_path / "out", ["noise"])
    names = [job.beside("noise").name for job in found if isinstance(job, Job)]
    assert names == ["a.noise.png", "a.denoised.noise.png"]


@pytest.mark.parametrize("names", [("IMG.JPG", "img.jpg"), ("\u00e9.jpg", "e\u0301.jpg")])
@pytest.mark.parametrize("apart", [True, False])
def test_names_that_some_disks_take_for_one_are_one_output_there(
    tmp_path: Path, names: tuple[str, str], apart: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs_module, "tells_apart", lambda folder: apart)
    for folder, name in zip("xy", names, strict=True):
        (tmp_path / folder).mkdir()
        put(tmp_path / folder, name)
    inputs = [tmp_path / folder / name for folder, name in zip("xy", names, strict=True)]
    first, second = find_jobs(inputs, tmp_path / "out", ["noise"])
    assert isinstance(first, Job)
    assert first.beside("noise").name == f"{names[0]}.noise.png"
    assert isinstance(second, Job) == apart
    if isinstance(second, Refused):
        assert f"x/{names[0]} is written there already, for names" in str(second.error)


def test_what_a_disk_takes_for_one_name_is_tried(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(tmp_path, "a.jpg")
    assert tells_apart(tmp_path / "not/there/yet") == (not (tmp_path / "A.jpg").exists())
    assert os.listdir(tmp_path) == ["a.jpg"]

    def of_ascii(name: str) -> str:
        return "".join(letter.upper() if letter.isascii() else letter for letter in name)

    for alike in (str.upper, of_ascii):  # as macOS does, as FAT may

        def is_there(path: Path, alike: Callable[[str], str] = alike) -> bool:
            return any(alike(each) == alike(path.name) for each in os.listdir(path.parent))

        monkeypatch.setattr(os.path, "lexists", is_there)
        assert not tells_apart(tmp_path)
