"""One photo, in the three steps that overlap in a run: open, denoise, save."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from aindnet.commands.batch.jobs import Job
from aindnet.commands.batch.manifest import Made, Manifest
from aindnet.commands.batch.names import check_length
from aindnet.commands.batch.pictures import CompareSheet, NoiseMap
from aindnet.commands.batch.settings import BandDenoiser, Settings
from aindnet.errors import ImageWriteError
from aindnet.photo import Photo, PhotoWriter, open_photo, writer
from aindnet.photo.atomic import before_naming, make_folder
from aindnet.photo.paths import shown
from aindnet.photo.photo import Page, SampleReader


@dataclass
class Mean:
    """A running mean over pixels and channels."""

    total: float = 0.0
    count: int = 0

    @property
    def value(self) -> float:
        """The mean so far."""
        return self.total / self.count if self.count else 0.0


@dataclass
class PhotoRun:
    """A photo on its way from its file to its result."""

    job: Job
    settings: Settings
    record: Manifest | None = None
    """Where what is written is recorded; what `--resume` may replace is in it."""
    input_sha256: str = ""
    """Of the input's content, where there is a record."""
    photo: Photo | None = None
    noise: Mean = field(default_factory=Mean)
    hashes: dict[Path, str] = field(default_factory=dict)
    """SHA-256 of each file that was written and recorded."""
    _made_before: set[Path] = field(default_factory=set)
    _writer: PhotoWriter | None = None
    _maps: list[NoiseMap] = field(default_factory=list)
    _sheets: list[CompareSheet] = field(default_factory=list)

    def open(self) -> None:
        """Read the header, and decode ahead what fits in memory.

        Raises `ImageReadError`, or `ImageWriteError` for an output that stands there already.
        """
        self._check(self.job.output, *self.asides())
        self.photo = open_photo(
            self.job.input,
            pixel_limit=self.settings.pixel_limit,
            encoding=self.settings.encoding,
            half_size=self.settings.half_size,
        )
        self._check(*self.asides(len(self.photo.pages)))
        self.photo.pages[0].preload()

    def _check(self, *paths: Path) -> None:
        """Raise `ImageWriteError` for an input, for what is there and may not be replaced, and for
        a name that is too long.
        """
        for path in paths:
            check_length(path)
            self.job.check_no_input(path)
            if os.path.lexists(path) and not self._replaces(path):
                self._check_made_before(path)
                self._made_before.add(path)

    def _replaces(self, path: Path) -> bool:
        return self.settings.overwrite or path in self._made_before

    def _check_made_before(self, path: Path) -> None:
        """Raise `ImageWriteError` for what is not just as an earlier run made it, to be resumed."""
        record = self.record
        if record is None:
            raise ImageWriteError(f"{shown(path)}: exists already; pass --overwrite to replace it")
        if not self.settings.resume:
            raise ImageWriteError(
                f"{shown(path)}: exists already; pass --resume to go on from an earlier run, or "
                "--overwrite to replace it"
            )
        if not record.knows(path):
            raise ImageWriteError(
                f"{shown(path)}: exists already, and is in no record of an earlier run "
                + _elsewhere(record.other_record(path))
            )
        made = record.made(path)
        if made is None:
            raise ImageWriteError(
                f"{shown(path)}: was changed since it was made, and is kept; pass --overwrite to "
                "make it again"
            )
        if not self._is_own(made):
            of_another = f"is the result of {shown(made.input)}"
            if self._has_its_path(made):
                of_another += " as it was before, whose content is another now"
            raise ImageWriteError(
                f"{shown(path)}: {of_another}; choose another --output, or pass --overwrite to "
                "replace it"
            )

    def _is_own(self, made: Made) -> bool:
        """Whether a file is of this photo. Its content decides: a photo may have been moved, and
        another one have come to its path, as on a memory card that is used again.
        """
        if made.input_sha256:
            return made.input_sha256 == self.input_sha256
        return made.input == "" or self._has_its_path(made)

    def _has_its_path(self, made: Made) -> bool:
        return made.input == os.path.realpath(self.job.input)

    def denoise(self, denoiser: BandDenoiser, advance: Callable[[int], None]) -> None:
        """Run the network over all pages; `advance` is told of finished pixels."""
        assert self.photo is not None
        make_folder(self.job.output.parent)
        self._writer = writer(
            self.photo, self.job.output, overwrite=self._replaces(self.job.output)
        )
        for number, page in enumerate(self.photo.pages, 1):
            self._denoise_page(page, number, denoiser, advance)

    def _denoise_page(
        self, page: Page, number: int, denoiser: BandDenoiser, advance: Callable[[int], None]
    ) -> None:
        assert self._writer is not None
        settings = self.settings
        noise_map = sheet = None
        before: SampleReader | None = None
        if settings.noise_map:
            noise_map = NoiseMap(self.job.beside("noise", number), page.height, page.width)
            self._maps.append(noise_map)
        if settings.compare:
            sheet = CompareSheet(page)
            self._sheets.append(sheet)
            before = page.another_reader()
        y = 0
        for band in denoiser.bands(
            page,
            strength=settings.strength,
            chroma_strength=settings.chroma_strength,
            ensemble=settings.ensemble,
        ):
            rows = len(band.rgb)
            self._writer.write(band.rgb)
            self.noise.total += float(band.noise_level.sum(dtype="float64"))
            self.noise.count += band.noise_level.size
            if noise_map is not None:
                noise_map.add(band.noise_level)
            if sheet is not None and before is not None:
                sheet.add(page.seen(before.read(y, y + rows)), band.rgb, band.noise_level)
            y += rows
            advance(rows * page.width)
        if before is not None and before is not page.reader:
            before.close()

    def save(self) -> None:
        """Encode, and give the files their names, the photo's last. Raises `ImageWriteError`."""
        if self.record is None:
            self._save()
        else:
            with before_naming(self._expect):
                self._save()

    def _expect(self, path: Path, sha256: str) -> None:
        """Record a file; raise `ImageWriteError` if the one that it replaces changed meanwhile."""
        assert self.record is not None
        if path in self._made_before and os.path.lexists(path):
            self._check_made_before(path)
        self.record.expect(path, sha256, os.path.realpath(self.job.input), self.input_sha256)
        self.hashes[path] = sha256

    def _save(self) -> None:
        assert self.photo is not None
        assert self._writer is not None
        # One that took the place of an older one stays, whatever comes: the older is gone.
        new = {path for path in self.asides(len(self.photo.pages)) if not os.path.lexists(path)}
        made: list[Path] = []
        turn = self.photo.metadata.orientation
        try:
            for noise_map in self._maps:
                noise_map.save(turn, overwrite=self._replaces(noise_map.path))
                made.append(noise_map.path)
            for number, sheet in enumerate(self._sheets, 1):
                path = self.job.beside("compare", number)
                sheet.save(path, turn, overwrite=self._replaces(path))
                made.append(path)
            self._writer.commit()
        except BaseException:
            for path in new.intersection(made):
                with contextlib.suppress(OSError):
                    path.unlink()
            raise

    def asides(self, pages: int = 1) -> list[Path]:
        """What is written beside the output, for its first pages."""
        return self.job.asides(self.settings.marks, pages)

    def has_asides(self, pages: int) -> bool:
        """Whether what goes beside the output is there, also by the names that a call with other
        photos gave it.
        """
        if all(os.path.isfile(path) for path in self.asides(pages)):
            return True
        assert self.record is not None
        relabelled = self.job.relabelled().asides(self.settings.marks, pages)
        made = [self.record.made(path) for path in relabelled]
        return all(each is not None and self._is_own(each) for each in made)

    def close(self) -> None:
        """Let go of everything; nothing is left of what was not saved."""
        if self._writer is not None:
            self._writer.discard()
        for noise_map in self._maps:
            noise_map.close()
        if self.photo is not None:
            self.photo.close()


def _elsewhere(record: Path | None) -> str:
    """What to do about a file that no run recorded here."""
    if record is None:
        return "(runs over folders or with --resume keep one); pass --overwrite to replace it"
    return (
        f"here; there is one in {shown(record.parent)}: resume that run, with its inputs and its "
        "--output, or pass --overwrite to replace the file"
    )
