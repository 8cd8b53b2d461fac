"""Denoised parts of a benchmark, kept one file each, so that a killed run goes on where it was."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from aindnet.errors import AindnetError, DatasetError, ImageWriteError
from aindnet.evaluation.datasets.sample import Dataset, Image, Sample
from aindnet.evaluation.methods.method import FloatImage, Method, checked
from aindnet.evaluation.runner import Progress, as_float, content_hash
from aindnet.whole_files import whole_file

INPUTS = "inputs.txt"
"""Lines of a part's name and the hash of the photo that its file was made of."""

Check = Callable[[Path, Sample, Image], None]
"""Raises `DatasetError` where the file of a sample, whose noisy image is given, is not as it must
be."""


@dataclass(frozen=True)
class FailedPart:
    """A part that could not be denoised."""

    name: str
    error: str


def denoise_parts(
    dataset: Dataset,
    method: Method,
    folder: Path,
    suffix: str,
    write: Callable[[Path, Sample, FloatImage], None],
    check: Check,
    progress: Progress | None = None,
) -> list[FailedPart]:
    """Denoise every sample into `folder/NAME.suffix` by `write`; those that failed are returned.

    A file that is there is kept if it was made of the very same photo and `check` does not raise
    `DatasetError` for it.
    """
    kept, failed = _inputs(folder), []
    for index, sample in enumerate(dataset.samples):
        if progress:
            progress(index, len(dataset.samples), sample.name)
        path = folder / f"{sample.name}{suffix}"
        try:
            pair = sample.read()
            content = content_hash(pair)
            if kept.get(sample.name) == content and _is_whole(path, sample, pair.noisy, check):
                continue
            _note(folder, sample.name, "")  # until the file is whole it is of no photo
            noisy = as_float(pair.noisy)
            denoised = checked(method, method(noisy), noisy).image
        except AindnetError as error:
            if isinstance(error, ImageWriteError):
                raise
            failed.append(FailedPart(sample.name, str(error)))
            continue
        with whole_file(path) as partial:
            write(partial, sample, denoised)
        _note(folder, sample.name, content)
    if progress:
        progress(len(dataset.samples), len(dataset.samples), "")
    return failed


def _is_whole(path: Path, sample: Sample, noisy: Image, check: Check) -> bool:
    try:
        check(path, sample, noisy)
    except DatasetError:
        return False
    return True


def _inputs(folder: Path) -> dict[str, str]:
    path = folder / INPUTS
    if not path.is_file():
        return {}
    words = [line.split() for line in path.read_text(encoding="utf-8").splitlines()]
    return {line[0]: line[1] if len(line) == 2 else "" for line in words if line}


def _note(folder: Path, name: str, content: str) -> None:
    path = folder / INPUTS
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with path.open("a", encoding="utf-8") as stream:
            stream.write(f"{name} {content}\n")
    except OSError as error:
        raise ImageWriteError(f"{path}: cannot be written ({error.strerror})") from error
