"""Folders of camera profiles, and which of them a photo needs."""

from __future__ import annotations

import math
import os
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from aindnet.errors import InvalidModelFileError
from aindnet.pretrained.camera_profile import CameraProfile, load_camera_profile
from aindnet.pretrained.files import data_folder

FARTHEST_ISO = 1.0
"""Stops between a photo's ISO and a profile's range up to which the profile still serves."""


@dataclass(frozen=True)
class FoundProfile:
    """A profile's file and what it is for."""

    path: Path
    base_sha256: str
    make: str
    model: str
    iso: tuple[int, int] | None
    files: tuple[str, ...] = ()
    """Kinds of the photos that it was learned from: "JPEG", "HEIC" (as the camera made them), "RAW"
    (developed here), "other"; empty where it does not say."""
    iso_unknown: bool = False
    """Whether it was chosen for a photo that does not say its ISO."""

    def strangeness(self, kind: str) -> int:
        """0 where it was learned from files of the photo's kind, 1 where that is not known, 2 else.

        A camera's own noise reduction and compression leave other noise than RAW files have.
        """
        if not kind or not self.files:
            return 1
        return 0 if kind in self.files else 2

    def cautions(self, kind: str) -> list[str]:
        """What may be wrong with it for a photo of its camera, in words for the user."""
        said = []
        if self.strangeness(kind) == 2:
            learned = ", ".join(self.files)
            said.append(f"learned from other files than {kind} ({learned}), whose noise is another")
        if self.iso is None:
            said.append("it does not say for which ISO it is")
        elif self.iso_unknown:
            low, high = self.iso
            said.append(f"the photo does not say its ISO, and the profile is for {low} to {high}")
        return said

    def distance(self, make: str, model: str, iso: int | None) -> float:
        """Stops from the photo's ISO to the profile's range; infinite for another camera."""
        if not self.model or _same(self.model) != _same(model):
            return math.inf
        if self.make and make and _same(self.make) != _same(make):
            return math.inf
        if iso is None or self.iso is None:
            return FARTHEST_ISO / 2
        low, high = self.iso
        return max(math.log2(low / iso), math.log2(iso / high), 0.0)


def camera_folder() -> Path:
    """Where `--camera auto` looks: `$AINDNET_CAMERAS`, or the user's data folder."""
    if named := os.environ.get("AINDNET_CAMERAS"):
        return Path(named)
    return data_folder() / "cameras"


def find_profiles(
    folder: Path, bases: Collection[str]
) -> tuple[list[FoundProfile], dict[str, str]]:
    """The folder's profiles for base models of these hashes, sorted by name, and why other files
    are not.

    Raises `InvalidModelFileError` where there is none.
    """
    found: list[FoundProfile] = []
    passed_over: dict[str, str] = {}
    for path in sorted(folder.glob("[!.]*.safetensors")):
        try:
            each = _found(path, load_camera_profile(path))
        except InvalidModelFileError as error:
            passed_over[path.name] = str(error).removeprefix(f"{path}: ")
            continue
        if each.base_sha256 not in bases:
            passed_over[path.name] = "for another model"
        elif not each.model:
            passed_over[path.name] = "names no camera (`adapt --camera-model`); give it by its name"
        else:
            found.append(each)
    if not found:
        reasons = "".join(f"; {name}: {reason}" for name, reason in passed_over.items())
        raise InvalidModelFileError(
            f"{folder}: no camera profile to choose from{reasons}; make one with "
            f"`aindnet adapt --burst FOLDER --output {folder}/NAME.safetensors`"
        )
    return found, passed_over


def choose_profile(
    profiles: Sequence[FoundProfile],
    make: str,
    model: str,
    iso: int | None,
    preferred_base: str = "",
    kind: str = "",
) -> FoundProfile | None:
    """The profile of the photo's camera whose ISO is nearest; None where none is near.

    Of near ones, rather one learned from files of the photo's `kind` (`FoundProfile.files`); of
    equally near ones, one of the model with the hash `preferred_base`. None too where the photo
    does not say its ISO and these are for several ranges: which is near is not known.

    >>> low, high = (FoundProfile(Path(n), "", "SONY", "ILCE-7M3", r)
    ...              for n, r in (("low", (100, 800)), ("high", (1600, 6400))))
    >>> [choose_profile([low, high], "Sony", "ILCE-7M3", iso).path.name
    ...  for iso in (400, 1400, 12800)]
    ['low', 'high', 'high']
    >>> choose_profile([low, high], "SONY", "ILCE-7M3", 51200), choose_profile([low], "", "X", 400)
    (None, None)
    >>> choose_profile([low, high], "SONY", "ILCE-7M3", None) is None
    True
    """
    near = [each for each in profiles if each.distance(make, model, iso) <= FARTHEST_ISO]
    least_strange = min((each.strangeness(kind) for each in near), default=0)
    near = [each for each in near if each.strangeness(kind) == least_strange]
    if iso is None and len({each.iso for each in near}) > 1:
        return None
    chosen = min(
        near,
        key=lambda each: (each.distance(make, model, iso), each.base_sha256 != preferred_base),
        default=None,
    )
    return chosen and replace(chosen, iso_unknown=iso is None)


def _found(path: Path, profile: CameraProfile) -> FoundProfile:
    about: dict[str, Any] = profile.about
    return FoundProfile(
        path=path,
        base_sha256=profile.base_sha256,
        make=str(about.get("make") or ""),
        model=str(about.get("model") or ""),
        iso=_iso_range(path, about.get("iso")),
        files=_kinds(path, about.get("files")),
    )


def _iso_range(path: Path, iso: Any) -> tuple[int, int] | None:
    if not iso:
        return None
    if isinstance(iso, list) and len(iso) == 2 and all(type(each) is int for each in iso):
        low, high = iso
        if 0 < low <= high < 2**32:  # EXIF has no higher
            return low, high
    raise InvalidModelFileError(
        f"{path}: its ISO range is {iso!r}, not a lowest and a highest number; make it again"
    )


def _kinds(path: Path, files: Any) -> tuple[str, ...]:
    if not files:
        return ()
    if isinstance(files, list) and all(isinstance(each, str) for each in files):
        return tuple(files)
    raise InvalidModelFileError(
        f"{path}: the kinds of its files are {files!r}, not a list of names; make it again"
    )


def _same(name: str) -> str:
    return " ".join(name.lower().split())
