"""`aindnet denoise`: photos, files or whole folders, with nothing of them lost."""

from __future__ import annotations

import json
import math
import os
import sys
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Parameter

from aindnet.errors import AindnetError

_Flag = Parameter(negative=())


def denoise(
    inputs: Annotated[list[Path], Parameter(name="INPUT", negative=())],
    /,
    *,
    output: Path | None = None,
    model: str | None = None,
    camera: str | None = None,
    strength: float = 1.0,
    chroma_strength: float | None = None,
    noise_map: Annotated[bool, _Flag] = False,
    compare: Annotated[bool, _Flag] = False,
    ensemble: Annotated[bool, _Flag] = False,
    backend: Literal["auto", "torch", "openvino", "onnx"] = "auto",
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto",
    precision: Literal["auto", "fp32", "bf16", "fp16", "int8"] = "auto",
    compiled: Annotated[bool, Parameter(name="--compile", negative=())] = False,
    tile: int | None = None,
    encoding: Literal["auto", "srgb", "linear"] = "auto",
    half_size: Annotated[bool, _Flag] = False,
    pixel_limit: float = 500.0,
    resume: Annotated[bool, _Flag] = False,
    overwrite: Annotated[bool, _Flag] = False,
    jobs: int = 2,
    json_output: Annotated[bool, Parameter(name="--json", negative=())] = False,
) -> int:
    """Denoise photos: files or whole folders.

    Parameters
    ----------
    inputs
        Photos and folders of photos: JPEG, PNG, TIFF, WebP, AVIF, HEIC, JPEG XL, RAW.
    output
        A folder, in which folders are mirrored; or, for one photo, a file name. Without it, results
        stand beside their inputs as NAME.denoised.EXT.
    model
        A model that `aindnet models` lists, or a weights file; left out, the default, or the one
        that the camera profile was adapted from.
    camera
        A camera profile; "auto" or a folder: the profile of each photo's camera.
    strength
        How much of the change to make: 0 none, 1 all.
    chroma_strength
        The same for colour noise alone; nothing in grey photos.
    noise_map
        Write the estimated noise level beside each result, as NAME.noise.png.
    compare
        Write before and after side by side beside each result, as NAME.compare.png.
    ensemble
        Average eight mirrored and turned passes: a little better on most photos, eight times
        slower.
    backend
        What runs the network; auto: the fastest that is installed, or that `aindnet benchmark
        --remember` found.
    device
        Where it runs; auto: on a GPU, if PyTorch has one.
    precision
        Format of its numbers; auto: bf16 where the processor is fast in it, else fp32. fp16 is
        for torch on a GPU, int8 for openvino: it loses a little.
    compiled
        Let PyTorch compile the network first, half a minute or more: for many photos on a GPU.
    tile
        Side of the tiles in pixels, at least 576 with the default model and 384 with the other
        bundled ones; a multiple of 32, or the next one.
    encoding
        The tone curve, where a file's profile is missing or wrong: srgb, as on screens, or linear.
    half_size
        Develop RAW files at half the width and height, as a preview.
    pixel_limit
        Megapixels above which a file is refused, as one made to fill the memory; 0 lifts the limit.
    resume
        Skip what an earlier run of the same settings finished, of an earlier version too; results
        that you changed since, or that are of other photos, or of another content of a photo's
        file, are never replaced.
    overwrite
        Replace files that exist.
    jobs
        Photos in work at once: the next is read and the last is written meanwhile.
    json_output
        Print one JSON document on stdout.
    """
    from aindnet.commands.batch.jobs import Job, find_jobs
    from aindnet.commands.batch.progress import RunProgress
    from aindnet.commands.batch.runner import BatchRunner
    from aindnet.commands.batch.settings import Settings
    from aindnet.commands.signals import terminate_like_ctrl_c

    _check(strength, chroma_strength, jobs, pixel_limit)
    settings = Settings(
        strength=strength,
        chroma_strength=chroma_strength,
        ensemble=ensemble,
        noise_map=noise_map,
        compare=compare,
        overwrite=overwrite,
        resume=resume,
        encoding=encoding,
        half_size=half_size,
        pixel_limit=round(pixel_limit * 1e6) if pixel_limit else None,
    )
    found = find_jobs(inputs, output, settings.marks)
    denoiser: Any = None
    by_camera: Any = None
    if any(isinstance(job, Job) for job in found):
        options = {
            "backend": backend,
            "device": device,
            "precision": precision,
            "compiled": compiled,
            "tile": tile,
        }
        folder = _camera_folder(camera)
        profile = Path(camera) if camera and folder is None else None
        denoiser = _load(model, profile, options)
        if folder is not None:
            by_camera = _by_camera(denoiser, folder, model, options)
        print(f"aindnet: {_running(denoiser)}", file=sys.stderr)
    keeps_record = resume or any(os.path.isdir(path) for path in inputs)
    with RunProgress(found) as progress:
        runner = BatchRunner(
            denoiser or _Nothing(),
            settings,
            progress,
            backend=_choices(denoiser, tile, compiled, by_camera.identity if by_camera else camera),
            choose=by_camera,
            keep_record=keeps_record,
            in_flight=jobs,
        )
        with terminate_like_ctrl_c():
            outcomes = runner.run(found)
    progress.summary(outcomes, interrupted=runner.interrupted, can_resume=keeps_record)
    if json_output:
        print(
            json.dumps(
                {
                    "model": getattr(denoiser, "model_name", None),
                    **{
                        each: getattr(denoiser, each, None)
                        for each in ("backend", "device", "precision")
                    },
                    "results": [
                        {
                            "input": os.fspath(outcome.input),
                            "output": None if outcome.output is None else os.fspath(outcome.output),
                            "seconds": round(outcome.seconds, 3),
                            "noise_level": outcome.noise_level,
                            "status": outcome.status,
                            "error": outcome.error,
                            "notices": outcome.notices,
                        }
                        for outcome in outcomes
                    ],
                },
                indent=2,
            )
        )
    if runner.interrupted:
        return 130
    return 1 if any(outcome.status == "failed" for outcome in outcomes) else 0


