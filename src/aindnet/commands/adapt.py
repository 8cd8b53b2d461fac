"""`aindnet adapt`: the denoiser fitted to one's own camera, from pairs or from a burst."""

from __future__ import annotations

import datetime
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from aindnet.errors import (
    AdaptationError,
    BurstError,
    ImageWriteError,
    NoGainError,
    TooFewPairsError,
    UnusablePairsError,
)

if TYPE_CHECKING:
    from aindnet.photo.exif import Camera
    from aindnet.training.transfer.adapt import Adaptation, AdaptationRecipe
    from aindnet.training.transfer.pairs import PhotoPair


def adapt(
    *,
    pairs: Annotated[tuple[Path, ...], Parameter(negative=(), consume_multiple=True)] = (),
    burst: Annotated[tuple[Path, ...], Parameter(negative=(), consume_multiple=True)] = (),
    noisy: Path | None = None,
    layout: Annotated[tuple[str, ...], Parameter(negative=(), consume_multiple=True)] = (),
    only: str | None = None,
    output: Path | None = None,
    model: str | None = None,
    method: Literal["transfer", "retrain", "scratch"] | None = None,
    budget: str | None = None,
    recipe: Path | None = None,
    name: str | None = None,
    check: Annotated[bool, Parameter(negative=())] = False,
    seed: int | None = None,
    json_output: Annotated[bool, Parameter(name="--json", negative=())] = False,
) -> int:
    """Adapt the denoiser to your camera and write a camera profile.

    Nothing is written if the adapted weights do not help on parts of your photos that were held
    out. `docs/adapting.md` says how to take the photos.

    Parameters
    ----------
    pairs
        Folder with noisy/NAME.ext and clean/NAME.ext, or a data set: see --layout. Several may be
        given.
    burst
        Folder of frames of one still scene from a tripod, or of such folders; may be repeated.
    noisy
        Folder of noisy photos alone (experimental): they are denoised, and made noisy again with
        the noise measured on their flat parts.
    layout
        How each of --pairs is laid out: pairs, or a data set as `aindnet evaluate` reads it: polyu,
        cc, nam, renoir, nind, sidd, sidd-training, sidd-sample. Scenes are the data set's own.
    only
        Of a data set, the pairs whose names contain this: Canon5D2, _S6_.
    output
        The profile: my-camera.safetensors. With --method retrain or scratch, a whole model.
    model
        The model to start from: a name or a weights file.
    method
        transfer (the default): a small part of the weights; retrain: all; scratch: all, from
        nothing.
    budget
        Time to train ("10m", the default) or steps ("400 steps").
    recipe
        YAML file with fields of `AdaptationRecipe`: learning rate, crop, what is mixed in.
        --method, --budget and --seed go before it.
    name
        Of the camera; by default as EXIF names it.
    check
        Only say which photos can be used, and why others cannot.
    seed
        Of the crops and the split.
    json_output
        Print one JSON document on stdout.
    """
    if sum((bool(pairs), bool(burst), noisy is not None)) != 1:
        raise AdaptationError("give one of --pairs DIR, --burst DIR and --noisy DIR")
    if layout and len(layout) != len(pairs):
        raise AdaptationError("--layout says of each of --pairs what it is: give one for each")
    if only is not None and set(layout) <= {"pairs"}:
        raise AdaptationError("--only goes with a data set's --layout")
    if output is None and not check:
        raise AdaptationError("say where to write the profile: --output my-camera.safetensors")
    if output is not None and output.suffix != ".safetensors":
        raise AdaptationError(f"{output}: a camera profile's name ends in .safetensors")
    if output is not None:
        _check_writable(output)
    settings = _recipe(recipe, {"method": method, "budget": budget, "seed": seed})
    if pairs:
        layouts = layout or ("pairs",) * len(pairs)
        usable, cameras, rejected, corrected = _from_pairs(pairs, layouts, only, check=check)
        if corrected:
            worst = max(corrected, key=lambda photo: abs(corrected[photo]))
            _say(
                f"{len(corrected)} clean sides were matched to their noisy sides' exposure, most "
                f"{worst} ({corrected[worst]:+.1f} %); --json names all"
            )
    elif noisy is not None:
        corrected = {}
        usable, cameras, rejected = *_from_noisy(noisy, model, seed or 0), {}
        _say("experimental: the gain below is on photos made noisy again, not on real noise")
    else:
        corrected = {}
        usable, cameras, rejected = _from_bursts(burst)
    for photo, reason in rejected.items():
        _say(f"not used: {photo}: {reason}")
    scenes = len({pair.scene for pair in usable})
    _say(f"{len(usable)} pairs of {scenes} scenes can be used")
    document: dict[str, Any] = {
        "pairs": [pair.name for pair in usable],
        "scenes": scenes,
        "rejected": rejected,
        "exposure_matched": corrected,
    }
    if check or output is None:
        return _end(document, json_output, 1 if rejected else 0)
    if not usable:
        raise UnusablePairsError("no pair is left; docs/adapting.md says how to take better ones")
    if len(usable) < 2:
        raise TooFewPairsError("one pair only: take at least two, better four, of other scenes")
    try:
        source = "noisy photos alone" if noisy else "burst" if burst else "pairs"
        result, about = _adapt(usable, cameras, output, model, settings, name, source)
    except NoGainError as error:
        print(f"aindnet: {error}", file=sys.stderr)
        return _end(document | {"output": None, "error": str(error)}, json_output, 1)
    gain = result.gain
    _say(
        f"wrote {output}: {gain.decibels:+.2f} dB over the base on held-out patches "
        f"(95 % {gain.low:+.2f} … {gain.high:+.2f}, {gain.patches} patches)"
    )
    return _end(document | {"output": str(output), "about": about}, json_output, 0)


