"""The paper's ablation: how the noise map acts on the features, everything else equal.

    python tools/ablation.py --data DATA                   # four trainings of 25 minutes each
    python tools/ablation.py --data DATA --budget 5m       # shorter; the table says so
    python tools/ablation.py --data DATA --dry-run         # only print the commands

Trains the recipe once for each kind of modulation (none, map concatenated, gated ResBlock, AIN)
with the same seed and budget on the recipe's photos under `--data`, evaluates each on the real
pairs there, and keeps the numbers in OUTPUT/ablation.json, from which `tools/write_results.py`
makes the table of `docs/results.md`. A killed run goes on where it stopped, within a training too;
another budget, recipe or field begins another record. What follows `--` goes to `aindnet train`.
"""

from __future__ import annotations

import argparse
import json
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aindnet.evaluation.provenance import provenance
from aindnet.evaluation.report.markdown import markdown_table
from aindnet.pretrained.files import file_sha256
from aindnet.whole_files import whole_file

VARIANTS = {
    "none": "instance norm, no map",
    "concatenate": "instance norm, map concatenated",
    "gated": "gated ResBlock",
    "ain": "AIN",
}
PAPER = {"concatenate": "38.53 / 34.74", "gated": "39.19 / 34.93", "ain": "39.53 / 35.19"}
"""DND / SIDD validation, dB (Kim et al. 2020, trained on synthetic noise only)."""


@dataclass(frozen=True)
class Measured:
    """A data set that the variants are compared on."""

    title: str
    dataset: str
    place: str
    """Folder under DATA; empty for a set that is built in."""
    flags: tuple[str, ...] = ()


RECIPE = Path("recipes/ablation.yaml")
SETS = (
    Measured("RENOIR", "renoir", "real/renoir"),
    Measured("SIDD sample", "sidd-sample", "real/sidd-sample"),
    Measured("PolyU crops", "polyu", "real/polyu", ("--every", "4")),
    Measured("samples", "samples", ""),
)


@dataclass(frozen=True)
class Plan:
    """What is trained and where it is kept."""

    data: Path
    recipe: Path
    budget: str
    output: Path
    limit: int | None = None
    """Photos of each set; all if None."""
    fields: tuple[str, ...] = ()
    """Further fields of the recipe, as flags of `aindnet train`."""

    @property
    def record(self) -> Path:
        """The numbers."""
        return self.output / "ablation.json"

    def folder(self, variant: str) -> Path:
        """The training run's folder."""
        return self.output / f"ablation-{variant}"

    def model(self, variant: str) -> Path:
        """The trained model's file."""
        return self.folder(variant) / f"ablation-{variant}.safetensors"

    def train(self, variant: str) -> list[str]:
        """The call of `aindnet` that trains a variant."""
        name = ["--name", f"ablation-{variant}", "--output", str(self.output)]
        kind = ["--budget", self.budget, "--network.modulation", variant]
        return ["train", str(self.recipe), *self.photos(), *name, *kind, *self.fields]

    def photos(self) -> list[str]:
        """Flags that put the recipe's photos, by their names, under DATA."""
        from aindnet.training import load_recipe

        recipe = load_recipe(self.recipe)
        fields = {
            "--data": [self.data / "clean" / path.name for path in recipe.data],
            "--validation": [self.data / "clean" / path.name for path in recipe.validation],
            "--real-pairs": [self.data / "real" / path.name for path in recipe.real_pairs],
        }
        return [
            word for flag, paths in fields.items() if paths for word in (flag, *map(str, paths))
        ]

    @property
    def command(self) -> str:
        """What makes it all again, for whoever has the data."""
        limit = [] if self.limit is None else ["--limit", str(self.limit)]
        fields = ["--", *self.fields] if self.fields else []
        recipe = [] if self.recipe == RECIPE else ["--recipe", str(self.recipe)]
        budget = ["--budget", self.budget]
        flags = ["--data", "DATA", *recipe, *budget, *limit, *fields]
        return shlex.join(["python", "tools/ablation.py", *flags])

    def measure(self, variant: str, measured: Measured) -> list[str]:
        """The call of `aindnet` that measures a variant on a set."""
        root = ["--root", str(self.data / measured.place)] if measured.place else []
        limit = [] if self.limit is None else ["--limit", str(self.limit)]
        model = ["--model", str(self.model(variant)), "--json"]
        return ["evaluate", measured.dataset, *root, *measured.flags, *limit, *model]

    def commands(self, variant: str) -> list[str]:
        """All calls that a variant's row is made by, as text."""
        calls = [self.train(variant), *(self.measure(variant, measured) for measured in SETS)]
        return [shlex.join(call) for call in calls]

    def about(self) -> dict[str, str]:
        """What the record says of the plan."""
        return {
            "recipe": str(self.recipe),
            "recipe_sha256": file_sha256(self.recipe),
            "budget": self.budget,
            "command": self.command,
        }


def kept_record(plan: Plan) -> dict[str, Any]:
    """The record without rows of another plan: one table is of one plan."""
    document: dict[str, Any] = {"rows": {}}
    if plan.record.is_file():
        document = json.loads(plan.record.read_text(encoding="utf-8"))
    about = plan.about()
    if {key: document.get(key) for key in about} != about:
        return {"rows": {}}
    kept = {v: r for v, r in document["rows"].items() if r["commands"] == plan.commands(v)}
    return document | {"rows": kept}


