"""The run: photos read ahead, denoised one after the other, and saved behind, in threads."""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal, Protocol

from aindnet.commands.batch.jobs import Job, Refused
from aindnet.commands.batch.manifest import Entry, Manifest, hash_bytes_of, hash_settings
from aindnet.commands.batch.photo_run import PhotoRun
from aindnet.commands.batch.settings import BandDenoiser, Settings
from aindnet.errors import AindnetError, ImageReadError, ImageWriteError
from aindnet.photo import Photo
from aindnet.photo.atomic import remove_leftovers
from aindnet.photo.paths import reason, shown


@dataclass(frozen=True)
class Outcome:
    """What became of one input."""

    input: Path
    output: Path | None
    status: Literal["done", "skipped", "failed"]
    seconds: float = 0.0
    noise_level: float | None = None
    """Mean estimated standard deviation of the noise, on the [0, 1] scale."""
    error: str | None = None
    notices: list[str] = field(default_factory=list)
    pixels: int = 0


class Watcher(Protocol):
    """Who is told how the run goes."""

    def advance(self, job: Job, pixels: int, all_pixels: int) -> None:
        """Some pixels of a photo are denoised."""

    def finish(self, outcome: Outcome) -> None:
        """An input is done with."""


@dataclass
class _Task:
    """A job between its steps."""

    job: Job
    run: PhotoRun | None = None
    outcome: Outcome | None = None
    manifest: Manifest | None = None
    input_sha256: str = ""
    seconds: float = 0.0
    """Spent in its steps, not waiting between them."""