def _recipe(path: Path | None, flags: dict[str, Any]) -> AdaptationRecipe:
    from aindnet.training.recipe_files import read_recipe
    from aindnet.training.transfer.adapt import AdaptationRecipe

    given = {name: value for name, value in flags.items() if value is not None}
    if path is None:
        return AdaptationRecipe(**given)
    return replace(read_recipe(path, AdaptationRecipe, command="aindnet adapt"), **given)


def _check_writable(output: Path) -> None:
    """Find out before the training that nothing can be written, or that it would replace a file."""
    if output.exists():
        raise ImageWriteError(f"{output}: exists already; remove it, or give another name")
    folder = next(parent for parent in output.absolute().parents if parent.exists())
    if not folder.is_dir() or not os.access(folder, os.W_OK):
        raise ImageWriteError(f"{output}: {folder} cannot be written to; give another place")


def _from_pairs(
    folders: Sequence[Path], layouts: Sequence[str], only: str | None, *, check: bool
) -> tuple[list[PhotoPair], list[Camera], dict[str, str], dict[str, float]]:
    """Usable pairs, their cameras, why others are not used, and exposures matched, in per cent."""
    from aindnet.commands.adaptation.photos import marks, read_dataset, read_pairs
    from aindnet.training.transfer.inspection import inspect, matched

    usable: list[PhotoPair] = []
    cameras: list[Camera] = []
    rejected: dict[str, str] = {}
    corrected: dict[str, float] = {}
    for folder, layout, mark in zip(folders, layouts, marks(folders), strict=True):
        taken: dict[str, Camera] = {}
        if layout == "pairs":
            found = read_pairs(folder)
            pairs, taken = found.pairs, found.cameras
            rejected |= {mark + name: reason for name, reason in found.broken.items()}
            if found.broken and not check:
                name, reason = next(iter(found.broken.items()))
                raise UnusablePairsError(
                    f"{folder}: {name}: {reason} (one of {len(found.broken)}; --check lists them)"
                )
        else:
            pairs = read_dataset(layout, folder, only)
        swapped = 0
        for pair in pairs:
            inspection = inspect(pair)
            if inspection.problems:
                rejected[mark + pair.name] = "; ".join(inspection.problems)
                swapped += "swap" in rejected[mark + pair.name]
                continue
            if pair.name in taken:
                cameras.append(taken[pair.name])
            good = pair
            if inspection.corrected:
                good = matched(pair)
                corrected[mark + pair.name] = round(100 * (inspection.gain - 1), 1)
            usable.append(replace(good, name=mark + pair.name, scene=mark + pair.scene))
        if swapped and swapped == len(pairs):
            raise UnusablePairsError(
                f"{folder}: in every pair the clean photo is the noisier one; swap the two folders"
            )
    return usable, cameras, rejected, corrected


def _from_bursts(folders: tuple[Path, ...]) -> tuple[list[PhotoPair], list[Camera], dict[str, str]]:
    from aindnet.commands.adaptation.photos import read_bursts
    from aindnet.training.transfer.burst import burst_pairs, check_burst

    usable: list[PhotoPair] = []
    cameras: list[Camera] = []
    rejected: dict[str, str] = {}
    for burst in read_bursts(folders):
        scene = burst.scene
        rejected |= {f"{scene}/{frame}": reason for frame, reason in burst.broken.items()}
        try:
            found = check_burst(scene, burst.frames)
        except BurstError as error:
            rejected[scene] = str(error).removeprefix(f"{scene}: ")
            continue
        rejected |= {f"{scene}/{frame}": reason for frame, reason in found.left_out.items()}
        usable += burst_pairs(found)
        cameras += [burst.cameras[frame.name] for frame in found.frames]
    return usable, cameras, rejected


