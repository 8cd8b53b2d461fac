"""A user's pairs and bursts as arrays, read as `aindnet denoise` sees photos."""

from __future__ import annotations

import os
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from aindnet.commands.adaptation.colours import Colours, colours_of
from aindnet.commands.batch.jobs import Refused, walk
from aindnet.errors import DatasetError, ImageReadError
from aindnet.evaluation.datasets import Dataset, DatasetOptions, open_dataset
from aindnet.photo import open_photo, shown
from aindnet.photo.exif import Camera, camera
from aindnet.photo.formats import JPEG, file_kind
from aindnet.photo.pixels import oriented
from aindnet.training.transfer.frames import Frame
from aindnet.training.transfer.pairs import PhotoPair

WINDOW = 3072, 2048
"""Columns and rows of a photo's middle that are read: enough to learn from, whatever its size."""
MOST_PIXELS = 200e6
"""Of all middles together: of many photos, each has less to say."""
DATASET_KINDS = {"polyu": JPEG.name, "cc": JPEG.name, "nam": JPEG.name}
"""What the photos of data sets were, whatever their crops are stored as; those of others are
developed by programs."""


def window_for(photos: int) -> tuple[int, int]:
    """Columns and rows of each of so many photos' middles.

    >>> window_for(4), window_for(128)
    ((3072, 2048), (1530, 1020))
    """
    share = min(1.0, (MOST_PIXELS / (max(photos, 1) * WINDOW[0] * WINDOW[1])) ** 0.5)
    columns, rows = (int(share * side) for side in WINDOW)
    return columns, rows


@dataclass(frozen=True)
class Taken:
    """A photo's middle, (H, W, 3) uint8 or uint16, and what took it."""

    image: npt.NDArray[Any]
    camera: Camera
    kind: str
    """Of its file (`file_kind`): the noise is another where the camera processed it."""
    size: tuple[int, int]
    """Width and height of the whole photo, upright."""
    colours: Colours


def read_photo(path: Path, window: tuple[int, int] = WINDOW) -> Taken:
    """The middle of a photo of any format, upright. Raises `ImageReadError`."""
    with open_photo(path) as photo:
        page = photo.pages[0]
        turn = photo.metadata.orientation
        size, (columns, rows) = (page.width, page.height), window
        if turn >= 5:
            size, (rows, columns) = (page.height, page.width), window
        y, x = max(page.height - rows, 0) // 2, max(page.width - columns, 0) // 2
        # As much on either side, so that it is the same part however the photo is turned.
        rgb = page.rows(y, page.height - y)[:, x : page.width - x]
        rgb = _middle(oriented(rgb, turn), window)
        white, dtype = (255, np.uint8) if page.dtype == np.uint8 else (65535, np.uint16)
        image = np.clip(np.rint(rgb * white), 0, white).astype(dtype)
        taken_by, kind = camera(photo.metadata.exif), file_kind(photo.format)
        return Taken(image, taken_by, kind, size, colours_of(page, source=shown(path)))


@dataclass(frozen=True)
class PairsFiles:
    """The photos of a folder of pairs, by their names in `noisy` and in `clean`."""

    noisy: dict[str, Path]
    clean: dict[str, Path]
    unreadable: dict[str, str]
    """Folders in either that cannot be read, and why."""

    @property
    def names(self) -> list[str]:
        """Of the photos that are in both."""
        return sorted(self.noisy.keys() & self.clean.keys())


def find_pairs(folder: Path) -> PairsFiles:
    """`noisy/NAME.ext` stands with `clean/NAME.ext`. Raises `DatasetError` for no such folder."""
    unreadable: dict[str, str] = {}
    noisy, clean = (_by_name(folder / side, unreadable) for side in ("noisy", "clean"))
    return PairsFiles(noisy, clean, unreadable)


@dataclass
class PairsFolder:
    """What a folder of pairs holds."""

    pairs: list[PhotoPair]
    cameras: dict[str, Camera]
    """By pair, what took its noisy side."""
    kinds: dict[str, str]
    """By pair, the kind of its noisy side's file."""
    broken: dict[str, str]
    """What is no pair, and why: a folder or side that cannot be read or is missing, two sizes, two
    colour profiles."""


