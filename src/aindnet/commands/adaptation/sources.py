"""What `aindnet adapt` learns from: pairs, bursts, or noisy photos alone, checked and matched."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch

from aindnet.commands.adaptation.photos import (
    DATASET_KINDS,
    PairsFiles,
    find_dataset,
    find_pairs,
    marks,
    read_bursts,
    read_pairs,
    read_samples,
    side_by_side,
    window_for,
)
from aindnet.errors import BurstError, UnusablePairsError
from aindnet.evaluation.datasets import Dataset
from aindnet.photo.exif import Camera
from aindnet.photo.formats import OTHER
from aindnet.photo.paths import shown
from aindnet.restore import Denoiser
from aindnet.training.transfer.burst import burst_pairs, check_burst
from aindnet.training.transfer.inspection import inspect, matched
from aindnet.training.transfer.overlap import overlapping
from aindnet.training.transfer.pairs import SCENES_TO_HOLD_OUT_WHOLE, PhotoPair, too_small
from aindnet.training.transfer.pseudo import Denoised, noise_of, pseudo_pairs


@dataclass(frozen=True)
class Shot:
    """The photo or burst that a pair is of, where what it shows of a scene is not known."""

    name: str
    scene: str
    """Shots of one scene may show a part of each other; empty where each is a scene of its own, as
    far as folders tell."""


@dataclass
class Material:
    """Pairs that can be used, and what became of the others."""

    source: str
    """What it was made of, for the profile's card."""
    pairs: list[PhotoPair] = field(default_factory=list)
    cameras: dict[str, Camera] = field(default_factory=dict)
    """By pair, what EXIF tells of its noisy photo."""
    kinds: dict[str, str] = field(default_factory=dict)
    """By pair, the kind of its noisy photo's file."""
    unplaced: dict[str, Shot] = field(default_factory=dict)
    """By pair, the shots that may overlap."""
    rejected: dict[str, str] = field(default_factory=dict)
    """Photo or burst → why it is not used."""
    matched: dict[str, float] = field(default_factory=dict)
    """Pair → by how many per cent its noisy side is brighter, taken out of the clean side."""
    notes: list[str] = field(default_factory=list)
    """What the user should know beside."""

    @property
    def scenes(self) -> int:
        """How many scenes the pairs show."""
        return len({pair.scene for pair in self.pairs})

    @property
    def compared(self) -> int:
        """How many shots `leave_out_overlaps` compares each with each."""
        shots = (self.unplaced.get(pair.name) for pair in self.pairs)
        return len({shot.name for shot in shots if shot is not None and not shot.scene})

    def leave_out_small(self, crop: int) -> None:
        """Reject the pairs that are too small for crops of `crop` pixels and something to check."""
        good = []
        for pair in self.pairs:
            if reason := too_small(pair, crop):
                self.rejected[pair.name] = reason
            else:
                good.append(pair)
        self._keep(good)

    def leave_out_overlaps(self) -> None:
        """Reject the shots that show a part of another: of all that are each a scene, and of each
        scene, but where whole scenes are held out. Those of the former that show the same are made
        one scene.
        """
        scenes: dict[str, dict[str, PhotoPair]] = defaultdict(dict)
        for pair in self.pairs:
            if shot := self.unplaced.get(pair.name):
                scenes[shot.scene].setdefault(shot.name, replace(pair, name=shot.name))
        found = overlapping(scenes.pop("", {}).values())
        self._leave_out(found.parts)
        for names in found.same:
            self._make_one_scene(names)
        if self.scenes < SCENES_TO_HOLD_OUT_WHOLE:
            for shots in scenes.values():
                self._leave_out(overlapping(shots.values()).parts)

    def _make_one_scene(self, names: Sequence[str]) -> None:
        """Of these shots, with all else that is of their scenes: one must not judge another."""
        shot_of = {name: shot.name for name, shot in self.unplaced.items()}
        theirs = {pair.scene for pair in self.pairs if shot_of.get(pair.name) in names}
        if len(theirs) > 1:
            self.notes.append(
                f"{len(names)} {'bursts' if self.source == 'burst' else 'photos'} show the same "
                f"({names[0]} … {names[-1]}): taken as one scene"
            )
        scene = min(theirs)
        self.pairs = [
            replace(pair, scene=scene) if pair.scene in theirs else pair for pair in self.pairs
        ]

    def _leave_out(self, found: dict[str, str]) -> None:
        for name, other in found.items():
            self.rejected[name] = (
                f"shows a part of what {other} shows: what one is judged by, the other would teach"
            )
        gone = {name for name, shot in self.unplaced.items() if shot.name in found}
        self._keep([pair for pair in self.pairs if pair.name not in gone])

    def _keep(self, pairs: list[PhotoPair]) -> None:
        self.pairs = pairs
        kept = {pair.name for pair in pairs}
        self.cameras = {name: taken for name, taken in self.cameras.items() if name in kept}
        self.kinds = {name: kind for name, kind in self.kinds.items() if name in kept}

    def missing(self) -> str:
        """What is wanting for an adaptation; empty where nothing is."""
        if not self.pairs:
            return "no pair is left; docs/adapting.md says how to take better ones"
        if len(self.pairs) < 2:
            return "one pair only: take at least two, better four, of other scenes"
        return ""


