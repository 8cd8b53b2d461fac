"""A denoiser for each photo's own camera: `--camera auto`, or `--camera FOLDER`."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable, Collection
from pathlib import Path

from aindnet.commands.batch.manifest import hash_bytes_of
from aindnet.commands.batch.settings import BandDenoiser
from aindnet.photo import Photo
from aindnet.photo.exif import camera
from aindnet.photo.formats import file_kind
from aindnet.photo.paths import shown
from aindnet.pretrained.camera_folder import choose_profile, find_profiles


class DenoiserByCamera:
    """Chooses among a folder's profiles by a photo's EXIF make, model and ISO.

    `base` is for photos of other cameras; profiles are of it, or of models with `other_bases`.
    """

    def __init__(
        self,
        base: BandDenoiser,
        folder: Path,
        load: Callable[[Path], BandDenoiser],
        other_bases: Collection[str] = (),
    ) -> None:
        self._base, self._load = base, load
        self._profiles, passed_over = find_profiles(folder, {base.model_hash, *other_bases})
        for name, why in passed_over.items():
            print(f"aindnet: {shown(folder / name)}: not used: {why}", file=sys.stderr)
        self._loaded: dict[Path, BandDenoiser] = {}

    @property
    def identity(self) -> str:
        """Hash of all profiles: a run that resumes with others does its photos again."""
        digest = hashlib.sha256()
        for profile in self._profiles:
            digest.update(hash_bytes_of(profile.path).encode())
        return digest.hexdigest()

    def __call__(self, photo: Photo) -> BandDenoiser:
        """The denoiser for this photo; which one is among the photo's notices."""
        taken = camera(photo.metadata.exif)
        base = self._base.model_hash
        kind = file_kind(photo.format)
        chosen = choose_profile(self._profiles, taken.make, taken.model, taken.iso, base, kind)
        if chosen is None:
            unknown = ", whose ISO the photo does not say" if taken.model else ""
            iso = f" at ISO {taken.iso}" if taken.iso else unknown
            name = shown(taken.name) or "an unnamed camera"
            photo.metadata.notice(f"no camera profile for {name}{iso}: the plain model was used")
            return self._base
        if chosen.path not in self._loaded:
            self._loaded[chosen.path] = self._load(chosen.path)
        denoiser = self._loaded[chosen.path]
        other = "" if chosen.base_sha256 == base else f", and its model {denoiser.model_name}"
        profile = f"camera profile {shown(chosen.path.name)}"
        photo.metadata.notice(f"{profile}{other}")
        for caution in chosen.cautions(kind):
            photo.metadata.notice(f"{profile}: {caution}")
        return denoiser
