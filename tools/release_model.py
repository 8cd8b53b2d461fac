"""Turn a trained model into a released one: half-precision storage, measured quality on its card.

    python tools/release_model.py runs/aindnet-fast/aindnet-fast.safetensors \
        --report PolyU=polyu.json --report RENOIR=renoir.json --known-failures "..."

Each report is what `aindnet evaluate DATASET --root DIR --json` printed. The stored weights are
float16; the largest change that this makes to an output is printed, in levels of 255.
"""

from __future__ import annotations

import argparse
import copy
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import skimage
import torch

from aindnet.pretrained import load_model, save_model
from aindnet.pretrained.files import file_sha256

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
        if measured["model_hash"] != model_hash:
            raise SystemExit(f"{path}: is of other weights; evaluate the file that is released")
        if measured["failed"] or any(measured[key] is None for key in keys):
            raise SystemExit(f"{path}: has images that failed or were not scored")
        print(f"{name}: {measured['protocol']}")
        table[name] = {key: round(float(measured[key]), 4) for key in keys}
    return table


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
    photo = np.asarray(skimage.data.astronaut()[:256, :256], np.float32) / 255
    noisy = torch.from_numpy(photo).permute(2, 0, 1)[None]
    noisy = noisy + 0.05 * torch.randn(noisy.shape, generator=torch.Generator().manual_seed(0))
    stored = copy.deepcopy(trained.network)
    stored.load_state_dict({k: v.half().float() for k, v in stored.state_dict().items()})
    with torch.inference_mode():
        change = stored(noisy).denoised - trained.network(noisy).denoised
    worst = 255 * float(change.abs().max())
    if worst > MOST_CHANGE:
        raise SystemExit(f"float16 storage changes an output by {worst:.2f} of 255: not released")
    save_model(path, trained.network, card, dtype=torch.float16)
    print(f"{path}: {path.stat().st_size / 1e6:.1f} MB, SHA-256 {file_sha256(path)}")
    print(f"float16 storage changes an output by {worst:.3f} of 255 at most, "
          f"{255 * change.abs().mean():.4f} on average")  # fmt: skip


if __name__ == "__main__":
    main()
