"""`aindnet simulate`: clean photos through the synthetic camera."""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np
from cyclopts import Parameter

from aindnet.errors import AindnetError, ImageReadError, ImageWriteError

if TYPE_CHECKING:
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
    seed: int = 0,
    as_json: Annotated[bool, Parameter(name="--json", negative="")] = False,
) -> int:
    """Photograph clean photos with a noisy camera; OUTPUT becomes a folder of pairs.

    OUTPUT/noisy, OUTPUT/clean and OUTPUT/noise-level (32-bit float TIFF, σ on the [0, 1] scale)
    hold files of the same names, ready for `aindnet evaluate pairs`.

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
    seed
        Each photo's noise follows from this and its name.
    as_json
        Print one JSON document instead of lines.
    """
    from aindnet.camera import CameraRecipe

    sensor = _sensor(camera_name, iso, shot, read)
    recipe = CameraRecipe() if pipeline == "broad" else CameraRecipe.paper()
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
            entry |= _photograph(path, name, output, recipe, sensor, seed)
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


def _photograph(
    path: Path,
    name: Path,
    output: Path,
    recipe: CameraRecipe,
    sensor: SensorNoise | None,
    seed: int,
) -> dict[str, object]:
    import torch

    from aindnet.camera import simulate as photograph
    from aindnet.photo import read_image, to_rgb, write_image
    from aindnet.photo.atomic import make_folder

    image = read_image(path)
    rgb = torch.from_numpy(to_rgb(image)).permute(2, 0, 1)[None].clamp(0, 1)
    if min(rgb.shape[-2:]) < 8:
        raise ImageReadError(f"{path}: smaller than the 8×8 pixels that a camera is simulated on")
    digest = hashlib.sha256(f"{seed}/{name.as_posix()}".encode(errors="surrogateescape")).digest()
    generator = torch.Generator().manual_seed(int.from_bytes(digest[:8], "big") >> 1)
    noisy, level = photograph(rgb, generator, recipe, sensor=sensor)
    eight_bit = (noisy[0].permute(1, 2, 0) * 255).round().to(torch.uint8).numpy()
    clean = image if image.dtype == np.uint8 else np.round(to_rgb(image) * 255).astype(np.uint8)
    files = {
        folder: (output / folder / name).with_suffix(".tif" if folder == "noise-level" else ".png")
        for folder in ("noisy", "clean", "noise-level")
    }
    for file in files.values():
        make_folder(file.parent)
    write_image(files["noisy"], np.ascontiguousarray(eight_bit))
    write_image(files["clean"], clean)
    write_image(files["noise-level"], np.ascontiguousarray(level[0].permute(1, 2, 0).numpy()))
    return {"output": str(files["noisy"]), "noise_level": float(level.mean())}
