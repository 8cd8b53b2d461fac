"""How a run goes, on stderr: a bar on a terminal, a line a photo elsewhere."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import TYPE_CHECKING, Self

from aindnet.commands.batch.jobs import Job, Refused
from aindnet.commands.batch.runner import Outcome
from aindnet.photo.paths import shown

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID


class RunProgress:
    """A `Watcher` that shows files, megapixels per second and time left.

    The bar goes by the inputs' bytes, which are known before any is opened.
    """

    def __init__(self, jobs: list[Job | Refused]) -> None:
        self._total = len(jobs)
        self._bytes = sum(job.size for job in jobs if isinstance(job, Job))
        self._sizes = {job.input: job.size for job in jobs if isinstance(job, Job)}
        self._credited: dict[str, float] = {}
        self._started = time.perf_counter()
        self._pixels = 0
        self._files = 0
        self._bar: Progress | None = None
        self._task: TaskID | None = None

    def __enter__(self) -> Self:
        if sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

            self._bar = Progress(
                TextColumn("{task.fields[files]}/{task.fields[total_files]} files"),
                BarColumn(),
                TextColumn("{task.percentage:>3.0f} %  {task.fields[rate]:.2f} MP/s"),
                TimeRemainingColumn(),
                console=Console(stderr=True),
                transient=True,
            )
            self._task = self._bar.add_task(
                "", total=max(1, self._bytes), files=0, total_files=self._total, rate=0.0
            )
            self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def advance(self, job: Job, pixels: int, all_pixels: int) -> None:
        """Some pixels of a photo are denoised."""
        self._pixels += pixels
        share = job.size * pixels / all_pixels
        key = str(job.input)
        self._credited[key] = self._credited.get(key, 0.0) + share
        self._update(share)

    def finish(self, outcome: Outcome) -> None:
        """An input is done with: count it, and say what there is to say."""
        self._files += 1
        size = self._sizes.get(outcome.input, 0)
        self._update(size - self._credited.pop(str(outcome.input), 0.0))
        name = shown(outcome.input)
        if outcome.status == "failed":
            self._say(f"aindnet: {outcome.error}")
        elif outcome.status == "skipped" and outcome.error:
            self._say(f"{name}: skipped, {outcome.error}")
        elif outcome.status == "done" and outcome.output is not None:
            level = (outcome.noise_level or 0.0) * 255
            self._say(
                f"{name} -> {shown(outcome.output)}  {outcome.pixels / 1e6:.1f} MP in "
                f"{outcome.seconds:.1f} s, noise {level:.1f}/255"
            )
        for notice in outcome.notices:
            self._say(f"{name}: {notice}")

    @property
    def _rate(self) -> float:
        return self._pixels / 1e6 / max(1e-6, time.perf_counter() - self._started)

    def _update(self, advance: float) -> None:
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, advance=advance, files=self._files, rate=self._rate)

    def _say(self, text: str) -> None:
        if self._bar is not None:
            from rich.text import Text

            self._bar.console.print(Text(text), soft_wrap=True)
        else:
            print(text, file=sys.stderr, flush=True)

    def summary(
        self, outcomes: list[Outcome], *, interrupted: bool, can_resume: bool = True
    ) -> None:
        """The last line: how many, how fast; `can_resume` says whether a record was kept."""
        if self._total == 1 and not interrupted:
            return
        counts = {status: 0 for status in ("done", "skipped", "failed")}
        for outcome in outcomes:
            counts[outcome.status] += 1
        parts = [f"{count} {status}" for status, count in counts.items() if count]
        left = self._total - len(outcomes)
        if interrupted:
            again = "run it again for those without a result"
            goes_on = "--resume goes on from here" if can_resume else again
            parts.append(f"{left} not begun; {goes_on}")
        seconds = time.perf_counter() - self._started
        done = sum(outcome.pixels for outcome in outcomes) / 1e6
        print(
            f"aindnet: {'stopped: ' if interrupted else ''}{', '.join(parts)}; "
            f"{done:.1f} MP in {seconds:.1f} s",
            file=sys.stderr,
        )