class _Nothing:
    """Stands where every input was refused, so that no model had to be loaded."""

    model_name = "none"
    model_hash = ""

    def bands(self, source: Any, **options: Any) -> Any:
        """Never called."""
        raise AssertionError


def _check(
    strength: float,
    chroma_strength: float | None,
    jobs: int,
    pixel_limit: float,
) -> None:
    for name, value in (("--strength", strength), ("--chroma-strength", chroma_strength)):
        if value is not None and not 0.0 <= value <= 1.0:
            raise AindnetError(f"{name} {value:g}: must be from 0 (no change) to 1 (all of it)")
    if jobs < 1:
        raise AindnetError(f"--jobs {jobs}: must be at least 1")
    if not 0 <= pixel_limit < math.inf:
        raise AindnetError(f"--pixel-limit {pixel_limit:g}: must be megapixels, or 0 for none")


def _load(model: str | None, camera: Path | None, options: dict[str, Any]) -> Any:
    from aindnet.pretrained.camera_profile import model_for
    from aindnet.restore import Denoiser

    try:
        denoiser = Denoiser.from_pretrained(model_for(model, camera), **options)
    except ValueError as error:
        if options["tile"] is None:
            raise
        raise AindnetError(f"--{error}") from error  # "tile 64: must be …"
    if camera is not None:
        denoiser.load_camera(camera)
    return denoiser


def _running(denoiser: Any) -> str:
    """What was chosen where "auto" was asked for."""
    from aindnet.restore.backends.measured import Fastest, measured_fastest

    chosen = Fastest(denoiser.backend, denoiser.device, denoiser.precision)
    running = f"{denoiser.model_name}, {chosen.backend} on {chosen.device} in {chosen.precision}"
    return f"{running}, the fastest measured here" if chosen == measured_fastest() else running


def _camera_folder(camera: str | None) -> Path | None:
    """The folder of profiles that `--camera` means; None where it means a profile, or nothing."""
    if camera == "auto":
        from aindnet.pretrained.camera_folder import camera_folder

        return camera_folder()
    return Path(camera) if camera and os.path.isdir(camera) else None


def _by_camera(denoiser: Any, folder: Path, model: str | None, options: dict[str, Any]) -> Any:
    from aindnet.commands.batch.cameras import DenoiserByCamera
    from aindnet.pretrained.files import model_hashes

    others = () if model else model_hashes().keys()
    return DenoiserByCamera(
        denoiser, folder, lambda profile: _load(model, profile, options), others
    )


def _choices(denoiser: Any, tile: int | None, compiled: bool, camera: str | None) -> dict[str, Any]:
    """What was chosen in loading that decides a result; `camera` is a profile or a hash."""
    if denoiser is None:
        return {}
    from aindnet.commands.batch.manifest import hash_bytes_of

    return {
        "backend": denoiser.backend,
        "device": denoiser.device,
        "precision": denoiser.precision,
        "tile": tile,
        **({"compiled": True} if compiled else {}),
        "camera": hash_bytes_of(Path(camera)) if camera and os.path.isfile(camera) else camera,
    }