def run(plan: Plan) -> dict[str, Any]:
    """Train and measure what the record does not have yet, and keep it after every variant."""
    document = kept_record(plan)
    for variant in VARIANTS:
        if variant in document["rows"]:
            continue
        train_variant(plan, variant)
        row = {"commands": plan.commands(variant), **measure_variant(plan, variant)}
        document["rows"][variant] = row
        document |= {**provenance(), **plan.about()}
        with whole_file(plan.record) as partial:
            partial.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    return document


def train_variant(plan: Plan, variant: str) -> None:
    """Train a variant, from its last checkpoint if a killed run of the same command left one; not
    again where that had written its model.
    """
    from aindnet.training.checkpoints import read_checkpoint

    folder = plan.folder(variant)
    begun, checkpoint = folder / "command.txt", folder / "last.ckpt"
    command = plan.train(variant)
    text = f"{shlex.join(command)}\n{file_sha256(plan.recipe)}\n"
    if not (begun.is_file() and begun.read_text(encoding="utf-8") == text):
        checkpoint.unlink(missing_ok=True)
        folder.mkdir(parents=True, exist_ok=True)
        begun.write_text(text, encoding="utf-8")
    if checkpoint.is_file():
        stored = read_checkpoint(checkpoint)
        if stored.used_up(plan.budget) and stored.is_written(plan.model(variant)):
            return
    again = ["--resume", str(checkpoint)] if checkpoint.is_file() else ["--overwrite"]
    aindnet([*command, *again])


def measure_variant(plan: Plan, variant: str) -> dict[str, Any]:
    """PSNR and SSIM on every set, the number of weights, and how long the training was."""
    from aindnet.pretrained import load_model

    loaded = load_model(plan.model(variant))
    sets = {}
    for measured in SETS:
        document = json.loads(aindnet(plan.measure(variant, measured)))
        sets[measured.title] = {key: document[key] for key in ("psnr", "ssim", "noisy_psnr", "n")}
    return {
        "parameters": sum(parameter.numel() for parameter in loaded.network.parameters()),
        "trained": loaded.card.hardware,
        "sets": sets,
    }


def ablation_section(document: dict[str, Any]) -> str:
    """The table as Markdown, with what was done."""
    rows = {variant: row for variant, row in document["rows"].items() if variant in VARIANTS}
    sets = list(next(iter(rows.values()))["sets"])
    head = ["how the map acts", "weights", *(f"{name}, dB" for name in sets)]
    lines = [["noisy input", "", *_cells(next(iter(rows.values())), sets, "noisy_psnr"), ""]]
    for variant, row in rows.items():
        weights = f"{row['parameters']:,}"
        cells = _cells(row, sets, "psnr")
        lines.append([VARIANTS[variant], weights, *cells, PAPER.get(variant, "–")])
    counts = ", ".join(f"{name}: {next(iter(rows.values()))['sets'][name]['n']}" for name in sets)
    trained = "; ".join(f"{VARIANTS[variant]}: {row['trained']}" for variant, row in rows.items())
    machine = document["machine"]
    return "\n\n".join(
        [
            "## Ablation: how the noise map acts",
            f"`{Path(document['recipe']).name}` trained once for each kind, same seed, "
            f"{document['budget']} each; blind, on synthetic noise only. One run each: what lies "
            f"within the spread of seeds tells nothing. Mean PSNR; images: {counts}.",
            markdown_table([*head, "paper: DND / SIDD validation, dB"], lines),
            f"- Command: `{document['command']}`\n"
            f"- Trained: {trained}\n"
            f"- Machine: {machine['processor']}, {machine['cores']} cores; {document['date']}",
        ]
    )


def _cells(row: dict[str, Any], sets: list[str], key: str) -> list[str]:
    return [f"{row['sets'][name][key]:.2f}" for name in sets]


def aindnet(arguments: list[str]) -> str:
    """Print and run a command of `aindnet`; what it prints on stdout."""
    print(shlex.join(["aindnet", *arguments]), file=sys.stderr, flush=True)
    command = [sys.executable, "-m", "aindnet", *arguments]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def main() -> None:
    """Train, evaluate, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--recipe", type=Path, default=RECIPE)
    parser.add_argument("--budget", default="25m", help="of each of the four trainings")
    parser.add_argument("--output", type=Path, default=Path("runs/results/ablation"))
    parser.add_argument("--limit", type=int, help="measure on so many photos of each set only")
    parser.add_argument("--dry-run", action="store_true")
    parser.add_argument("fields", nargs="*", help="after --: fields of the recipe, as flags")
    given = parser.parse_args()
    plan = Plan(
        given.data, given.recipe, given.budget, given.output, given.limit, tuple(given.fields)
    )
    if given.dry_run:
        for variant in VARIANTS:
            print("\n".join(f"aindnet {command}" for command in plan.commands(variant)))
        return
    print(ablation_section(run(plan)))


if __name__ == "__main__":
    main()
