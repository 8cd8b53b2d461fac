"""`aindnet adapt`: the denoiser fitted to one's own camera, from pairs or from a burst."""

from __future__ import annotations

import datetime
import json
import math
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from aindnet.errors import (
    AdaptationError,
    NoGainError,
    TooFewPairsError,
    UnusablePairsError,
)

if TYPE_CHECKING:
    from aindnet.commands.adaptation.sources import Material
    from aindnet.pretrained import LoadedModel
    from aindnet.training.transfer.adapt import Adaptation
    from aindnet.training.transfer.recipe import AdaptationRecipe

LAYOUTS = (
    *("pairs", "polyu", "cc", "nam", "renoir", "nind"),
    *("sidd", "sidd-training", "sidd-sample"),
)

MANY_SHOTS = 40
"""Photos or bursts without scenes' folders, from which on comparing each with each takes long."""


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
    camera_make: str | None = None,
    camera_model: str | None = None,
    iso: Annotated[tuple[int, int] | None, Parameter(negative=())] = None,
    licence: str | None = None,
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
        Of a data set, the pairs whose names contain this: Canon5D2, or _S6_.
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
    camera_make
        What EXIF calls the camera's make, for `denoise --camera auto`; by default what the photos
        say.
    camera_model
        The same of its model.
    iso
        Lowest and highest ISO, for the same; by default the photos'.
    licence
        Of the profile, for its header: at most as free as the photos are. Where the model that it
        starts from is less free, the profile is so too.
    check
        Only say which photos can be used, and why others cannot.
    seed
        Of the crops and the split.
    json_output
        Print one JSON document on stdout.
    """
    from aindnet.commands.adaptation import sources
    from aindnet.photo.paths import shown
    from aindnet.pretrained.card import PHOTOS_LICENCE
    from aindnet.whole_files import require_new_file

    if sum((bool(pairs), bool(burst), noisy is not None)) != 1:
        raise AdaptationError("give one of --pairs DIR, --burst DIR and --noisy DIR")
    if layout and len(layout) != len(pairs):
        raise AdaptationError("--layout says of each of --pairs what it is: give one for each")
    for each in layout:
        if each not in LAYOUTS:
            raise AdaptationError(f"--layout {each}: there is no such; choose {', '.join(LAYOUTS)}")
    if only is not None and set(layout) <= {"pairs"}:
        raise AdaptationError("--only goes with a data set's --layout")
    texts = {"name": name, "camera-make": camera_make, "camera-model": camera_model}
    for flag, text in (texts | {"licence": licence}).items():
        if text is not None and not _writable(text):
            raise AdaptationError(f"--{flag} {shown(text)}: holds bytes that are not UTF-8")
    if iso is not None and not 0 < iso[0] <= iso[1]:
        raise AdaptationError(f"--iso {iso[0]} {iso[1]}: give the lowest and then the highest")
    if output is None and not check:
        raise AdaptationError("say where to write the profile: --output my-camera.safetensors")
    if output is not None and output.suffix != ".safetensors":
        raise AdaptationError(f"{output}: a camera profile's name ends in .safetensors")
    if output is not None and not check:
        require_new_file(output)
    settings = _recipe(recipe, {"method": method, "budget": budget, "seed": seed})
    base = None if check else _base(model)
    if pairs:
        layouts = layout or ("pairs",) * len(pairs)
        material = sources.from_pairs(pairs, layouts, only, check=check)
    elif noisy is not None:
        material = sources.from_noisy(noisy, model, settings.seed)
    else:
        material = sources.from_bursts(burst)
    material.leave_out_small(settings.crop)
    if material.compared > MANY_SHOTS:
        _say(f"comparing {material.compared} photos or bursts, for those that show the same")
    material.leave_out_overlaps()
    _tell(material)
    document: dict[str, Any] = {
        "pairs": [pair.name for pair in material.pairs],
        "scenes": material.scenes,
        "rejected": material.rejected,
        "exposure_matched": material.matched,
    }
    missing = material.missing()
    if base is None or output is None:
        if missing:
            _say(missing)
        return _end(document, json_output, 1 if material.rejected or missing else 0)
    if missing:
        raise TooFewPairsError(missing) if material.pairs else UnusablePairsError(missing)
    try:
        said = _camera(material, camera_make, camera_model, iso)
        result, about, written = _adapt(
            material, output, base, settings, name, said, licence or PHOTOS_LICENCE
        )
    except NoGainError as error:
        _say(str(error))
        return _end(document | {"output": None, "error": str(error)}, json_output, 1)
    gain = result.gain
    if written != output:
        _say(f"{output}: another file has this name by now, and is kept")
    _say(
        f"wrote {written}: {gain.decibels:+.2f} dB over the base on held-out patches "
        f"(95 % {gain.low:+.2f} … {gain.high:+.2f}, {gain.patches} patches)"
    )
    if result.over_noisy < 0:
        _say(
            f"still, those patches are {-result.over_noisy:.2f} dB better as they are: noise so "
            f"weak is not worth cleaning; adapt to a higher ISO, or clean with a low --strength"
        )
    return _end(document | {"output": str(written), "about": about}, json_output, 0)


def _writable(text: str) -> bool:
    """Whether a flag's text can stand in a file's header: it may be of any bytes."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _recipe(path: Path | None, flags: dict[str, Any]) -> AdaptationRecipe:
    from aindnet.training.recipe_files import read_recipe
    from aindnet.training.transfer.recipe import AdaptationRecipe

    given = {name: value for name, value in flags.items() if value is not None}
    if path is None:
        return AdaptationRecipe(**given)
    return replace(read_recipe(path, AdaptationRecipe, command="aindnet adapt"), **given)


