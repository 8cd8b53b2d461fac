"""The few-shot experiment: PSNR by number of real pairs, in the camera's domain and elsewhere.

    python tools/few_shot.py recipes/few_shot.yaml --data DATA --output runs/few-shot

`--data` holds `real/polyu`, `real/renoir` and `real/sidd-sample`. Of each camera every third scene
is for testing; pairs to adapt with are crops of the others, drawn by the seed from those that
`aindnet adapt` takes. "Elsewhere" are the
other cameras' crops, RENOIR and the SIDD sample: what is forgotten. Runs of the same base that are
in OUTPUT/runs.jsonl are not done again; `--only`, `--counts`, `--seeds` and `--variants` do a part,
`--table` none (of `--seeds` alone where they are given).
Source: Kim et al., CVPR 2020, Table 5.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
import yaml

from aindnet import Denoiser
from aindnet.commands.adaptation.photos import read_dataset
from aindnet.evaluation.metrics import psnr
from aindnet.network import AINDNet
from aindnet.network.precision import has_fast_bf16
from aindnet.pretrained import load_model
from aindnet.pretrained.files import weights_sha256
from aindnet.training.transfer.adapt import adapt
from aindnet.training.transfer.inspection import inspect, levels, matched
from aindnet.training.transfer.pairs import PhotoPair
from aindnet.training.transfer.pseudo import Denoised, noise_of, pseudo_pairs
from aindnet.training.transfer.recipe import AdaptationRecipe

FAR_OFF = 1.0
"""dB."""
NOISY_ALONE = "noisy_alone"
"""Field of a variant that learns from the noisy sides alone, as `aindnet adapt --noisy`."""


@dataclass(frozen=True)
class Experiment:
    """recipes/few_shot.yaml."""

    cameras: list[str]
    counts: list[int | str]
    """Pairs to adapt with; "all": every crop of the camera's training scenes."""
    seeds: list[int]
    budget: str
    test_crops: int
    """Of the camera, and of the other cameras."""
    test_pixels: int
    """Of each crop its middle, so many pixels a side."""
    common: dict[str, Any]
    """Fields of every adaptation."""
    variants: dict[str, dict[str, Any]]


def others(data: Path) -> list[PhotoPair]:
    """RENOIR, brightness-matched, and the SIDD sample."""
    return [
        pair
        for name in ("renoir", "sidd-sample")
        for pair in read_dataset(name, data / "real" / name)
    ]


def usable(pairs: Sequence[PhotoPair]) -> list[PhotoPair]:
    """The pairs that `aindnet adapt` would take, matched in exposure where it would."""
    inspected = [(pair, inspect(pair)) for pair in pairs]
    return [matched(p) if found.corrected else p for p, found in inspected if not found.problems]