def from_pairs(
    folders: Sequence[Path], layouts: Sequence[str], only: str | None, *, check: bool
) -> Material:
    """The pairs of folders or data sets that can be used.

    Raises `UnusablePairsError` where in most pairs of a folder the clean photo is the noisier one,
    and, but for a `check`, for the first file that is no half of a pair.
    """
    material = Material("pairs")
    opened: list[PairsFiles | Dataset] = []
    for folder, layout in zip(folders, layouts, strict=True):
        if layout == "pairs":
            opened.append(find_pairs(folder))
        else:  # as they are: exposures are matched, and held to the limits, below
            opened.append(find_dataset(layout, folder, only, match_brightness=False))
    # One window for all folders, so that those of one scene show the same.
    photos = (each.names if isinstance(each, PairsFiles) else each.samples for each in opened)
    window = window_for(sum(map(len, photos)))
    for folder, layout, mark, files in zip(folders, layouts, marks(folders), opened, strict=True):
        taken: dict[str, Camera] = {}
        kinds: dict[str, str] = {}
        may_overlap = not side_by_side(layout, folder)
        if isinstance(files, PairsFiles):
            found = read_pairs(files, window)
            pairs, taken, kinds = found.pairs, found.cameras, found.kinds
            material.rejected |= {mark + name: reason for name, reason in found.broken.items()}
            if found.broken and not check:
                name, reason = next(iter(found.broken.items()))
                raise UnusablePairsError(
                    f"{shown(folder)}: {shown(name)}: {reason} (one of {len(found.broken)}; "
                    "--check lists them)"
                )
        else:
            pairs = read_samples(files, window)
        swapped = 0
        for pair in pairs:
            name = mark + pair.name
            inspection = inspect(pair)
            if inspection.problems:
                material.rejected[name] = "; ".join(inspection.problems)
                swapped += inspection.swapped
                continue
            if pair.name in taken:
                material.cameras[name] = taken[pair.name]
            material.kinds[name] = kinds.get(pair.name) or DATASET_KINDS.get(layout, OTHER)
            # Photos of one name in several folders may be of several scenes; those that show the
            # same are found (`leave_out_overlaps`).
            alone = pair.scene == pair.name and may_overlap
            good = replace(pair, name=name, scene=name if alone else pair.scene)
            if inspection.corrected:
                good = matched(good)
                material.matched[name] = round(100 * (inspection.gain - 1), 1)
            material.pairs.append(good)
            if may_overlap:
                material.unplaced[name] = Shot(name, "" if alone else pair.scene)
        if 2 * swapped > len(pairs):
            raise UnusablePairsError(
                f"{shown(folder)}: in {swapped} of {len(pairs)} pairs the clean photo is the "
                "noisier one; swap the two folders"
            )
    return material


def from_bursts(folders: Sequence[Path]) -> Material:
    """Each frame of each burst with the mean of the others that stand still."""
    material = Material("burst")
    for burst in read_bursts(folders):
        name = burst.name
        if burst.unreadable:
            material.rejected[name] = burst.unreadable
            continue
        material.rejected |= {f"{name}/{frame}": reason for frame, reason in burst.broken.items()}
        odd = burst.of_other_colours()
        material.rejected |= {f"{name}/{frame}": why for frame, why in odd.items()}
        try:
            found = check_burst(name, [each for each in burst.frames if each.name not in odd])
        except BurstError as error:
            material.rejected[name] = str(error).removeprefix(f"{name}: ")
            continue
        material.rejected |= {f"{name}/{frame}": why for frame, why in found.left_out.items()}
        pairs = burst_pairs(found)
        material.pairs += [replace(pair, scene=burst.scene) for pair in pairs]
        shot = Shot(name, "" if burst.alone else burst.scene)
        for pair, frame in zip(pairs, found.frames, strict=True):
            material.cameras[pair.name] = burst.cameras[frame.name]
            material.kinds[pair.name] = burst.kinds[frame.name]
            material.unplaced[pair.name] = shot
    return material


def from_noisy(folder: Path, model: str | None, seed: int) -> Material:
    """Noisy photos denoised by the model, and made noisy again with the noise measured on them."""
    denoiser = Denoiser.from_pretrained(model)
    material = Material("noisy photos alone")
    photos: list[Denoised] = []
    taken: dict[str, Camera] = {}
    kinds: dict[str, str] = {}
    for group in read_bursts([folder]):
        if group.unreadable:
            material.rejected[group.name] = group.unreadable
        material.rejected |= {f"{group.name}/{name}": why for name, why in group.broken.items()}
        photos += [
            Denoised(f"{group.name}/{frame.name}", frame.image, denoiser(frame.image).image)
            for frame in group.frames
        ]
        taken |= {f"{group.name}/{name}": camera for name, camera in group.cameras.items()}
        kinds |= {f"{group.name}/{name}": kind for name, kind in group.kinds.items()}
    noise = noise_of(photos)
    level = 255 * float(noise.level(torch.full((1, 3, 1, 1), 0.5)).mean())
    material.notes = [
        f"noise of {level:.1f} of 255 at mid-grey, from {noise.blocks} flat blocks",
        "experimental: the gain below is on photos made noisy again, not on real noise",
    ]
    material.pairs = pseudo_pairs(photos, noise, seed=seed)
    material.cameras = {pair.name: taken[pair.scene] for pair in material.pairs}
    material.kinds = {pair.name: kinds[pair.scene] for pair in material.pairs}
    return material
