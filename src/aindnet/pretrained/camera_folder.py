"""Folders of camera profiles, and which of them a photo needs."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aindnet.errors import InvalidModelFileError
from aindnet.pretrained.camera_profile import CameraProfile, load_camera_profile

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
    data = Path(os.environ.get("XDG_DATA_HOME", Path.home() / ".local/share"))
    return data / "aindnet/cameras"


def find_profiles(folder: Path, base_sha256: str) -> list[FoundProfile]:
    """The folder's profiles for one base model, sorted by name.

    Raises `InvalidModelFileError` where there is none, or a file is damaged.
    """
    found = []
    others = 0
    for path in sorted(folder.glob("*.safetensors")):
        profile = load_camera_profile(path)
        if profile.base_sha256 == base_sha256:
            found.append(_found(path, profile))
        else:
            others += 1
    if not found:
        what = f"{others} profiles, all for another model" if others else "no camera profiles"
        raise InvalidModelFileError(
            f"{folder}: {what}; make one with `aindnet adapt --output {folder}/NAME.safetensors`"
        )
    return found


def choose_profile(
    profiles: Sequence[FoundProfile], make: str, model: str, iso: int | None
) -> FoundProfile | None:
    """The profile of the photo's camera whose ISO is nearest; None where none is near.

    >>> low, high = (FoundProfile(Path(n), "", "SONY", "ILCE-7M3", r)
    ...              for n, r in (("low", (100, 800)), ("high", (1600, 6400))))
    >>> [choose_profile([low, high], "Sony", "ILCE-7M3", iso).path.name
    ...  for iso in (400, 1400, 12800)]
    ['low', 'high', 'high']
    >>> choose_profile([low, high], "SONY", "ILCE-7M3", 51200), choose_profile([low], "", "X", 400)
    (None, None)
    """
    if not profiles:
        return None
    nearest = min(profiles, key=lambda each: each.distance(make, model, iso))
    return nearest if nearest.distance(make, model, iso) <= FARTHEST_ISO else None


def _found(path: Path, profile: CameraProfile) -> FoundProfile:
    about: dict[str, Any] = profile.about
    iso = about.get("iso")
    return FoundProfile(
        path=path,
        base_sha256=profile.base_sha256,
        make=str(about.get("make") or ""),
        model=str(about.get("model") or ""),
        iso=(int(iso[0]), int(iso[1])) if iso else None,
    )


def _same(name: str) -> str:
    return " ".join(name.lower().split())
