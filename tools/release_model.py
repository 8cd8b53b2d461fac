"""Turn a trained model into a released one: half-precision storage, measured quality on its card.

    python tools/release_model.py runs/aindnet-fast/aindnet-fast.safetensors \
        --report PolyU=polyu.json --report RENOIR=renoir.json --known-failures "..."

Each report is what `aindnet evaluate DATASET --root DIR --json` printed for this very file; the
card says of a subset how large it is. The stored weights are float16; the largest change that this
makes to an output is printed, in levels of 255, and nothing is written where it is above one.
An int8 calibration (`tools/calibrate_int8.py`) goes along where storing changes nothing, as with
weights that are float16 already, and is left out where it does: it is of other weights then.
"""

from __future__ import annotations

import argparse
import json
import re
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import skimage
import torch

from aindnet.pretrained import LoadedModel, ModelCard, load_model, save_model
from aindnet.pretrained.files import file_sha256, read_safetensors, save_with_int8

MOST_CHANGE = 1.0
"""Levels of 255 that storing in float16 may change an output by."""
WEIGHTS = Path(__file__).parents[1] / "src/aindnet/pretrained/weights"


def quality(reports: list[str], model_hash: str) -> dict[str, dict[str, float]]:
    """The card's quality from NAME=FILE.json arguments. Ends the program for a report of other
    weights, or with images that failed.
    """
    table = {}
    for report in reports:
        name, _, path = report.partition("=")
        measured = json.loads(Path(path).read_text("utf-8"))
        keys = ("psnr", "ssim", "noisy_psnr", "n")
        if measured.get("model_hash") != model_hash:
            raise SystemExit(f"{path}: is of other weights; evaluate the file that is released")
        if measured["failed"]:
            raise SystemExit(f"{path}: images failed, {measured['failed'][0]['name']} first")
        if missing := [key for key in keys if measured[key] is None]:
            raise SystemExit(f"{path}: has no {missing[0]}; its notes say on which images")
        table[row_title(name, measured)] = {key: round(float(measured[key]), 4) for key in keys}
    return table


def row_title(name: str, measured: dict[str, Any]) -> str:
    """A row's title on the card: the given name, and how much of the set was measured."""
    subset = re.search(r"Subset: (.+?)\.", measured["protocol"])
    return f"{name}, {subset[1]}" if subset else name


def change_by_storing(trained: LoadedModel, card: ModelCard) -> torch.Tensor:
    """How far float16 storage moves every value of an output, in levels of 255."""
    photo = np.asarray(skimage.data.astronaut()[:256, :256], np.float32) / 255
    noisy = torch.from_numpy(photo).permute(2, 0, 1)[None]
    noisy = noisy[:, : trained.network.config.image_channels]
    noisy = noisy + 0.05 * torch.randn(noisy.shape, generator=torch.Generator().manual_seed(0))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "stored.safetensors"
        save_model(path, trained.network, card, dtype=torch.float16)
        stored = load_model(path).network
    with torch.inference_mode():
        return 255 * (stored(noisy).denoised - trained.network(noisy).denoised).abs()


def is_float16(path: Path) -> bool:
    """Whether a model file's weights are stored as they are released; buffers are float32."""
    network = load_model(path).network
    stored, buffers = read_safetensors(path)[1], dict(network.named_buffers())
    return all(
        value.dtype == torch.float16 for name, value in stored.items() if name not in buffers
    )


def main() -> None:
    """Convert, compare, write."""
    parser = argparse.ArgumentParser(description="Release a trained model.")
    parser.add_argument("trained", type=Path)
    parser.add_argument("--report", action="append", default=[], metavar="NAME=FILE")
    parser.add_argument("--quality-command", default="")
    parser.add_argument("--hardware", help="replaces what the run wrote on the card")
    parser.add_argument("--recipe", help="the same")
    parser.add_argument("--description", help="the same")
    parser.add_argument("--known-failures", default="")
    parser.add_argument("--output", type=Path, default=WEIGHTS)
    arguments = parser.parse_args()

    trained = load_model(arguments.trained)
    card = replace(
        trained.card,
        quality=quality(arguments.report, trained.sha256),
        quality_command=arguments.quality_command,
        hardware=arguments.hardware or trained.card.hardware,
        recipe=arguments.recipe or trained.card.recipe,
        description=arguments.description or trained.card.description,
        known_failures=arguments.known_failures,
    )
    path = arguments.output / f"{card.name}.safetensors"
    change = change_by_storing(trained, card)
    worst = float(change.max())
    if not worst <= MOST_CHANGE:
        raise SystemExit(f"float16 storage changes an output by {worst:.2f} of 255: not released")
    if trained.int8_ranges is not None and is_float16(arguments.trained):
        save_with_int8(arguments.trained, path, card, dict(trained.int8_ranges))
    else:
        save_model(path, trained.network, card, dtype=torch.float16)
    print(f"{path}: {path.stat().st_size / 1e6:.1f} MB, SHA-256 {file_sha256(path)}")
    print(f"float16 storage changes an output by {worst:.3f} of 255 at most, "
          f"{change.mean():.4f} on average")  # fmt: skip


if __name__ == "__main__":
    main()