def read_pairs(files: PairsFiles, window: tuple[int, int] = WINDOW) -> PairsFolder:
    """The pairs, of each the middle.

    Photos in a subfolder of both are of one scene, whatever folders it holds for several ISOs, say;
    others are each a scene.
    """
    found = PairsFolder([], {}, {}, dict(files.unreadable))
    for name in sorted(files.noisy.keys() ^ files.clean.keys()):
        side = "clean" if name in files.noisy else "noisy"
        found.broken[name] = (
            f"missing in {side}/; every photo in noisy/ needs one of the same name in clean/"
        )
    names, read = files.names, partial(_read_or_why, window)
    with ThreadPoolExecutor() as pool:
        noisy = list(pool.map(read, (files.noisy[name] for name in names)))
        clean = list(pool.map(read, (files.clean[name] for name in names)))
    for name, a, b in zip(names, noisy, clean, strict=True):
        if isinstance(a, str) or isinstance(b, str):
            found.broken[name] = "; ".join(each for each in (a, b) if isinstance(each, str))
        elif a.size != b.size:
            sizes = [f"{t.size[0]}×{t.size[1]}" for t in (a, b)]
            found.broken[name] = (
                f"the noisy photo is {sizes[0]} and the clean one {sizes[1]}; both sides of a pair "
                "must be of one size"
            )
        elif not a.colours.like(b.colours):
            found.broken[name] = (
                f"the noisy photo is in {a.colours.name} and the clean one in {b.colours.name}; "
                "give both sides of a pair one colour profile"
            )
        else:
            found.pairs.append(PhotoPair(name, a.image, b.image, Path(name).parts[0]))
            found.cameras[name], found.kinds[name] = a.camera, a.kind
    return found


def _read_or_why(window: tuple[int, int], path: Path) -> Taken | str:
    try:
        return read_photo(path, window)
    except ImageReadError as error:
        return str(error)


def find_dataset(
    name: str, root: Path, only: str | None = None, *, match_brightness: bool = True
) -> Dataset:
    """A published data set, of it the pairs whose names contain `only`.

    `match_brightness`: RENOIR's clean sides as bright as the noisy ones, as `aindnet evaluate`
    compares them. Of PolyU's pack the crops of full resolution, which do not overlap: what is held
    out of one must not be in another. Raises `DatasetError`.
    """
    kind: Literal["fullres", "crops"] = "fullres" if side_by_side(name, root) else "crops"
    options = DatasetOptions(kind=kind, match_brightness=match_brightness)
    return open_dataset(name, root, options).subset(contains=only)


def read_samples(dataset: Dataset, window: tuple[int, int]) -> list[PhotoPair]:
    """A data set's pairs, of large photos the middle, with its scenes.

    Raises `DatasetError` for one without truth.
    """
    pairs = []
    for sample in dataset.samples:
        pair = sample.read()
        if pair.clean is None:
            raise DatasetError(
                f"{dataset.name}: has no clean sides, so nothing can be learned from it"
            )
        noisy, clean = (_middle(_colour(side), window) for side in (pair.noisy, pair.clean))
        pairs.append(PhotoPair(sample.name, noisy, clean, sample.group or sample.name))
    return pairs


def read_dataset(name: str, root: Path) -> list[PhotoPair]:
    """All pairs of a published data set. Raises `DatasetError`."""
    dataset = find_dataset(name, root)
    return read_samples(dataset, window_for(len(dataset.samples)))


def side_by_side(name: str, root: Path) -> bool:
    """Whether the data set's pairs are known to show nothing twice: PolyU's pack of full-resolution
    crops.
    """
    return name == "polyu" and os.path.isfile(root / "index.csv")


def marks(folders: Sequence[Path]) -> list[str]:
    """What sets the photos of several folders apart: nothing for one, else number and name. Folders
    of scenes bear no mark: those of one name are one.

    >>> marks([Path("a")]), marks([Path("a"), Path("b/a")])
    ([''], ['1 a: ', '2 a: '])
    """
    if len(folders) == 1:
        return [""]
    return [f"{number} {folder.resolve().name}: " for number, folder in enumerate(folders, 1)]


@dataclass
class BurstFolder:
    """What a folder of frames holds."""

    name: str
    scene: str
    """The first folder of its path: bursts in one, at several ISOs say, show one scene."""
    alone: bool
    """Whether the scene's folder is the burst's own."""
    frames: list[Frame]
    cameras: dict[str, Camera]
    """By frame."""
    kinds: dict[str, str]
    """By frame, of its file."""
    colours: dict[str, Colours]
    """By frame."""
    broken: dict[str, str]
    """Frames that cannot be read, and why."""
    unreadable: str = ""
    """Why the folder itself cannot be read; empty where it can."""

    def of_other_colours(self) -> dict[str, str]:
        """The frames in another colour profile than most, and why they cannot be averaged."""
        if not self.colours:
            return {}
        all_of_them = self.colours.values()
        usual = max(all_of_them, key=lambda one: sum(map(one.like, all_of_them)))
        return {
            name: f"it is in {own.name}, others in {usual.name}"
            for name, own in self.colours.items()
            if not own.like(usual)
        }