def _base(model: str | None) -> LoadedModel:
    """The model to start from, before any photo is read."""
    from aindnet.pretrained import load_model

    base = load_model(model)
    if base.network.config.image_channels != 3:
        raise AdaptationError(f"{base.card.name} is for grey photos; adapt a colour model")
    return base


def _camera(
    material: Material, make: str | None, model: str | None, iso: tuple[int, int] | None
) -> tuple[str, str, tuple[int, int] | None]:
    """Make, model and ISO range of the profile: as given, else as all photos' EXIF agrees."""
    from aindnet.commands.adaptation.photos import camera_of

    models = sorted({camera.model for camera in material.cameras.values() if camera.model})
    if len(models) > 1 and model is None:
        _say(
            f"photos of {len(models)} cameras ({', '.join(models)}): --camera auto will take the "
            "profile for none of them; --camera-model says for which it is"
        )
    of_model = model if model in models else None
    taken_make, taken_model, taken_iso = camera_of(material.cameras.values(), of_model)
    return (
        taken_make if make is None else make,
        taken_model if model is None else model,
        taken_iso if iso is None else iso,
    )


def _tell(material: Material) -> None:
    """What can be used, and what was done to it."""
    for note in material.notes:
        _say(note)
    if material.matched:
        worst = max(material.matched, key=lambda photo: abs(material.matched[photo]))
        _say(
            f"{len(material.matched)} clean sides were matched to their noisy sides' exposure, "
            f"most {worst} ({material.matched[worst]:+.1f} %); --json names all"
        )
    for photo, reason in material.rejected.items():
        _say(f"not used: {photo}: {reason}")
    _say(f"{len(material.pairs)} pairs of {material.scenes} scenes can be used")


def _adapt(
    material: Material,
    output: Path,
    base: LoadedModel,
    recipe: AdaptationRecipe,
    name: str | None,
    camera: tuple[str, str, tuple[int, int] | None],
    licence: str,
) -> tuple[Adaptation, dict[str, Any], Path]:
    """What came out, what the profile says about it, and the profile's name."""
    from aindnet.photo.paths import shown
    from aindnet.pretrained import ModelCard, save_camera_profile, save_model
    from aindnet.pretrained.card import joined_licence
    from aindnet.training.transfer.adapt import adapt
    from aindnet.training.transfer.methods import PROFILE_METHODS
    from aindnet.whole_files import write_new_file

    with _Bar() as bar:
        result = adapt(base.network, material.pairs, recipe, watcher=bar.update)
    gain, over_noisy = result.gain, result.over_noisy
    if gain.hidden:
        of_source = "more frames of each burst" if material.source == "burst" else "more pairs"
        raise NoGainError(
            "the clean sides hold so much noise of their own that what is gained cannot be told: "
            f"nothing was written; take {of_source}"
        )
    if not gain.certain:
        same = "; a second try is judged by the same parts: more photos say more"
        raise NoGainError(
            f"the adapted weights are not surely better than {base.card.name} on held-out patches "
            f"({gain.decibels:+.2f} dB, 95 % {gain.low:+.2f} … {gain.high:+.2f}): nothing was "
            f"written; more pairs, other scenes or a longer --budget may help"
            + ("" if result.by_scene else same)
        )
    make, camera_model, iso = camera
    if recipe.method != "scratch":
        asked, licence = licence, joined_licence(licence, base.card.licence)
        if licence != asked:
            _say(f"the licence is {licence!r}: {base.card.name}, adapted here, is not as free")
    about = {
        "camera": name or camera_model or shown(output.stem),
        "make": make,
        "model": camera_model,
        "iso": iso,
        "files": sorted(set(material.kinds.values())),
        "licence": licence,
        "method": recipe.method,
        "source": material.source,
        "pairs": len(material.pairs),
        "scenes": material.scenes,
        "gain_db": round(gain.decibels, 3),
        "gain_interval_db": [round(gain.low, 3), round(gain.high, 3)],
        "gain_over_noisy_db": None if math.isnan(over_noisy) else round(over_noisy, 3),
        "held_out": "other scenes" if result.by_scene else "strips of the same photos",
        "held_out_patches": gain.patches,
        "share": result.share,
        "steps": result.steps,
        "seconds": round(result.seconds),
        "date": datetime.date.today().isoformat(),
    }
    if recipe.method in PROFILE_METHODS:
        written = write_new_file(
            output, lambda partial: save_camera_profile(partial, result.network, base, about)
        )
    else:
        card = ModelCard(
            name=shown(output.stem),
            description=f"{base.card.name} for {about['camera']}, all weights ({recipe.method}).",
            licence=licence,
            trained_on=f"{about['pairs']} pairs of {about['camera']}",
            recipe=json.dumps(about),
            date=str(about["date"]),
        )
        if recipe.method != "scratch":
            card = card.started_from(base.card)
        written = write_new_file(output, lambda partial: save_model(partial, result.network, card))
    return result, about, written


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
    from aindnet.photo.paths import shown

    print(f"aindnet: {shown(text)}", file=sys.stderr)  # names are the files' and their EXIF's


def _end(document: dict[str, Any], as_json: bool, code: int) -> int:
    if as_json:
        print(json.dumps(document, indent=2))
    return code
