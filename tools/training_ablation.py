"""What each part of the training gives: a row for each of a recipe's changes, one at a time.

    python tools/training_ablation.py recipes/training_ablation.yaml --data DATA
    python tools/training_ablation.py recipes/training_ablation.yaml --data DATA --table

Every row is a training by `aindnet train`, a few minutes each, with the same seed and photos
(`DATA/clean`), measured as `tools/crop_scores.py` does on the dev pairs and on clean photos. What
is done is kept in OUTPUT/rows.json; a row whose recipe changed is made anew, `--only` makes a part,
`--table` none. `initial` of a row may name another: it goes on from that one's weights. Few steps
rank what learns fast: what they say of long runs is a hint.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import yaml
from crop_scores import real_crops, white_crops
from few_shot import mean_psnr

from aindnet.evaluation.report.markdown import markdown_table
from aindnet.pretrained import load_model
from aindnet.whole_files import whole_file

REPLACED = frozenset({"priors"})
"""Mappings that are given whole."""
PLACES = {"data": "clean", "validation": "clean", "real_pairs": "real"}
"""Folders under DATA of the recipe's files."""

Fields = dict[str, Any]


def changed(fields: Fields, changes: Fields) -> Fields:
    """The fields with some changed, those of mappings one by one.

    >>> changed({"a": {"b": 1, "c": 2}, "d": 3}, {"a": {"b": 4}})
    {'a': {'b': 4, 'c': 2}, 'd': 3}
    """
    result = dict(fields)
    for name, value in changes.items():
        inside = isinstance(value, dict) and name not in REPLACED
        result[name] = changed(fields.get(name, {}), value) if inside else value
    return result


def recipe_of(plan: Fields, row: str, data: Path) -> Fields:
    """The whole recipe of a row, its photos under `data`."""
    base = yaml.safe_load(Path(plan["recipe"]).read_text("utf-8"))
    recipe = changed(changed(base, plan["common"]), plan["rows"][row] or {})
    for name, place in PLACES.items():
        recipe[name] = [str(data / place / Path(path).name) for path in recipe.get(name, [])]
    return recipe


def decisive(recipe: Fields, rows: dict[str, Fields]) -> Fields:
    """What a row is of: the recipe without the places of its photos, and the row it goes on from.

    `rows` are the recipes of all.
    """
    result = recipe | {name: [Path(path).name for path in recipe[name]] for name in PLACES}
    if recipe.get("initial") in rows:
        result["initial"] = decisive(rows[recipe["initial"]], rows)
    return result


def model_of(row: str, rows: dict[str, Fields], output: Path) -> Path:
    """Where a row's model is."""
    name = rows[row]["name"]
    return output / f"{list(rows).index(row):02}" / name / f"{name}.safetensors"


def train(row: str, rows: dict[str, Fields], output: Path) -> Path:
    """The model's file."""
    recipe, model = dict(rows[row]), model_of(row, rows, output)
    if recipe.get("initial") in rows:
        start = model_of(recipe["initial"], rows, output)
        if not start.is_file():
            sys.exit(f"{start}: not there; make the row {recipe['initial']!r} first")
        recipe["initial"] = str(start)
    folder = model.parents[1]
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "recipe.yaml"
    path.write_text(yaml.safe_dump(recipe, sort_keys=False, allow_unicode=True), encoding="utf-8")
    flags = ["--output", str(folder), "--overwrite"]
    subprocess.run([sys.executable, "-m", "aindnet", "train", str(path), *flags], check=True)
    return model


def table(rows: dict[str, Fields]) -> str:
    """Rows as Markdown."""
    sets = list(next(iter(rows.values()))["psnr"])
    cells = [
        [name, *(f"{row['psnr'][each]:.2f}" for each in sets), f"{row['seconds'] / 60:.1f}"]
        for name, row in rows.items()
    ]
    return markdown_table(["PSNR, dB", *sets, "minutes"], cells)


def main() -> None:
    """Train and measure what is missing; print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("recipe", type=Path)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--output", type=Path, default=Path("runs/training-ablation"))
    parser.add_argument("--only", nargs="+", help="rows, as the recipe names them")
    parser.add_argument("--table", action="store_true", help="only of the rows that are done")
    given = parser.parse_args()
    plan = yaml.safe_load(given.recipe.read_text("utf-8"))
    if unknown := set(given.only or ()) - set(plan["rows"]):
        parser.error(f"{given.recipe} has no row {sorted(unknown)[0]!r}")
    record = given.output / "rows.json"
    rows: dict[str, Fields] = json.loads(record.read_text("utf-8")) if record.is_file() else {}
    wanted = {name: recipe_of(plan, name, given.data) for name in plan["rows"]}
    current = {name: decisive(recipe, wanted) for name, recipe in wanted.items()}
    rows = {name: row for name, row in rows.items() if row["recipe"] == current.get(name)}
    missing = [n for n in given.only or wanted if n not in rows]
    if missing and not given.table:
        sets = real_crops(given.data) | white_crops(given.data / "clean-test/kodak8")
        for name in missing:
            started = time.monotonic()
            model = train(name, wanted, given.output)
            seconds = time.monotonic() - started
            network = load_model(model).network
            scores = {each: mean_psnr(network, pairs) for each, pairs in sets.items()}
            rows[name] = {"psnr": scores, "seconds": seconds, "recipe": current[name]}
            with whole_file(record) as partial:
                text = json.dumps(rows, indent=1, ensure_ascii=False)
                partial.write_text(text + "\n", encoding="utf-8")
    shown = {name: rows[name] for name in wanted if name in rows}
    if not shown:
        sys.exit(f"{record}: no rows yet; leave --table out to make them")
    print(table(shown))


if __name__ == "__main__":
    main()
