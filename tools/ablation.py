"""The paper's ablation: how the noise map acts on the features, everything else equal.

    python tools/ablation.py --recipe recipes/fast.yaml --budget 25m --root DATA/real/renoir
    --dataset renoir

Trains the recipe once for each kind of modulation (none, map concatenated, gated ResBlock, AIN)
with the same seed and time budget, evaluates each on the data set, and prints the table with the
paper's rows. A variant whose model file is already there is not trained again. `--dry-run` only
prints the commands.
"""

from __future__ import annotations

import argparse
import json
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

from aindnet.evaluation.report.markdown import markdown_table

VARIANTS = {
    "none": "instance norm, no map",
    "concatenate": "instance norm, map concatenated",
    "gated": "gated ResBlock",
    "ain": "AIN (the paper's network)",
}
PAPER = {"concatenate": "38.53 / 34.74", "gated": "39.19 / 34.93", "ain": "39.53 / 35.19"}
"""DND / SIDD validation, dB (Kim et al. 2020, trained on synthetic noise only)."""


def main() -> None:
    """Train, evaluate, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--recipe", type=Path, default=Path("recipes/fast.yaml"))
    parser.add_argument("--budget", default="25m")
    parser.add_argument("--output", type=Path, default=Path("runs/ablation"))
    parser.add_argument("--dataset", default="samples")
    parser.add_argument("--root", type=Path)
    parser.add_argument("--dry-run", action="store_true")
    arguments = parser.parse_args()
    lines = []
    for variant, title in VARIANTS.items():
        name = f"ablation-{variant}"
        model = arguments.output / name / f"{name}.safetensors"
        train = ["train", str(arguments.recipe), "--name", name, "--output", str(arguments.output)]
        train += ["--budget", arguments.budget, "--network.modulation", variant]
        measure = ["evaluate", arguments.dataset, "--model", str(model), "--json"]
        measure += ["--root", str(arguments.root)] if arguments.root else []
        if arguments.dry_run:
            print(shlex.join(["aindnet", *train]), shlex.join(["aindnet", *measure]), sep="\n")
            continue
        if not model.is_file():
            aindnet(train)
        document: dict[str, Any] = json.loads(aindnet(measure))
        values = [f"{document[key]:.{digits}f}" for key, digits in (("psnr", 2), ("ssim", 4))]
        lines.append([title, *values, PAPER.get(variant, "–")])
    if lines:
        head = ["modulation", "PSNR, dB", "SSIM", "paper: DND / SIDD validation, dB"]
        print(markdown_table(head, lines))


def aindnet(arguments: list[str]) -> str:
    """Run `aindnet` and hand back what it prints on stdout."""
    command = [sys.executable, "-m", "aindnet", *arguments]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


if __name__ == "__main__":
    main()