class BatchRunner:
    """Denoises jobs with one denoiser; one that fails is named and the others are done.

    `keep_record` writes the manifest that `--resume` goes by. Up to `in_flight` photos are open
    at once; with 1, each is finished before the next is read. `choose` gives each photo a
    denoiser of its own.
    """

    def __init__(
        self,
        denoiser: BandDenoiser,
        settings: Settings,
        watcher: Watcher,
        *,
        backend: dict[str, str] | None = None,
        keep_record: bool = False,
        in_flight: int = 1,
        choose: Callable[[Photo], BandDenoiser] | None = None,
    ) -> None:
        self._choose = choose or (lambda photo: denoiser)
        self._settings = settings
        self._watcher = watcher
        self._settings_hash = hash_settings(settings.identity(denoiser, backend or {}))
        self._keep_record = keep_record
        self._in_flight = in_flight
        self._manifests: dict[Path, Manifest] = {}
        self._tidied: set[Path] = set()
        self._mutex = threading.Lock()
        self.interrupted = False

    def run(self, jobs: list[Job | Refused]) -> list[Outcome]:
        """Outcomes of all jobs that were begun, in their order; all of them if not interrupted."""
        outcomes: dict[int, Outcome] = {}
        try:
            with ThreadPoolExecutor(self._in_flight) as readers, ThreadPoolExecutor(1) as writers:
                self._pump(enumerate(jobs), outcomes, readers, writers)
        finally:
            for manifest in self._manifests.values():
                manifest.close()
        return [outcomes[number] for number in sorted(outcomes)]

    def _pump(
        self,
        jobs: Iterator[tuple[int, Job | Refused]],
        outcomes: dict[int, Outcome],
        readers: ThreadPoolExecutor,
        writers: ThreadPoolExecutor,
    ) -> None:
        reading: deque[tuple[int, Future[_Task]]] = deque()
        writing: deque[tuple[int, Future[_Task]]] = deque()
        current: _Task | None = None
        try:
            while True:
                while len(reading) + len(writing) < self._in_flight:
                    if (following := next(jobs, None)) is None:
                        break
                    reading.append((following[0], readers.submit(self._prepare, following[1])))
                if not reading:
                    if not writing:
                        return
                    self._settle(writing, outcomes)
                    continue
                # Not out of the queue before it is there: an interrupt of the wait would lose it.
                current = reading[0][1].result()
                number, _ = reading.popleft()
                if current.outcome is None:
                    self._denoise(current)
                # Not the caller's any more: an interrupt from here on must not close it.
                finished, current = current, None
                writing.append((number, writers.submit(self._save, finished)))
                while writing and (writing[0][1].done() or len(writing) >= self._in_flight):
                    self._settle(writing, outcomes)
        except KeyboardInterrupt:
            self.interrupted = True
            if current is not None:
                self._drop(current)
            for _, future in reading:
                if not future.cancel():
                    self._drop(future.result())
            while writing:
                self._settle(writing, outcomes)

    def _settle(
        self, writing: deque[tuple[int, Future[_Task]]], outcomes: dict[int, Outcome]
    ) -> None:
        number, future = writing[0]
        task = future.result()  # an interrupt of this wait leaves it to be settled later
        assert task.outcome is not None
        outcome = replace(task.outcome, seconds=task.seconds)
        outcomes[number] = outcome
        writing.popleft()
        self._watcher.finish(outcome)

    def _prepare(self, job: Job | Refused) -> _Task:
        """Decide whether there is anything to do, and open the photo. Runs in a reader thread."""
        if isinstance(job, Refused):
            outcome = Outcome(job.input, None, "failed", error=str(job.error))
            return _Task(Job(job.input, job.input, job.input), outcome=outcome)
        task = _Task(job)

        def prepare() -> None:
            if self._keep_record:
                task.manifest = self._manifest(job.root)
                if not task.manifest.claim(job.output):
                    task.manifest = None
                    text = "another run is working on it"
                    task.outcome = Outcome(job.input, job.output, "skipped", error=text)
                    return
                task.input_sha256 = hash_bytes_of(job.input)
                known = task.manifest.find(job.output)
                if self._settings.resume and known is not None and self._whole(task, known):
                    level = known.noise_level
                    task.outcome = Outcome(job.input, job.output, "skipped", noise_level=level)
                    return
            self._tidy(job.output.parent)
            task.run = self._photo_run(task)
            task.run.open()

        self._guard(task, prepare)
        return task

    def _whole(self, task: _Task, entry: Entry) -> bool:
        """Whether the output stands as it was made from this very input with these settings."""
        output = task.job.output
        same = (entry.input_sha256, entry.settings) == (task.input_sha256, self._settings_hash)
        exists = same and os.path.isfile(output) and self._photo_run(task).has_asides(entry.pages)
        return exists and hash_bytes_of(output) == entry.output_sha256

    def _photo_run(self, task: _Task) -> PhotoRun:
        return PhotoRun(task.job, self._settings, task.manifest, task.input_sha256)

    def _denoise(self, task: _Task) -> None:
        """Run the network. Runs in the caller's thread, one photo at a time."""
        run = task.run
        assert run is not None
        photo = run.photo
        assert photo is not None
        pixels = photo.pixels

        def denoise() -> None:
            run.denoise(
                self._choose(photo), lambda count: self._watcher.advance(task.job, count, pixels)
            )

        self._guard(task, denoise)

    def _save(self, task: _Task) -> _Task:
        """Encode and name the outputs. Runs in the writer thread."""
        if task.outcome is None:
            self._guard(task, lambda: self._commit(task))
        self._drop(task)
        return task

    def _commit(self, task: _Task) -> None:
        run, job, manifest = task.run, task.job, task.manifest
        assert run is not None
        assert run.photo is not None
        run.save()
        level = run.noise.value
        if manifest is not None:
            manifest.finish(
                job.output,
                input_sha256=task.input_sha256,
                settings=self._settings_hash,
                output_sha256=run.hashes[job.output],
                noise_level=level,
                pages=len(run.photo.pages),
            )
        task.outcome = Outcome(
            job.input,
            job.output,
            "done",
            noise_level=level,
            notices=list(run.photo.notices),
            pixels=run.photo.pixels,
        )

    def _manifest(self, root: Path) -> Manifest:
        with self._mutex:
            if root not in self._manifests:
                self._manifests[root] = Manifest(root)
            return self._manifests[root]

    def _tidy(self, folder: Path) -> None:
        """Remove what killed runs left in a folder, once a run."""
        with self._mutex:
            new = folder not in self._tidied
            self._tidied.add(folder)
        if new:
            remove_leftovers(folder)

    def _guard(self, task: _Task, step: Callable[[], None]) -> None:
        """Run a step; what it raises becomes the photo's outcome, and the run goes on."""
        started = time.perf_counter()
        try:
            step()
        except AindnetError as error:
            named = any(shown(path) in str(error) for path in (task.job.input, task.job.output))
            self._fail(task, str(error) if named else f"{shown(task.job.input)}: {error}")
        except OSError as error:
            kind = ImageReadError if task.run is None else ImageWriteError
            self._fail(task, str(kind(f"{shown(task.job.input)}: {reason(error)}; try again")))
        except MemoryError:
            text = "not enough memory; close other programs or use --jobs 1"
            self._fail(task, f"{shown(task.job.input)}: {text}")
        except Exception as error:
            text = f"internal error ({type(error).__name__}: {shown(str(error))}); please report it"
            self._fail(task, f"{shown(task.job.input)}: {text}")
        finally:
            task.seconds += time.perf_counter() - started

    def _fail(self, task: _Task, text: str) -> None:
        task.outcome = Outcome(task.job.input, task.job.output, "failed", error=text)

    def _drop(self, task: _Task) -> None:
        """Let go of a task's files and claim."""
        if task.run is not None:
            task.run.close()
            task.run = None
        if task.manifest is not None:
            task.manifest.release(task.job.output)
            task.manifest = None