def read_bursts(folders: Sequence[Path]) -> Iterator[BurstFolder]:
    """The bursts of folders, one after the other: a folder of frames, or of folders of frames."""
    found: list[tuple[str, tuple[str, ...], list[Path], str]] = []
    for folder, mark in zip(folders, marks(folders), strict=True):
        if not os.path.isdir(folder):
            raise DatasetError(f"{shown(folder)}: no such folder; it should hold a burst's frames")
        if all(os.path.isdir(folder / each) for each in ("noisy", "clean")):
            raise DatasetError(
                f"{shown(folder)}: holds noisy/ and clean/: name {shown(folder / 'noisy')}, or "
                "give the folder to --pairs"
            )
        photos, unreadable = _photos_in(folder)
        frames: dict[Path, list[Path]] = defaultdict(list)
        for photo in photos:
            frames[photo.parent].append(photo)
        for burst in sorted(frames.keys() | unreadable.keys()):
            within = burst.relative_to(folder).parts or (folder.resolve().name,)
            if any(mark + "/".join(within) == name for name, *_ in found):
                raise DatasetError(
                    f"{shown(folder)}: its own photos and those in {shown(burst)} would bear "
                    "one name; move its own into a folder of theirs"
                )
            why = unreadable.get(burst, "")
            found.append((mark + "/".join(within), within, frames[burst], why))
    read = partial(_read_or_why, window_for(sum(len(paths) for _, _, paths, _ in found)))
    for name, within, paths, why in found:
        with ThreadPoolExecutor() as pool:
            read_or_not = {p.name: t for p, t in zip(paths, pool.map(read, paths), strict=True)}
        taken = {n: t for n, t in read_or_not.items() if isinstance(t, Taken)}
        yield BurstFolder(
            name,
            scene=within[0],
            alone=len(within) == 1,
            frames=[Frame(n, t.image, t.size) for n, t in taken.items()],
            cameras={n: t.camera for n, t in taken.items()},
            kinds={n: t.kind for n, t in taken.items()},
            colours={n: t.colours for n, t in taken.items()},
            broken={n: t for n, t in read_or_not.items() if isinstance(t, str)},
            unreadable=why,
        )


def camera_of(
    cameras: Iterable[Camera], model: str | None = None
) -> tuple[str, str, tuple[int, int] | None]:
    """Make, model and ISO range of the photos, or of those by `model`; empty where none names a
    model, or several do.
    """
    known = [each for each in cameras if each.model and model in (None, each.model)]
    isos = [each.iso for each in known if each.iso]
    if len({each.model for each in known}) != 1:
        return "", "", None
    return known[0].make, known[0].model, (min(isos), max(isos)) if isos else None


def _colour(image: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """(H, W, 3); floats, which a brightness correction leaves, in 16 bits."""
    if image.dtype.kind == "f":
        image = np.rint(np.clip(image, 0, 1) * 65535).astype(np.uint16)
    return np.repeat(image[..., None], 3, axis=2) if image.ndim == 2 else image


def _middle(image: npt.NDArray[Any], window: tuple[int, int]) -> npt.NDArray[Any]:
    """At most that much of it, as an array of its own."""
    height, width = image.shape[:2]
    columns, rows = min(width, window[0]), min(height, window[1])
    y, x = (height - rows) // 2, (width - columns) // 2
    return image[y : y + rows, x : x + columns].copy()


def _by_name(folder: Path, unreadable: dict[str, str]) -> dict[str, Path]:
    """A side's photos; folders in it that cannot be read are put among `unreadable`."""
    if not os.path.isdir(folder):
        raise DatasetError(
            f"{shown(folder)}: no such folder; pairs lie in noisy/NAME.ext and clean/NAME.ext"
        )
    photos, refused = _photos_in(folder)
    for path, why in refused.items():
        unreadable[path.relative_to(folder.parent).as_posix()] = why
    files: dict[str, Path] = {}
    for path in photos:
        name = path.relative_to(folder).with_suffix("").as_posix()
        name = unicodedata.normalize("NFC", name)  # as some file systems keep it, others do not
        if name in files:
            raise DatasetError(f"{shown(path)}: a second photo of that name; remove one")
        files[name] = path
    return files


def _photos_in(folder: Path) -> tuple[list[Path], dict[Path, str]]:
    """The photos that `aindnet denoise` finds in a folder, and why folders in it cannot be read.

    Raises `DatasetError` where there is no photo.
    """
    photos: list[Path] = []
    unreadable: dict[Path, str] = {}
    for each in walk(folder):
        if isinstance(each, Refused):
            unreadable[each.input] = str(each.error)
        else:
            photos.append(each)
    if not photos:
        why = "; ".join(unreadable.values())
        raise DatasetError(why or f"{shown(folder)}: holds no photos")
    return photos, unreadable
