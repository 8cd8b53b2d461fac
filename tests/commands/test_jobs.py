"""Which files of a folder are photos to denoise, and which are refused at once."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from aindnet.commands.batch.jobs import Job, Refused, find_jobs, made_here


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
