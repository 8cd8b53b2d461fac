"""Inputs on the command line → which file is denoised to which."""

from __future__ import annotations

import os
import re
import stat
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from aindnet.commands.batch.names import folded, tells_apart
from aindnet.commands.batch.places import check_place, is_mistyped, is_named_as_file
from aindnet.errors import AindnetError, ImageReadError, ImageWriteError
from aindnet.photo.formats import FORMATS, RAW, SUFFIXES, format_for_output
from aindnet.photo.paths import reason, shown

# os.path's tests take an unreachable path for nothing, where pathlib's raise; opening it says why.
_PICTURES = (".noise", ".compare")


Identity = tuple[int, int]
"""Device and number of a file: the same under every name it has."""


@dataclass(frozen=True)
class Job:
    """One photo to denoise."""

    input: Path
    output: Path
    root: Path
    """The folder whose record of finished work this job belongs to."""
    size: int = 0
    """Bytes of the input, for the time left."""
    label: str = ""
    """What pictures beside the output are called by: NAME.EXT where two share NAME; else NAME, and
    this is empty."""
    inputs: frozenset[Identity] = frozenset()
    """The files of the call's inputs, which nothing may take the place of."""

    def beside(self, mark: str, page: int = 1) -> Path:
        """A PNG that goes with the output: NAME.noise.png, NAME.compare.png."""
        number = f"page-{page}." if page > 1 else ""
        return self.output.with_name(f"{self.label or self._plain_stem()}.{number}{mark}.png")

    def asides(self, marks: Sequence[str], pages: int = 1) -> list[Path]:
        """What is beside the output of a photo of so many pages."""
        return [self.beside(mark, page) for mark in marks for page in range(1, pages + 1)]

    def relabelled(self) -> Job:
        """With the label that a call with other photos would give it."""
        return replace(self, label="") if self.label else self.with_full_label()

    def with_full_label(self) -> Job:
        """With a label that a job of another output in the folder does not have."""
        return replace(self, label=self._plain_stem() + self.output.suffix)

    def _plain_stem(self) -> str:
        stem = self.output.stem  # ".denoised" may be in the photo's own name
        return stem if stem == self.input.stem else stem.removesuffix(".denoised")

    def check_no_input(self, path: Path) -> None:
        """Raise `ImageWriteError` where `path` is an input, by whatever name."""
        if _link_identity(path) in self.inputs:
            raise ImageWriteError(
                f"{shown(path)}: is an input, and inputs are never changed; choose another --output"
            )


@dataclass(frozen=True)
class Refused:
    """An input that can't be denoised, and why."""

    input: Path
    error: AindnetError


def find_jobs(
    inputs: list[Path], output: Path | None, marks: Sequence[str] = ()
) -> list[Job | Refused]:
    """The jobs of a call, in a fixed order, without two that write one file.

    A folder is searched through and mirrored under `output`; without `output`, results stand
    beside their inputs as NAME.denoised.EXT. RAW files become TIFFs. `marks` name the pictures that
    are written beside each result (`Job.beside`). Raises `AindnetError` for several inputs, or a
    folder, and an output that is named as one file, and for one that is a file, but no image's.
    """
    if output is not None:
        check_place(inputs, output)
    found: list[Job | Refused] = []
    for path in inputs:
        if os.path.isdir(path):
            found.extend(_folder_jobs(path, output))
        else:
            found.append(_file_job(path, output, alone=len(inputs) == 1))
    return _without_clashes(_labelled(_once(found)), marks)


def _file_job(path: Path, output: Path | None, *, alone: bool) -> Job | Refused:
    try:
        size = _size(path)
    except (OSError, ValueError) as error:
        why = reason(error) if isinstance(error, OSError) else "impossible file name"
        return Refused(path, ImageReadError(f"{shown(path)}: {why}; check the path"))
    except ImageReadError as error:
        return Refused(path, error)
    if output is None:
        target = beside_input(path)
    elif is_named_as_file(output) or (alone and is_mistyped(output)):
        target = output
        try:
            format_for_output(output)
        except ImageWriteError as error:
            folder = "" if is_named_as_file(output) else ", or make a folder of that name first"
            return Refused(path, ImageWriteError(f"{error}{folder}"))
    else:
        target = output / _output_name(path)
    return Job(path, target, target.parent, size)


def _folder_jobs(folder: Path, output: Path | None) -> list[Job | Refused]:
    jobs: list[Job | Refused] = []
    for found in walk(folder, output):
        if isinstance(found, Refused):
            jobs.append(found)
            continue
        try:
            size = _size(found)
        except OSError as error:
            jobs.append(Refused(found, ImageReadError(f"{shown(found)}: {reason(error)}")))
            continue
        except ImageReadError as error:
            jobs.append(Refused(found, error))
            continue
        target = (
            beside_input(found)
            if output is None
            else output / found.relative_to(folder).with_name(_output_name(found))
        )
        jobs.append(Job(found, target, output or folder, size))
    if not jobs:
        kinds = ", ".join(each.name for each in FORMATS)
        nothing = ImageReadError(f"{shown(folder)}: no photos in this folder ({kinds} are read)")
        jobs.append(Refused(folder, nothing))
    return jobs


def _size(path: Path) -> int:
    """Bytes of a file; `ImageReadError` for a pipe or device, which can block for ever."""
    found = path.stat()
    if not stat.S_ISREG(found.st_mode):
        raise ImageReadError(f"{shown(path)}: not a file; give an image file or a folder")
    return found.st_size