def evenly(pairs: Sequence[PhotoPair], count: int) -> list[PhotoPair]:
    """At most `count` of them: scenes as alike as can be in number, and evenly over all scenes."""
    by_scene: dict[str, list[PhotoPair]] = defaultdict(list)
    for pair in pairs:
        by_scene[pair.scene].append(pair)
    scenes = list(by_scene.values())
    if count < len(scenes):
        scenes = [scenes[i * len(scenes) // count] for i in range(count)]
    ordered = [p for rank in range(len(pairs)) for s in scenes for p in s[rank : rank + 1]]
    return ordered[:count]


def middle(pair: PhotoPair, pixels: int) -> PhotoPair:
    """The middle of a pair, at most `pixels` a side."""
    y, x = (max(size - pixels, 0) // 2 for size in pair.shape)
    part = slice(y, y + pixels), slice(x, x + pixels)
    return replace(pair, noisy=pair.noisy[part], clean=pair.clean[part])


@torch.inference_mode()
def mean_psnr(network: AINDNet, pairs: Sequence[PhotoPair]) -> float:
    """Mean PSNR of the pairs, rounded to 8 bits, in dB."""
    values = []
    for pair in pairs:
        noisy = torch.from_numpy(levels(pair.noisy)).permute(2, 0, 1)[None] / 255
        with torch.autocast("cpu", torch.bfloat16, enabled=has_fast_bf16("cpu")):
            denoised = network(noisy.contiguous(memory_format=torch.channels_last)).denoised
        image = denoised.float()[0].permute(1, 2, 0).numpy()
        values.append(psnr(image, levels(pair.clean) / 255))
    return float(np.mean(values))


def recipe_of(experiment: Experiment, fields: dict[str, Any], seed: int) -> AdaptationRecipe:
    """A variant's recipe."""
    recipe = AdaptationRecipe(budget=experiment.budget, seed=seed)
    own = {name: value for name, value in fields.items() if name != NOISY_ALONE}
    return replace(recipe, **experiment.common | own)


def without_clean_sides(
    pairs: Sequence[PhotoPair], model: str | None, seed: int
) -> list[PhotoPair]:
    """What `aindnet adapt --noisy` makes of the pairs' noisy sides."""
    denoiser = Denoiser.from_pretrained(model, device="cpu")
    photos = [Denoised(p.name, p.noisy, denoiser(p.noisy).image) for p in pairs]
    return pseudo_pairs(photos, noise_of(photos), seed=seed)


def settings_of(experiment: Experiment, recipe: AdaptationRecipe | None) -> str:
    """Short hash of all that decides a run beside its key; runs of others are not mixed in. None
    stands for the base alone."""
    adapted = asdict(replace(recipe, seed=0)) if recipe else None
    decisive = adapted, experiment.test_crops, experiment.test_pixels
    return hashlib.sha256(json.dumps(decisive, sort_keys=True).encode()).hexdigest()[:8]


def weights_digest(network: AINDNet) -> str:
    """SHA-256 of a network's configuration and weights: another card is no other model."""
    config = json.dumps(asdict(network.config), sort_keys=True)
    return hashlib.sha256(f"{config} {weights_sha256(network)}".encode()).hexdigest()


def run(
    experiment: Experiment, data: Path, output: Path, model: str | None, arguments: Any
) -> None:
    """Every run that is not done yet; one line of JSON each."""
    loaded = load_model(model)
    base = loaded.network
    weights = weights_digest(base)
    everything, far = read_dataset("polyu", data / "real/polyu"), others(data)
    log = output / "runs.jsonl"
    done = (
        {json.loads(line)["key"] for line in log.read_text().splitlines()}
        if log.exists()
        else set()
    )
    for camera in arguments.only or experiment.cameras:
        own = [pair for pair in everything if pair.name.startswith(camera)]
        scenes = sorted({pair.scene for pair in own})
        test = evenly(usable([p for p in own if p.scene in scenes[::3]]), experiment.test_crops)
        pool = usable([p for p in own if p.scene not in scenes[::3]])
        away = [p for p in everything if not p.name.startswith(camera)]
        away = evenly(usable(away), experiment.test_crops) + far
        test, away = ([middle(p, experiment.test_pixels) for p in side] for side in (test, away))
        for count in arguments.counts or experiment.counts:
            if count != "all" and int(count) > len(pool):
                continue  # the camera has not so many
            for variant, fields in ({"base": {}} if count == 0 else experiment.variants).items():
                if count and arguments.variants and variant not in arguments.variants:
                    continue
                for seed in [0] if count == 0 else arguments.seeds or experiment.seeds:
                    recipe = recipe_of(experiment, fields, seed)
                    settings = settings_of(experiment, recipe if count else None)
                    key = f"{weights[:12]} {camera} {count} {variant} {seed} {settings}"
                    if key in done:
                        continue
                    started = time.monotonic()
                    network, share = base, 0.0
                    if count:
                        drawn = np.random.default_rng(seed).permutation(len(pool))
                        many = len(pool) if count == "all" else int(count)
                        chosen = evenly([pool[i] for i in drawn], many)
                        if fields.get(NOISY_ALONE):
                            chosen = without_clean_sides(chosen, model, seed)
                        result = adapt(base, chosen, recipe)
                        network, share = result.network, result.share
                    row = {
                        "key": key, "base": weights, "settings": settings, "camera": camera,
                        "count": count, "variant": variant,
                        "seed": seed, "psnr": mean_psnr(network, test),
                        "elsewhere": mean_psnr(network, away), "share": share,
                        "seconds": round(time.monotonic() - started, 1),
                    }  # fmt: skip
                    with log.open("a") as stream:
                        stream.write(json.dumps(row) + "\n")
                    print(row, file=sys.stderr, flush=True)


class Gains(NamedTuple):
    """Gains of one variant at one count over the plain model, one row for each camera."""

    values: np.ndarray
    """(cameras, 2): in the domain and elsewhere, dB; the mean of the camera's seeds. Its seeds are
    tested on the same crops, so that they are no samples of other cameras."""
    runs: int

    @property
    def mean(self) -> np.ndarray:
        """(2,)."""
        return self.values.mean(axis=0)

    @property
    def error(self) -> np.ndarray:
        """Standard error over cameras, (2,); zero of one."""
        return standard_error(self.values)


def standard_error(values: np.ndarray) -> np.ndarray:
    """Of the mean over the first axis; zero of one value."""
    if len(values) < 2:
        return np.zeros(values.shape[1:])
    return values.std(axis=0, ddof=1) / len(values) ** 0.5


def summary(
    rows: list[dict[str, Any]],
) -> tuple[list[int | str], dict[str, dict[int | str, Gains]]]:
    """Counts, and variant → count → gains."""
    base = {row["camera"]: row for row in rows if row["count"] == 0}
    found: dict[str, dict[int | str, dict[str, list[tuple[float, float]]]]]
    found = defaultdict(lambda: defaultdict(lambda: defaultdict(list)))
    for row in rows:
        if row["count"] and row["camera"] in base:
            zero = base[row["camera"]]
            found[row["variant"]][row["count"]][row["camera"]].append(
                (row["psnr"] - zero["psnr"], row["elsewhere"] - zero["elsewhere"])
            )
    counts = sorted({n for by_count in found.values() for n in by_count}, key=_place)
    return counts, {
        variant: {count: _gains(cameras) for count, cameras in by_count.items()}
        for variant, by_count in found.items()
    }


def _gains(cameras: dict[str, list[tuple[float, float]]]) -> Gains:
    means = [np.mean(seeds, axis=0) for seeds in cameras.values()]
    return Gains(np.array(means), sum(map(len, cameras.values())))


def _spread(error: float, cameras: int, digits: int) -> str:
    """Nothing of one camera, which says nothing of others."""
    return f" ± {error:.{digits}f}" if cameras > 1 else ""


def _place(count: int | str) -> float:
    """Where a count stands on the axis: "all" beyond the others."""
    return 64 if count == "all" else float(count)


def table(rows: list[dict[str, Any]]) -> str:
    """Gains in Markdown, in the domain ± standard error over cameras / elsewhere; the number of
    runs in brackets."""
    counts, gains = summary(rows)
    lines = [
        f"| variant | pairs: {' | '.join(map(str, counts))} |",
        "|---|" + "---|" * len(counts),
    ]
    for variant, by_count in gains.items():
        cells = []
        for count in counts:
            if count not in by_count:
                cells.append("")
                continue
            own = by_count[count]
            spread = _spread(own.error[0], len(own.values), 2)
            cells.append(f"{own.mean[0]:+.2f}{spread} / {own.mean[1]:+.2f} ({own.runs})")
        lines.append(f"| {variant} | {' | '.join(cells)} |")
    return "\n".join(lines)


def paired(rows: list[dict[str, Any]], one: str = "transfer", other: str = "retrain") -> str:
    """What one variant gains over another on the same pairs, in Markdown: mean and standard error
    over cameras, and the worst run."""
    found = {(r["camera"], r["count"], r["seed"], r["variant"]): r["psnr"] for r in rows}
    by_count: dict[int | str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for (camera, count, seed, variant), value in found.items():
        if variant == one and (twin := found.get((camera, count, seed, other))) is not None:
            by_count[count][camera].append(value - twin)
    lines = [f"| pairs | {one} − {other}, dB | worst run | runs |", "|---|---|---|---|"]
    for count in sorted(by_count, key=_place):
        runs = [value for seeds in by_count[count].values() for value in seeds]
        means = np.array([np.mean(seeds) for seeds in by_count[count].values()])
        spread = _spread(float(standard_error(means)), len(means), 3)
        lines.append(f"| {count} | {means.mean():+.3f}{spread} | {min(runs):+.3f} | {len(runs)} |")
    return "\n".join(lines)


def by_camera(rows: list[dict[str, Any]], variant: str = "transfer") -> str:
    """Each camera's gain over the base by number of pairs, mean of the seeds, in Markdown."""
    cameras = sorted({row["camera"] for row in rows})
    counts, _ = summary(rows)
    lines = [
        f"| {variant}, pairs: | {' | '.join(map(str, counts))} |",
        "|---|" + "---|" * len(counts),
    ]
    for camera in cameras:
        _, gains = summary([row for row in rows if row["camera"] == camera])
        own = gains.get(variant, {})
        cells = [f"{own[n].mean[0]:+.2f} ({own[n].runs})" if n in own else "" for n in counts]
        lines.append(f"| {camera} | {' | '.join(cells)} |")
    return "\n".join(lines)


def plot(rows: list[dict[str, Any]], path: Path) -> None:
    """Curves with error bars, in the domain and elsewhere, of the variants with several counts
    (hollow beside them: of some of the cameras alone); beyond half a decibel on a logarithmic axis
    where one is far off.
    """
    import matplotlib.pyplot as plt

    counts, gains = summary(rows)
    gains = {variant: by_count for variant, by_count in gains.items() if len(by_count) > 1}
    figure, axes = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
    for axis, which, title in zip(
        axes, (0, 1), ("other scenes, same camera", "elsewhere"), strict=True
    ):
        for variant, by_count in gains.items():
            most = max(len(own.values) for own in by_count.values())
            of_all = [n for n in counts if n in by_count and len(by_count[n].values) == most]
            means = [by_count[count].mean[which] for count in of_all]
            errors = [by_count[count].error[which] for count in of_all]
            places = [_place(count) for count in of_all]
            line = axis.errorbar(places, means, errors, label=variant, marker="o", capsize=3)
            for count in by_count.keys() - of_all:  # of some cameras alone
                hollow = {"marker": "o", "mfc": "none", "color": line[0].get_color()}
                axis.plot(_place(count), by_count[count].mean[which], **hollow)
        axis.set(xscale="log", xlabel="real pairs", ylabel="gain over the base, dB", title=title)
        axis.set_xticks([_place(n) for n in counts], [str(n) for n in counts])
        axis.axhline(0, color="grey", linewidth=0.8)
        if axis.get_ylim()[0] < -FAR_OFF:
            axis.set_yscale("symlog", linthresh=FAR_OFF / 2)
            axis.set_yticks([-8, -4, -2, -1, -0.5, -0.25, 0, 0.25, 0.5])
            axis.yaxis.set_major_formatter("{x:g}")
    axes[0].legend()
    figure.savefig(path, dpi=90)


def main() -> None:
    """Run what is missing, print the table, plot the curves."""
    parser = argparse.ArgumentParser(description="PSNR by number of real pairs.")
    parser.add_argument("recipe", type=Path)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--output", type=Path, default=Path("runs/few-shot"))
    parser.add_argument("--model", help="base model; the bundled default")
    parser.add_argument("--only", nargs="+", help="cameras")
    parser.add_argument(
        "--counts", nargs="+", type=lambda text: text if text == "all" else int(text)
    )
    parser.add_argument("--seeds", nargs="+", type=int)
    parser.add_argument("--variants", nargs="+", help="as the recipe names them")
    parser.add_argument("--table", action="store_true", help="only of the runs that are done")
    arguments = parser.parse_args()
    experiment = Experiment(**yaml.safe_load(arguments.recipe.read_text("utf-8")))
    arguments.output.mkdir(parents=True, exist_ok=True)
    if not arguments.table:
        run(experiment, arguments.data, arguments.output, arguments.model, arguments)
    weights = weights_digest(load_model(arguments.model).network)
    log = arguments.output / "runs.jsonl"
    if not log.exists():
        sys.exit(f"{log}: no runs yet; leave --table out to make them")
    known = {"base": settings_of(experiment, None)} | {
        variant: settings_of(experiment, recipe_of(experiment, fields, 0))
        for variant, fields in experiment.variants.items()
    }
    rows = [
        row
        for row in map(json.loads, log.read_text().splitlines())
        if row["base"] == weights
        and row.get("settings") == known.get(row["variant"])
        and (not row["count"] or row["seed"] in (arguments.seeds or experiment.seeds))
    ]
    for part in (table(rows), paired(rows), by_camera(rows)):
        print(part, end="\n\n")
    plot(rows, arguments.output / "curves.png")


if __name__ == "__main__":
    main()
