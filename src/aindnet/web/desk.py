"""What the page's button does: a photo, its settings → files, and a view of them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from aindnet.commands.batch.jobs import Job, beside_input, find_jobs
from aindnet.commands.batch.runner import BatchRunner, Outcome
from aindnet.commands.batch.settings import Settings
from aindnet.errors import AindnetError
from aindnet.photo import Photo
from aindnet.restore import Denoiser
from aindnet.web.view import ShowingDenoiser, View


@dataclass(frozen=True)
class Denoised:
    """A photo that is done."""

    files: tuple[Path, ...]
    """The photo first, then what was asked for beside it."""
    view: View
    noise_level: float
    """Mean estimated standard deviation of the noise, on the [0, 1] scale."""
    seconds: float
    running: str
    """Model, camera, backend, device and precision, in words."""
    notices: tuple[str, ...]


class Desk:
    """Denoises the page's photos, one after the other, with models that stay loaded.

    `model` and `camera` are what is taken where the page names nothing else.
    """

    def __init__(self, model: str | None = None, camera: Path | None = None) -> None:
        self._mutex = threading.Lock()
        self._loaded: tuple[tuple[str | None, Path | None], Denoiser] | None = None
        self._default = (model, camera)
        self.denoiser(model, camera)  # a wrong name is an error before the page opens

    def denoiser(self, model: str | None, camera: Path | None) -> Denoiser:
        """The denoiser of these, kept for the next photo.

        Raises `ModelNotFoundError`, `InvalidModelFileError` or `WrongBaseModelError`.
        """
        wanted = (model or self._default[0], camera or self._default[1])
        if self._loaded is None or self._loaded[0] != wanted:
            denoiser = Denoiser.from_pretrained(wanted[0])
            if wanted[1] is not None:
                denoiser.load_camera(wanted[1])
            self._loaded = wanted, denoiser
        return self._loaded[1]

    def denoise(
        self,
        photo: Path,
        folder: Path,
        settings: Settings,
        *,
        model: str | None = None,
        camera: Path | None = None,
        progress: Callable[[float], None] = lambda share: None,
    ) -> Denoised:
        """Denoise a photo into `folder`; `progress` is told the share of its pixels that is done.

        Raises `AindnetError` with the reason, and writes nothing then.
        """
        with self._mutex:
            denoiser = self.denoiser(model, camera)
            shown: list[ShowingDenoiser] = []

            def showing(opened: Photo) -> ShowingDenoiser:
                shown.append(ShowingDenoiser(denoiser, opened))
                return shown[-1]

            target = folder / beside_input(Path(photo.name)).name
            jobs = find_jobs([photo], target, settings.marks)
            watcher = _Watcher(progress)
            runner = BatchRunner(denoiser, settings, watcher, choose=showing)
            outcome = runner.run(jobs)[0]
            if outcome.status != "done" or outcome.output is None:
                raise AindnetError((outcome.error or "not done").replace(f"{photo.parent}/", ""))
            assert isinstance(jobs[0], Job)
            asides = [jobs[0].beside(mark) for mark in settings.marks]
            return Denoised(
                files=(outcome.output, *asides),
                view=shown[0].view,
                noise_level=outcome.noise_level or 0.0,
                seconds=outcome.seconds,
                running=_in_words(denoiser),
                notices=tuple(outcome.notices),
            )


def _in_words(denoiser: Denoiser) -> str:
    name = denoiser.model_name
    if denoiser.camera is not None:
        name += f" adapted to {denoiser.camera.about.get('camera') or 'a camera'}"
    return f"{name}, {denoiser.backend} on {denoiser.device} in {denoiser.precision}"


class _Watcher:
    def __init__(self, progress: Callable[[float], None]) -> None:
        self._progress = progress
        self._done = 0

    def advance(self, job: Job, pixels: int, all_pixels: int) -> None:
        self._done += pixels
        self._progress(self._done / all_pixels)

    def finish(self, outcome: Outcome) -> None:
        """Nothing more to tell."""
