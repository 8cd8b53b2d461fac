"""`aindnet simulate`: clean photos through the synthetic camera."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np
from cyclopts import Parameter, validators

from aindnet.commands.simulation.files import SIDES, SimulatedFiles, identity_of
from aindnet.errors import (
    AindnetError,
    DeviceMemoryError,
    ImageReadError,
    ImageWriteError,
    InvalidImageError,
)

if TYPE_CHECKING:
    from torch import Generator, Tensor

    from aindnet.camera import CameraRecipe, SensorNoise
    from aindnet.photo.pixels import Image


HIGHEST_ISO = 10_000_000
"""Beyond what any camera has."""
LARGEST_SIGMA = 10
"""Of noise that is stated: nothing of a photo is left long before."""


class UnknownCameraError(AindnetError):
    """A camera whose noise was never measured."""


def simulate(
    clean: Annotated[list[Path], Parameter(consume_multiple=True)],
    /,
    *,
    output: Annotated[Path, Parameter(alias="-o")],
    camera_name: str | None = None,
    iso: float | None = None,
    shot: float | None = None,
    read: float | None = None,
    pipeline: Literal["broad", "paper"] = "broad",
    frames: Annotated[int, Parameter(validator=validators.Number(gte=1))] = 1,
    one_camera: Annotated[bool, Parameter(negative="")] = False,
    seed: int = 0,
    overwrite: Annotated[bool, Parameter(negative="")] = False,
    as_json: Annotated[bool, Parameter(name="--json", negative="")] = False,
) -> int:
    """Photograph clean photos with a noisy camera; OUTPUT becomes a folder of pairs.

    OUTPUT/noisy, OUTPUT/clean and OUTPUT/noise-level (32-bit float TIFF, σ on the [0, 1] scale)
    hold files of the same names, ready for `aindnet evaluate pairs`. Bursts (--frames) are folders
    OUTPUT/noisy/NAME of frames, ready for `aindnet adapt --burst OUTPUT/noisy`. A grey photo gives
    grey files.

    Parameters
    ----------
    clean
        Photos (JPEG, PNG, TIFF, WebP, AVIF), or folders of photos, which are mirrored.
    output
        Folder to write to.
    camera_name
        A measured camera, such as "Nikon D800"; needs --iso.
    iso
        ISO setting of that camera.
    shot
        σ_s of the paper's formula, variance = σ_s²·L + σ_c² on linear light L, white at 1, before
        the pipeline; needs --read.
    read
        σ_c of the paper's formula.
    pipeline
        "broad": smoothing and JPEG as in camera files; "paper": the paper's camera. Both have a
        mosaic and a response curve, and so change a sensor's noise; random gains on it (white
        balance, chroma, what smoothing keeps) are left out with --camera-name or --shot.
    frames
        Of each photo so many, by the same camera: a burst.
    one_camera
        All photos by one camera, with the same response, processing and compression.
    seed
        Each photo's camera and noise follow from this and its name.
    overwrite
        Replace files that exist, and remove the further frames of a longer burst, and what was
        left by a run with --frames where this is one without, or the other way round.
    as_json
        Print one JSON document instead of lines.
    """
    from aindnet.camera import CameraRecipe
    from aindnet.photo.paths import shown

    sensor = _sensor(camera_name, iso, shot, read)
    recipe = CameraRecipe() if pipeline == "broad" else CameraRecipe.paper()
    if sensor is not None:
        recipe = without_gains(recipe)
    shots = _Shots(seed, frames, one_camera)
    results: list[dict[str, object]] = []
    failed = False
    taken: dict[Path, Path] = {}
    photos, refused = _photos(clean, output)
    for place, error in refused:
        failed = True
        results.append({"input": str(place), "status": "failed", "error": str(error)})
        print(f"aindnet: {shown(str(error))}", file=sys.stderr)
    inputs = {identity for path, _ in photos if (identity := identity_of(path)) is not None}
    for path, name in photos:
        entry: dict[str, object] = {"input": str(path), "status": "done", "error": None}
        try:
            other = taken.setdefault(name.with_suffix(""), path)
            if other != path:
                raise ImageWriteError(
                    f"{path}: {other} has that name already under {output}; give it an --output "
                    "of its own"
                )
            files = SimulatedFiles(output, name, frames)
            files.check(inputs, overwrite=overwrite)
            with _naming(path):
                entry |= _photograph(path, files, recipe, sensor, shots)
        except AindnetError as error:
            failed = True
            entry |= {"status": "failed", "error": str(error)}
            print(f"aindnet: {shown(str(error))}", file=sys.stderr)
        else:
            made = shown(str(entry["output"]))
            print(f"{shown(path)} → {made} (σ {entry['noise_level']:.4f})", file=sys.stderr)
        results.append(entry)
    if as_json:
        print(json.dumps({"results": results}))  # in ASCII: not every name is UTF-8
    return 1 if failed else 0


def _sensor(
    camera_name: str | None, iso: float | None, shot: float | None, read: float | None
) -> SensorNoise | None:
    import torch

    from aindnet.camera import SensorNoise, camera_noise

    if (camera_name is None) != (iso is None) or (shot is None) != (read is None):
        raise AindnetError("give --camera-name with --iso, or --shot with --read")
    if camera_name is not None and shot is not None:
        raise AindnetError("give either a camera or --shot and --read, not both")
    if iso is not None and not 0 < iso <= HIGHEST_ISO:
        raise AindnetError(
            f"--iso {iso:g}: must be an ISO setting above 0 and up to {HIGHEST_ISO:,}, such as 3200"
        )
    for flag, value in (("--shot", shot), ("--read", read)):
        if value is not None and not 0 <= value <= LARGEST_SIGMA:
            raise AindnetError(
                f"{flag} {value:g}: must be a standard deviation, 0 to {LARGEST_SIGMA}, where "
                "white is 1"
            )
    if camera_name is not None and iso is not None:
        try:
            return camera_noise(camera_name, iso)
        except KeyError as error:
            raise UnknownCameraError(str(error.args[0])) from error
    if shot is not None and read is not None:
        # The formula's squares are the affine form's coefficients.
        return SensorNoise(torch.full((1, 3), shot**2), torch.full((1, 3), read**2), "affine")
    return None


def without_gains(recipe: CameraRecipe) -> CameraRecipe:
    """The recipe without what multiplies the noise of a sensor whose noise is stated."""
    one = (1.0, 1.0)
    return replace(recipe, white_balance=0.0, chroma_gain=one, kept=one, chroma_kept=one)


def _photos(
    inputs: list[Path], output: Path
) -> tuple[list[tuple[Path, Path]], list[tuple[Path, ImageReadError]]]:
    """Each photo, and its name below the output's folders; and the folders that cannot be read."""
    from aindnet.photo.arrays import PLAIN_SUFFIXES
    from aindnet.photo.paths import reason, shown

    found: list[tuple[Path, Path]] = []
    refused: list[tuple[Path, ImageReadError]] = []

    def refuse(error: OSError) -> None:
        folder = Path(error.filename)
        refused.append((folder, ImageReadError(f"{shown(folder)}: {reason(error)}")))

    for path in inputs:
        if not os.path.isdir(path):  # nor what cannot be reached: reading it says why
            found.append((path, Path(path.name)))
            continue
        before = len(refused)
        inside = sorted(
            each
            for each in _walk(path, output, refuse)
            if each.suffix.lower() in PLAIN_SUFFIXES and each.name[0] != "."
        )
        if not inside and len(refused) == before:
            nothing = ImageReadError(f"{path}: no photo in this folder that `simulate` reads")
            refused.append((path, nothing))
        found.extend((each, each.relative_to(path)) for each in inside)
    return found, refused


