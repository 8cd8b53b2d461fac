"""This project's denoiser as a method of the tables."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from aindnet.evaluation.methods.method import Denoised, FloatImage


@dataclass(frozen=True)
class OurModel:
    """A loaded `Denoiser`; fed float images, so that rounding is left to the metrics."""

    denoiser: Any
    ensemble: bool = False
    needs_warm_up = True
    camera: str | None = None
    camera_sha256: str | None = None
    """Of the profile's file."""

    @property
    def name(self) -> str:
        """The model's name, with the camera profile and a star for the ×8 self-ensemble."""
        profile = f" + {self.camera}" if self.camera else ""
        return f"{self.denoiser.model_name}{profile}{'*' if self.ensemble else ''}"

    @property
    def settings(self) -> str:
        """Backend and precision, and what the star means."""
        parts = [f"{self.denoiser.backend}, {self.denoiser.precision}, {self.denoiser.device}"]
        if self.camera:
            known = f", SHA-256 {self.camera_sha256[:16]}…" if self.camera_sha256 else ""
            parts.append(f"camera profile {self.camera}{known}")
        if self.ensemble:
            parts.append("geometric self-ensemble ×8")
        return "; ".join(parts)

    @property
    def fingerprint(self) -> str:
        """The hashes of weights, profile and code with everything that changes the answer."""
        from aindnet.restore.backends.measured import RUNTIMES, installed_version
        from aindnet.restore.code import DENOISING_CODE

        profile = f"|{self.camera_sha256}" if self.camera_sha256 else ""
        runtimes = ", ".join(f"{name} {installed_version(name)}" for name in RUNTIMES)
        return f"{self.denoiser.model_hash}|{self.settings}{profile}|{DENOISING_CODE}|{runtimes}"

    @property
    def shares_memory(self) -> bool:
        """Whether the plain row's calls have filled the buffers that these would add."""
        return self.ensemble

    def with_ensemble(self) -> OurModel:
        """The same model, averaged over the eight flips and rotations."""
        return replace(self, ensemble=True)

    def __call__(self, noisy: FloatImage) -> Denoised:
        """Denoise; the noise map is the network's own estimate."""
        result = self.denoiser(noisy, ensemble=self.ensemble)
        return Denoised(np.asarray(result.image), np.asarray(result.noise_level))


def load_our_model(model: str | None, *, camera: Path | None = None, **options: str) -> OurModel:
    """A model by name or a weights file, with a camera profile if one is given; None is the bundled
    default, or the model that the profile was adapted from.
    """
    if camera is None:
        return OurModel(_load_denoiser(model, options))
    from aindnet.pretrained.camera_profile import model_for
    from aindnet.pretrained.files import file_sha256

    denoiser = _load_denoiser(model_for(model, camera), options)
    denoiser.load_camera(camera)
    return OurModel(denoiser, camera=camera.stem, camera_sha256=file_sha256(camera))


def _load_denoiser(model: str | Path | None, options: dict[str, str]) -> Any:
    from aindnet.restore import Denoiser

    return Denoiser.from_pretrained(model, **options)