def walk(folder: Path, output: Path | None = None) -> Iterator[Path | Refused]:
    """Image files of a folder and the folders in it, by name; each folder once, however linked.

    Hidden ones and results (`made_here`) are none, and neither is what lies in `output`; folders
    that cannot be read are `Refused`.
    """
    seen: set[tuple[int, int]] = set()
    if output is not None and os.path.isdir(output) and not os.path.samefile(folder, output):
        seen.add(_identity(output))  # results of an earlier run are no input
    waiting = [folder]
    while waiting:
        current = waiting.pop()
        try:
            if (identity := _identity(current)) in seen:
                continue
            seen.add(identity)
            names = sorted(os.listdir(current))
        except OSError as error:
            yield Refused(current, ImageReadError(f"{shown(current)}: {reason(error)}"))
            continue
        folders = []
        for name in names:
            path = current / name
            if os.path.isdir(path):
                if not name.startswith("."):  # thumbnails, trash, versions
                    folders.append(path)
            elif _is_input(path):
                yield path
        waiting.extend(reversed(folders))


def _identity(path: Path) -> Identity:
    found = path.stat()
    return found.st_dev, found.st_ino


def _link_identity(path: Path) -> Identity | None:
    """Of what has this name, a link itself; None where nothing has. What a file that is written
    under the name takes the place of.
    """
    try:
        found = path.lstat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _identities(path: Path) -> Iterator[Identity]:
    """Of an input, and of the link that it was named by."""
    yield from filter(None, (_link_identity(path), _link_identity(path.resolve())))


def _is_input(path: Path) -> bool:
    hidden = path.name.startswith(".")
    return path.suffix.lower() in SUFFIXES and not hidden and not made_here(path)


def made_here(path: Path) -> bool:
    """Whether a file is a result of a photo that stands beside it, by their names.

    NAME.denoised.EXT is one beside NAME.EXT or a RAW file NAME.*; NAME.noise.png and
    NAME.compare.png are beside NAME.*, or named by the whole NAME.EXT.
    """
    name, mark = os.path.splitext(path.stem)
    if mark == ".denoised":
        originals = _originals(name, RAW.suffixes) if path.suffix.lower() == ".tif" else []
        originals.append(name + path.suffix)
    elif mark in _PICTURES and path.suffix == ".png":
        name = re.sub(r"\.page-\d+$", "", name)
        developed = _originals(name.removesuffix(".tif"), RAW.suffixes)
        originals = [name, *_originals(name, SUFFIXES), *developed]
    else:
        return False
    return any(os.path.lexists(path.with_name(each)) for each in originals)


def _originals(name: str, suffixes: Iterable[str]) -> list[str]:
    return [name + written for each in suffixes for written in (each, each.upper())]


def _output_name(path: Path) -> str:
    return path.stem + ".tif" if path.suffix.lower() in RAW.suffixes else path.name


def beside_input(path: Path) -> Path:
    """NAME.denoised.EXT beside a photo: where its result goes if nothing else is said."""
    name = Path(_output_name(path))
    return path.with_name(f"{name.stem}.denoised{name.suffix}")


def _once(found: list[Job | Refused]) -> list[Job | Refused]:
    """Without the photos that were named twice."""
    seen: set[tuple[str, str]] = set()
    kept: list[Job | Refused] = []
    for job in found:
        if isinstance(job, Job):
            names = _real(job.input), _real(job.output)
            if names in seen:
                continue
            seen.add(names)
        kept.append(job)
    return kept


def _without_clashes(found: list[Job | Refused], marks: Sequence[str]) -> list[Job | Refused]:
    """Refuse jobs that would write over an input, or over what another job writes."""
    inputs = frozenset(
        identity for job in found if isinstance(job, Job) for identity in _identities(job.input)
    )
    taken: dict[str, Path] = {}
    alike: dict[str, Path] = {}
    checked: list[Job | Refused] = []
    for each in found:
        if isinstance(each, Refused):
            checked.append(each)
            continue
        job = replace(each, inputs=inputs)
        outputs = [job.output, *job.asides(marks)]
        try:
            for path in outputs:
                job.check_no_input(path)
                _check_not_taken(path, taken, alike)
        except ImageWriteError as error:
            checked.append(Refused(job.input, error))
            continue
        taken |= {_real(path): job.input for path in outputs}
        alike |= {folded(_real(path)): job.input for path in outputs}
        checked.append(job)
    return checked


def _check_not_taken(path: Path, taken: dict[str, Path], alike: dict[str, Path]) -> None:
    """Raise `ImageWriteError` for a path of another job, also if its disk alone sees them as one.

    Both have the photos by their jobs' paths: `taken` by these, `alike` by these `folded`.
    """
    why = ""
    if (other := taken.get(_real(path))) is None:
        other = alike.get(folded(_real(path)))
        if other is None or tells_apart(path.parent):
            return
        why = ", for names that differ in case or accents' encoding alone are one on this disk"
    raise ImageWriteError(
        f"{shown(path)}: {shown(other)} is written there already{why}; "
        "denoise them apart, with another --output"
    )


def _labelled(found: list[Job | Refused]) -> list[Job | Refused]:
    """The jobs with labels of their own: IMG.jpg and IMG.png must not share IMG.noise.png."""
    labels = [folded(_real(job.beside(""))) if isinstance(job, Job) else None for job in found]
    count = Counter(labels)
    return [
        job.with_full_label() if isinstance(job, Job) and count[label] > 1 else job
        for job, label in zip(found, labels, strict=True)
    ]


def _real(path: Path) -> str:
    # The last part is not followed: a link as output is replaced, never written through.
    return os.path.join(os.path.realpath(path.parent), path.name)