def _walk(folder: Path, output: Path, refuse: Callable[[OSError], None]) -> Iterator[Path]:
    """Files of a folder and those in it, but for what an earlier run wrote to an output inside."""
    made = {identity_of(place) for place in (output, *(output / side for side in SIDES))}
    made -= {identity_of(folder), None}
    for current, folders, names in os.walk(folder, onerror=refuse):
        at = Path(current)
        folders[:] = [name for name in folders if identity_of(at / name) not in made]
        yield from (at / name for name in names)


@dataclass(frozen=True)
class _Shots:
    """How photos are taken."""

    seed: int
    frames: int
    one_camera: bool

    def generators(self, name: Path, frame: int) -> tuple[Generator, Generator | None]:
        """What the camera is drawn with, and the noise where that is not the same."""
        photo = f"{self.seed}/{name.as_posix()}"
        if self.frames == 1 and not self.one_camera:
            return _seeded(photo), None
        return _seeded(str(self.seed) if self.one_camera else photo), _seeded(f"{photo}/{frame}")


def _seeded(text: str) -> Generator:
    """A generator that follows from a text.

    Of its seed PyTorch takes the lower 32 bits on the CPU: two texts in 4 billion share one.
    """
    import torch

    digest = hashlib.sha256(text.encode(errors="surrogateescape")).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:8], "big") >> 1)


