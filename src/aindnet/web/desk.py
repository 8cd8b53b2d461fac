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
from aindnet.photo.atomic import make_folder
from aindnet.pretrained.camera_profile import model_for
from aindnet.pretrained.files import find_model
from aindnet.restore import Denoiser
from aindnet.web.view import VIEW_FILE, ShowingDenoiser, View


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
    """Denoises the page's photos, one after the other, with a model that stays loaded.

    `model` is a name or a file, and `camera` a profile: what is taken where the page names nothing
    else. None is the bundled default, or the model that the profile was adapted from.
    """

    def __init__(self, model: str | None = None, camera: Path | None = None) -> None:
        self._mutex = threading.Lock()
        self._loaded: tuple[tuple[str, Path | None], Denoiser] | None = None
        self.model = model or find_model(model_for(None, camera)).stem
        self._camera = camera
        self.denoiser(self.model, None)  # a wrong name is an error before the page opens

    def denoiser(self, model: str, camera: Path | None) -> Denoiser:
        """The denoiser of these, kept for the next photo.

        Raises `ModelNotFoundError`, `InvalidModelFileError` or `WrongBaseModelError`.
        """
        if camera is None and model == self.model:
            camera = self._camera
        if self._loaded is None or self._loaded[0] != (model, camera):
            self._loaded = None  # one at a time in memory
            denoiser = Denoiser.from_pretrained(model)
            if camera is not None:
                denoiser.load_camera(camera)
            self._loaded = (model, camera), denoiser
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

        Raises `AindnetError` with the reason, without the folders of this machine.
        """
        places = [photo.parent, folder, *([camera.parent] if camera else [])]
        with self._mutex:
            try:
                denoiser = self.denoiser(model or self.model, camera)
                make_folder(folder)
                return self._denoised(denoiser, photo, folder, settings, progress)
            except AindnetError as error:
                text = str(error)
                for place in places:
                    text = text.replace(f"{place}/", "")
                raise AindnetError(text) from error

    def _denoised(
        self,
        denoiser: Denoiser,
        photo: Path,
        folder: Path,
        settings: Settings,
        progress: Callable[[float], None],
    ) -> Denoised:
        shown: list[ShowingDenoiser] = []

        def showing(opened: Photo) -> ShowingDenoiser:
            shown.append(ShowingDenoiser(denoiser, opened, folder))
            return shown[-1]

        jobs = find_jobs([photo], folder / beside_input(photo).name, settings.marks)
        runner = BatchRunner(denoiser, settings, _Watcher(progress), choose=showing)
        outcome = runner.run(jobs)[0]
        if outcome.status != "done" or outcome.output is None:
            raise AindnetError(outcome.error or f"{photo}: not done")
        beside = sorted(set(folder.iterdir()) - {outcome.output, folder / VIEW_FILE})
        return Denoised(
            files=(outcome.output, *beside),
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
