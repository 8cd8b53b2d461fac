"""Inputs on the command line → which file is denoised to which."""

from __future__ import annotations

import os
import re
import stat
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from aindnet.errors import AindnetError, ImageReadError, ImageWriteError
from aindnet.photo.formats import FORMATS, RAW, SUFFIXES, format_for_output
from aindnet.photo.paths import reason, shown

_PICTURES = (".noise", ".compare")
_NEVER_WRITTEN = frozenset(
    (*RAW.suffixes, ".bmp", ".gif", ".jp2", ".ppm", ".pgm", ".pnm", ".tga", ".psd", ".exr", ".pdf")
)
"""Names of image files, not of folders."""
_WRITTEN = frozenset(suffix for each in FORMATS if each.depths for suffix in each.suffixes)


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
    """What pictures beside the output are called by: NAME, or NAME.EXT where two share NAME."""

    def beside(self, mark: str) -> Path:
        """A PNG that goes with the output: NAME.noise.png, NAME.compare.png."""
        return self.output.with_name(f"{self.label or _plain_stem(self.output)}.{mark}.png")


@dataclass(frozen=True)
class Refused:
    """An input that can't be denoised, and why."""

    input: Path
    error: AindnetError


def find_jobs(inputs: list[Path], output: Path | None) -> list[Job | Refused]:
    """The jobs of a call, in a fixed order, without two that write one file.

    A folder is searched through and mirrored under `output`; without `output`, results stand
    beside their inputs as NAME.denoised.EXT. RAW files become TIFFs.
    """
    single = len(inputs) == 1
    found: list[Job | Refused] = []
    for path in inputs:
        if path.is_dir():
            found.extend(_folder_jobs(path, output))
        else:
            found.append(_file_job(path, output, single=single))
    return _without_clashes(found)


def _file_job(path: Path, output: Path | None, *, single: bool) -> Job | Refused:
    try:
        size = _size(path)
    except (OSError, ValueError) as error:
        why = reason(error) if isinstance(error, OSError) else "impossible file name"
        return Refused(path, ImageReadError(f"{shown(path)}: {why}; check the path"))
    except ImageReadError as error:
        return Refused(path, error)
    if output is None:
        target = _beside(path)
    elif single and output.suffix.lower() in _WRITTEN and not output.is_dir():
        target = output
    elif single and output.suffix.lower() in _NEVER_WRITTEN and not output.is_dir():
        try:
            format_for_output(output)
        except ImageWriteError as error:
            return Refused(path, error)
    else:
        target = output / _output_name(path)
    return Job(path, target, target.parent, size)


def _folder_jobs(folder: Path, output: Path | None) -> list[Job | Refused]:
    jobs: list[Job | Refused] = []
    for found in _walk(folder, output):
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
            _beside(found)
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


def _walk(folder: Path, output: Path | None) -> Iterator[Path | Refused]:
    """Image files of a folder and the folders in it, by name; each folder once, however linked."""
    seen: set[tuple[int, int]] = set()
    if output is not None and output.is_dir() and not os.path.samefile(folder, output):
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
            if path.is_dir():
                folders.append(path)
            elif _is_input(path):
                yield path
        waiting.extend(reversed(folders))


def _identity(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_dev, found.st_ino


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


def _beside(path: Path) -> Path:
    name = Path(_output_name(path))
    return path.with_name(f"{name.stem}.denoised{name.suffix}")


def _without_clashes(found: list[Job | Refused]) -> list[Job | Refused]:
    """Refuse jobs that would write over an input, or over another job's output."""
    inputs = {_real(job.input) for job in found if isinstance(job, Job)}
    taken: dict[str, Path] = {}
    checked: list[Job | Refused] = []
    for job in found:
        if isinstance(job, Refused):
            checked.append(job)
            continue
        target = _real(job.output)
        if target in inputs:
            text = f"{shown(job.output)}: is an input, and inputs are never changed; "
            checked.append(Refused(job.input, ImageWriteError(text + "choose another --output")))
        elif target in taken:
            if _real(taken[target]) == _real(job.input):
                continue  # the same photo named twice
            text = f"{shown(job.output)}: {shown(taken[target])} is written there already; "
            checked.append(Refused(job.input, ImageWriteError(text + "denoise them apart")))
        else:
            taken[target] = job.input
            checked.append(job)
    return _labelled(checked)


def _labelled(found: list[Job | Refused]) -> list[Job | Refused]:
    """The jobs with labels of their own: IMG.jpg and IMG.png must not share IMG.noise.png."""
    jobs = [job for job in found if isinstance(job, Job)]
    count = Counter(job.beside("") for job in jobs)
    return [
        replace(job, label=_plain_stem(job.output) + job.output.suffix)
        if isinstance(job, Job) and count[job.beside("")] > 1
        else job
        for job in found
    ]


def _plain_stem(output: Path) -> str:
    return output.stem.removesuffix(".denoised")


def _real(path: Path) -> str:
    # The last part is not followed: a link as output is replaced, never written through.
    return os.path.join(os.path.realpath(path.parent), path.name)
