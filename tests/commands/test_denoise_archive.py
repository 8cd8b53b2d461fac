"""Archives: killed and stopped runs, two runs at once, full disks, files that change meanwhile."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from aindnet.commands.batch.jobs import Job
from aindnet.commands.batch.runner import BatchRunner, Outcome
from aindnet.commands.batch.settings import Settings
from aindnet.photo import read_image, write_image
from denoise_stand_ins import StandInDenoiser

PROGRAM = """
import sys
sys.path.insert(0, {tests!r})
from denoise_stand_ins import StandInDenoiser
from PIL import Image
from aindnet.commands import denoise
denoise._load = lambda *_: StandInDenoiser(rows=10, seconds_per_band={seconds})
from aindnet.commands.app import main
main(sys.argv[1:])
"""


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    generator = np.random.default_rng(1)
    folder = tmp_path / "photos"
    folder.mkdir()
    kinds = ("png", "jpg", "tif")
    for number in range(9):
        image = generator.integers(0, 256, (60, 80, 3), dtype=np.uint8)
        write_image(folder / f"{number}.{kinds[number % 3]}", image)
    return folder


def start(*arguments: str | Path, seconds: float = 0.01) -> subprocess.Popen[bytes]:
    tests = str(Path(__file__).resolve().parents[1])
    program = PROGRAM.format(tests=tests, seconds=seconds)
    command = [sys.executable, "-c", program, "denoise", *map(str, arguments)]
    # A test run in the background hands an ignored SIGINT on to its children.
    return subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509
    )


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name[0] != "."}


def reference(photos: Path, tmp_path: Path) -> Path:
    """A folder with the results of a run that nothing happens to."""
    folder = tmp_path / "whole"
    folder.mkdir()
    for path in photos.iterdir():
        assert run_one(path, folder / path.name).status == "done"
    return folder


def wait_for(folder: Path, count: int) -> None:
    end = time.monotonic() + 60
    while time.monotonic() < end:
        if folder.is_dir() and len(content(folder)) >= count:
            return
        time.sleep(0.005)
    pytest.fail(f"{folder} never had {count} files")


SLOW = pytest.mark.slow


@pytest.mark.parametrize("after", [pytest.param(0, marks=SLOW), 2, pytest.param(5, marks=SLOW)])
def test_a_killed_run_leaves_whole_files_and_resumes_to_the_same(
    photos: Path, tmp_path: Path, after: int
) -> None:
    whole, out = reference(photos, tmp_path), tmp_path / "out"
    run = start(photos, "--output", out, "--noise-map")
    wait_for(out, 2 * after)
    if not after:
        time.sleep(0.3)
    run.kill()
    run.communicate()
    expected = content(whole)
    if out.is_dir():
        for path in out.iterdir():  # nothing but whole results and the record
            if path.name == ".aindnet-manifest.jsonl" or path.name.endswith(".noise.png"):
                continue
            assert path.read_bytes() == expected[path.name]
    again = start(photos, "--output", out, "--noise-map", "--resume", "--json", seconds=0)
    document = json.loads(again.communicate()[0])
    assert again.returncode == 0
    statuses = {result["status"] for result in document["results"]}
    assert statuses <= {"done", "skipped"}
    if after > 1:
        assert "skipped" in statuses
    results = content(out)
    assert {name: data for name, data in results.items() if "noise" not in name} == expected
    assert len(results) == 18


@pytest.mark.parametrize("stop", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=SLOW)])
def test_a_stopped_run_sums_up_and_resumes(
    photos: Path, tmp_path: Path, stop: signal.Signals
) -> None:
    out = tmp_path / "out"
    run = start(photos, "--output", out, seconds=0.03)
    wait_for(out, 2)
    run.send_signal(stop)
    _, errors = run.communicate(timeout=60)
    assert run.returncode == 130
    assert b"stopped" in errors.splitlines()[-1]
    assert b"--resume" in errors.splitlines()[-1]
    assert b"Traceback" not in errors
    assert 2 <= len(content(out)) < 9
    again = start(photos, "--output", out, "--resume", seconds=0)
    assert again.wait() == 0
    assert len(content(out)) == 9


def test_two_runs_at_once_share_the_work(photos: Path, tmp_path: Path) -> None:
    whole, out = reference(photos, tmp_path), tmp_path / "out"
    runs = [start(photos, "--output", out, "--resume", "--json") for _ in range(2)]
    documents = [json.loads(run.communicate()[0])["results"] for run in runs]
    assert [run.returncode for run in runs] == [0, 0]
    assert content(out) == content(whole)
    done = [
        result["output"]
        for results in documents
        for result in results
        if result["status"] == "done"
    ]
    assert len(done) == len(set(done)) == 9


class Quiet:
    """Watches nothing, but may do something when a photo is being denoised."""

    def __init__(self, meanwhile: object = None) -> None:
        self._meanwhile = meanwhile

    def advance(self, job: Job, pixels: int, all_pixels: int) -> None:
        if callable(self._meanwhile):
            self._meanwhile(job)

    def finish(self, outcome: Outcome) -> None: ...


def run_one(path: Path, output: Path, meanwhile: object = None, jobs: int = 1) -> Outcome:
    runner = BatchRunner(StandInDenoiser(), Settings(), Quiet(meanwhile), in_flight=jobs)
    return runner.run([Job(path, output, output.parent)])[0]


def test_a_file_that_changes_meanwhile_is_named(photos: Path, tmp_path: Path) -> None:
    def touch(job: Job) -> None:
        with job.input.open("ab") as file:
            file.write(b"more")

    outcome = run_one(photos / "0.png", tmp_path / "out.png", touch)
    assert outcome.status == "failed"
    assert "changed while" in str(outcome.error)
    assert not (tmp_path / "out.png").exists()


def test_a_file_that_vanishes_meanwhile_is_still_read(photos: Path, tmp_path: Path) -> None:
    def remove(job: Job) -> None:
        job.input.unlink(missing_ok=True)

    outcome = run_one(photos / "1.jpg", tmp_path / "out.jpg", remove)
    assert outcome.status == "done"
    assert read_image(tmp_path / "out.jpg").shape == (60, 80, 3)


def test_an_output_that_appears_meanwhile_is_kept(photos: Path, tmp_path: Path) -> None:
    output = tmp_path / "out.png"

    def occupy(job: Job) -> None:
        output.write_bytes(b"mine")

    outcome = run_one(photos / "0.png", output, occupy)
    assert outcome.status == "failed"
    assert output.read_bytes() == b"mine"


@pytest.mark.parametrize("jobs", [1, 2, 4])
def test_results_do_not_depend_on_how_many_are_in_work(
    photos: Path, tmp_path: Path, jobs: int
) -> None:
    paths = sorted(photos.iterdir())
    work = [Job(path, tmp_path / path.name, tmp_path) for path in paths]
    runner = BatchRunner(StandInDenoiser(), Settings(), Quiet(), in_flight=jobs)
    outcomes = runner.run(list(work))
    assert [outcome.input for outcome in outcomes] == paths
    one = tmp_path / "one"
    one.mkdir()
    for path in paths:
        run_one(path, one / path.name)
    assert content(one) == {path.name: (tmp_path / path.name).read_bytes() for path in paths}


def _call(command: list[str]) -> int:
    return subprocess.run(command, check=False, capture_output=True).returncode


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small file system needs root")
def test_a_full_disk_is_named_and_leaves_nothing(photos: Path, tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(small)]
    if shutil.which("mount") is None or _call(mount):
        pytest.skip("no file system can be mounted here")
    try:
        big = photos / "big.tif"
        generator = np.random.default_rng(2)
        write_image(big, generator.integers(0, 65536, (200, 200, 3)).astype(np.uint16))
        too_big = run_one(big, small / "big.tif")
        assert too_big.status == "failed"
        assert "are free" in str(too_big.error)
        # A packed kind has no size before it is written: here the disk fills on the way.
        noise = Image.fromarray(generator.integers(0, 256, (300, 300, 3), dtype=np.uint8))
        noise.save(photos / "thin.jpg", quality=5)
        filled = run_one(photos / "thin.jpg", small / "thin.png")
        assert filled.status == "failed"
        assert "thin.png" in str(filled.error)
        assert list(small.iterdir()) == []
        fits = run_one(photos / "0.png", small / "0.png")
        assert fits.status == "done"
    finally:
        subprocess.run(["umount", str(small)], check=True)