def _from_noisy(folder: Path, model: str | None, seed: int) -> tuple[list[PhotoPair], list[Camera]]:
    import torch

    from aindnet.commands.adaptation.photos import read_bursts
    from aindnet.restore import Denoiser
    from aindnet.training.transfer.pseudo import Denoised, noise_of, pseudo_pairs

    denoiser = Denoiser.from_pretrained(model)
    photos: list[Denoised] = []
    cameras: list[Camera] = []
    for group in read_bursts([folder]):
        for name, reason in group.broken.items():
            _say(f"not used: {name}: {reason}")
        photos += [
            Denoised(f"{group.scene}/{frame.name}", frame.image, denoiser(frame.image).image)
            for frame in group.frames
        ]
        cameras += group.cameras.values()
    noise = noise_of(photos)
    level = 255 * float(noise.level(torch.full((1, 3, 1, 1), 0.5)).mean())
    _say(f"noise of {level:.1f} of 255 at mid-grey, from {noise.blocks} flat blocks")
    return pseudo_pairs(photos, noise, seed=seed), cameras


def _adapt(
    pairs: list[PhotoPair],
    cameras: list[Camera],
    output: Path,
    model: str | None,
    recipe: AdaptationRecipe,
    name: str | None,
    source: str,
) -> tuple[Adaptation, dict[str, Any]]:
    from aindnet.commands.adaptation.photos import camera_of
    from aindnet.pretrained import ModelCard, load_model, save_camera_profile, save_model
    from aindnet.training.transfer.adapt import adapt
    from aindnet.training.transfer.methods import PROFILE_METHODS

    base = load_model(model)
    if base.network.config.image_channels != 3:
        raise AdaptationError(f"{base.card.name} is for grey photos; adapt a colour model")
    with _Bar() as bar:
        result = adapt(base.network, pairs, recipe, watcher=bar.update)
    gain = result.gain
    if not gain.certain:
        raise NoGainError(
            f"the adapted weights are not surely better than {base.card.name} on held-out patches "
            f"({gain.decibels:+.2f} dB, 95 % {gain.low:+.2f} … {gain.high:+.2f}): nothing was "
            f"written; more pairs, other scenes or a longer --budget may help"
        )
    make, camera_model, iso = camera_of(cameras)
    about = {
        "camera": name or camera_model or output.stem,
        "make": make,
        "model": camera_model,
        "iso": iso,
        "method": recipe.method,
        "source": source,
        "pairs": len(pairs),
        "scenes": len({pair.scene for pair in pairs}),
        "gain_db": round(gain.decibels, 3),
        "gain_interval_db": [round(gain.low, 3), round(gain.high, 3)],
        "held_out": "other scenes" if result.by_scene else "strips of the same photos",
        "held_out_patches": gain.patches,
        "share": result.share,
        "steps": result.steps,
        "seconds": round(result.seconds),
        "date": datetime.date.today().isoformat(),
    }
    if recipe.method in PROFILE_METHODS:
        save_camera_profile(output, result.network, base, about)
    else:
        card = ModelCard(
            name=output.stem,
            description=f"{base.card.name} for {about['camera']}, all weights ({recipe.method}).",
            licence="as the photos that it was adapted with",
            trained_on=f"{about['pairs']} pairs of {about['camera']}",
            recipe=json.dumps(about),
            date=str(about["date"]),
        )
        save_model(output, result.network, card)
    return result, about


class _Bar:
    """A progress bar on a terminal; elsewhere a line at every quarter."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

        console = Console(file=sys.stderr)
        self.bar = Progress(
            TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:>3.0f} %"),
            TimeElapsedColumn(), console=console, disable=not console.is_terminal,
        )  # fmt: skip
        self.quarters = 0

    def __enter__(self) -> _Bar:
        self.bar.start()
        self.task = self.bar.add_task("adapting", total=1.0)
        return self

    def __exit__(self, *error: object) -> None:
        self.bar.stop()

    def update(self, progress: float, loss: float) -> None:
        """Move the bar."""
        self.bar.update(self.task, completed=progress, description=f"adapting, loss {loss:.4f}")
        if self.bar.disable and int(4 * progress) > self.quarters:
            self.quarters = int(4 * progress)
            _say(f"adapting: {25 * self.quarters} %, loss {loss:.4f}")


def _say(text: str) -> None:
    print(f"aindnet: {text}", file=sys.stderr)


def _end(document: dict[str, Any], as_json: bool, code: int) -> int:
    if as_json:
        print(json.dumps(document, ensure_ascii=False, indent=2))
    return code
