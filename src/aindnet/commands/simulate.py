"""`aindnet simulate`: clean photos through the synthetic camera."""

from __future__ import annotations

import hashlib
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np
from cyclopts import Parameter, validators

from aindnet.errors import AindnetError, ImageReadError, ImageWriteError

if TYPE_CHECKING:
    from torch import Generator

    from aindnet.camera import CameraRecipe, SensorNoise


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
    as_json: Annotated[bool, Parameter(name="--json", negative="")] = False,
) -> int:
    """Photograph clean photos with a noisy camera; OUTPUT becomes a folder of pairs.

    OUTPUT/noisy, OUTPUT/clean and OUTPUT/noise-level (32-bit float TIFF, σ on the [0, 1] scale)
    hold files of the same names, ready for `aindnet evaluate pairs`. Bursts (--frames) are folders
    OUTPUT/noisy/NAME of frames, ready for `aindnet adapt --burst OUTPUT/noisy`.

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
        σ_s of the paper's formula, variance = σ_s²·L + σ_c²; needs --read.
    read
        σ_c of the paper's formula.
    pipeline
        "broad": processing and JPEG as in camera files; "paper": the paper's camera.
    frames
        Of each photo so many, by the same camera: a burst.
    one_camera
        All photos by one camera, with the same response, processing and compression.
    seed
        Each photo's camera and noise follow from this and its name.
    as_json
        Print one JSON document instead of lines.
    """
    from aindnet.camera import CameraRecipe

    sensor = _sensor(camera_name, iso, shot, read)
    recipe = CameraRecipe() if pipeline == "broad" else CameraRecipe.paper()
    shots = _Shots(seed, frames, one_camera)
    results, failed = [], False
    taken: dict[Path, Path] = {}
    for path, name in _photos(clean):
        entry: dict[str, object] = {"input": str(path), "status": "done", "error": None}
        try:
            other = taken.setdefault(name.with_suffix(""), path)
            if other != path:
                raise ImageWriteError(
                    f"{path}: {other} has that name already under {output}; give it an --output "
                    "of its own"
                )
            entry |= _photograph(path, name, output, recipe, sensor, shots)
        except AindnetError as error:
            failed = True
            entry |= {"status": "failed", "error": str(error)}
            print(f"aindnet: {error}", file=sys.stderr)
        else:
            print(f"{path} → {entry['output']} (σ {entry['noise_level']:.4f})", file=sys.stderr)
        results.append(entry)
    if as_json:
        print(json.dumps({"results": results}, ensure_ascii=False))
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
    if camera_name is not None and iso is not None:
        try:
            return camera_noise(camera_name, iso)
        except KeyError as error:
            raise UnknownCameraError(str(error.args[0])) from error
    if shot is not None and read is not None:
        # The formula's squares are the affine form's coefficients.
        return SensorNoise(torch.full((1, 3), shot**2), torch.full((1, 3), read**2), "affine")
    return None


def _photos(inputs: list[Path]) -> list[tuple[Path, Path]]:
    """Each photo, and its name below the output's folders."""
    from aindnet.photo.arrays import PLAIN_SUFFIXES

    found: list[tuple[Path, Path]] = []
    for path in inputs:
        if path.is_dir():
            inside = sorted(p for p in path.rglob("*") if p.suffix.lower() in PLAIN_SUFFIXES)
            if not inside:
                raise ImageReadError(f"{path}: no photo in this folder that `simulate` reads")
            found.extend((each, each.relative_to(path)) for each in inside)
        else:
            found.append((path, Path(path.name)))
    return found


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
    import torch

    digest = hashlib.sha256(text.encode(errors="surrogateescape")).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:8], "big") >> 1)


def _photograph(
    path: Path,
    name: Path,
    output: Path,
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
    clean = image if image.dtype == np.uint8 else np.round(to_rgb(image) * 255).astype(np.uint8)
    noisy_file = (output / "noisy" / name).with_suffix(".png")
    if shots.frames > 1:
        noisy_file = noisy_file.with_suffix("")
    levels = []
    for frame in range(shots.frames):
        camera, noise = shots.generators(name, frame)
        noisy, level = photograph(rgb, camera, recipe, sensor=sensor, noise_generator=noise)
        eight_bit = (noisy[0].permute(1, 2, 0) * 255).round().to(torch.uint8).numpy()
        path = noisy_file / f"{frame:03}.png" if shots.frames > 1 else noisy_file
        make_folder(path.parent)
        write_image(path, np.ascontiguousarray(eight_bit))
        levels.append(level[0].permute(1, 2, 0).numpy())
    for folder, suffix, picture in (
        ("clean", ".png", clean),
        ("noise-level", ".tif", np.ascontiguousarray(np.mean(levels, axis=0))),
    ):
        file = (output / folder / name).with_suffix(suffix)
        make_folder(file.parent)
        write_image(file, picture)
    return {"output": str(noisy_file), "noise_level": float(np.mean(levels))}