@contextlib.contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Give errors that name no file the photo's name."""
    from aindnet.restore.backends.base import memory_errors

    try:
        with memory_errors("cpu"):
            yield
    except DeviceMemoryError as error:
        raise DeviceMemoryError(
            f"{path}: not enough memory for a photo of this size; crop it, or make it smaller"
        ) from error
    except InvalidImageError as error:
        raise InvalidImageError(f"{path}: {error}") from error


def _photograph(
    path: Path,
    files: SimulatedFiles,
    recipe: CameraRecipe,
    sensor: SensorNoise | None,
    shots: _Shots,
) -> dict[str, object]:
    import torch

    from aindnet.camera import simulate as photograph
    from aindnet.photo import read_image, to_rgb, write_image
    from aindnet.photo.atomic import make_folder

    image = read_image(path)
    rgb = torch.from_numpy(to_rgb(image)).permute(2, 0, 1)[None].clamp(0, 1)
    if min(rgb.shape[-2:]) < 8:
        raise ImageReadError(f"{path}: smaller than the 8×8 pixels that a camera is simulated on")
    channels = 1 if image.ndim == 2 else 3  # of grey photos the first, as in training

    def array(tensor: Tensor) -> Image:
        pixels = tensor[0, :channels].permute(1, 2, 0).numpy()
        return np.ascontiguousarray(pixels[..., 0] if channels == 1 else pixels)

    def eight_bit(tensor: Tensor) -> Tensor:
        return (tensor * 255).round().to(torch.uint8)

    left = [*files.further(), *files.of_other_kind()]  # by an earlier run: of another camera
    left += [file for side in ("clean", "noise-level") if os.path.lexists(file := files.of(side))]
    total = None
    for frame, file in enumerate(files.noisy()):
        camera, noise = shots.generators(files.name, frame)
        # Both pipelines leave the picture itself as it is, so the photo is the clean side.
        noisy, level, _ = photograph(rgb, camera, recipe, sensor=sensor, noise_generator=noise)
        total = level if total is None else total + level
        _remove(left)  # first: what a run leaves that is stopped here is no pair of both
        left = []
        make_folder(file.parent)
        write_image(file, array(eight_bit(noisy)))
    assert total is not None
    mean = array(total / shots.frames)
    clean = image if image.dtype == np.uint8 else array(eight_bit(rgb))
    for side, picture in (("clean", clean), ("noise-level", mean)):
        make_folder(files.of(side).parent)
        write_image(files.of(side), picture)
    return {"output": str(files.of("noisy")), "noise_level": float(mean.mean())}


def _remove(files: Sequence[Path]) -> None:
    """Remove files, and their folders where nothing else is in them."""
    for file in files:
        try:
            file.unlink()
        except OSError as error:
            raise ImageWriteError(f"{file}: cannot be removed ({error.strerror})") from error
    for folder in {file.parent for file in files}:
        with contextlib.suppress(OSError):
            folder.rmdir()
