"""Camera profiles of the dev set's cameras, and `real`, of all its pairs at once.

    python tools/dev_profiles.py --data DATA --output profiles

Each is one call of `aindnet adapt`, which is printed first. An old profile stays until the new one
is whole, or until it is known that the camera gains nothing; such cameras are named at the end. The
pairs are for research only, and so are the profiles: they lie outside the package. A profile
belongs to one model: after a new one they are made again.
"""

from __future__ import annotations

import csv
import json
import os
import re
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Annotated

import cyclopts
from cyclopts import Parameter

from aindnet.pretrained import load_camera_profile, load_model

POLYU_CAMERAS = {
    "canon-5d-mark-ii": ("Canon5D2", "Canon EOS 5D Mark II", "Canon EOS 5D Mark II"),
    "canon-80d": ("Canon80D", "Canon EOS 80D", "Canon EOS 80D"),
    "nikon-d800": ("NikonD800", "Nikon D800", "NIKON D800"),
    "sony-a7-ii": ("SonyA7II", "Sony A7 II", "ILCE-7M2"),
}
"""File → what PolyU's pair names begin with, the camera, and what its EXIF calls it. PolyU's fifth
camera has one scene only."""
LICENCE = (
    "research and education only, as the pairs: PolyU, Copyright (c) 2018, The Hong Kong "
    "Polytechnic University (Xu, Li, Liang, Zhang, Zhang); RENOIR (Anaya, Barbu); SIDD (Abdelhamed "
    "et al.)"
)
REAL = ("polyu", "renoir", "sidd-sample")


def arguments_of(name: str, data: Path, output: Path, budget: str, model: str | None) -> list[str]:
    """The arguments of `aindnet adapt` for a camera, or for "real"."""
    if name == "real":
        pairs = ["--pairs", *(str(data / "real" / each) for each in REAL), "--layout", *REAL]
        named = ["--name", "everyday cameras"]
    else:
        prefix, camera, model_name = POLYU_CAMERAS[name]
        pairs = ["--pairs", str(data / "real/polyu"), "--layout", "polyu", "--only", prefix]
        named = ["--name", camera, "--camera-model", model_name]
        if iso := isos_of(data / "real/polyu/index.csv", prefix):
            named += ["--iso", *(str(each) for each in iso)]
    chosen = ["--model", model] if model else []
    path = output / f"{name}.safetensors"
    named += ["--licence", LICENCE]
    return [*pairs, *named, "--budget", budget, *chosen, "--output", str(path)]


def isos_of(index: Path, prefix: str) -> tuple[int, int] | None:
    """Lowest and highest ISO of a camera's crops of full resolution, by the index of PolyU's pack.

    Their own files do not say it; the published crops of the same scenes do
    (Canon5D2_5_160_3200_chair_11_real.JPG: f-number, exposure time, ISO). None without an index.
    """
    if not index.is_file():
        return None
    with index.open(encoding="utf-8", newline="") as lines:
        rows = [row for row in csv.DictReader(lines) if row["name"].startswith(prefix)]
    learned_from = {row["scene"] for row in rows if row["kind"] == "full-res-crop"}
    named = [
        re.match(r"[^_]+_[^_]+_[^_]+_(\d+)_", row["source_file"])
        for row in rows
        if row["scene"] in learned_from and row["kind"] == "official-crop"
    ]
    isos = [int(each[1]) for each in named if each]
    return (min(isos), max(isos)) if isos else None


def adapt(arguments: list[str]) -> bool:
    """Run `aindnet adapt`; False where it says that nothing is gained.

    Raises `CalledProcessError` where it says anything else.
    """
    command = [sys.executable, "-m", "aindnet", "adapt", *arguments, "--json"]
    run = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    if run.returncode == 1 and run.stdout:
        document = json.loads(run.stdout)
        if document["output"] is None and document["error"]:
            return False
    run.check_returncode()
    return True


def main(
    *,
    data: Path,
    output: Path = Path("profiles"),
    only: Annotated[tuple[str, ...], Parameter(negative=())] = (),
    budget: str = "10m",
    model: str | None = None,
) -> int:
    """Make the profiles.

    Parameters
    ----------
    data
        Holds real/polyu, real/renoir and real/sidd-sample.
    output
        Folder of the profiles. Those of this model stay, those of another are made again.
    only
        Some of canon-5d-mark-ii, canon-80d, nikon-d800, sony-a7-ii and real.
    budget
        Of each adaptation.
    model
        The base; the bundled default.
    """
    names = (*POLYU_CAMERAS, "real")
    if unknown := set(only) - set(names):
        print(f"--only {sorted(unknown)[0]}: there are {', '.join(names)}", file=sys.stderr)
        return 2
    base = load_model(model).sha256
    without, failed = [], []
    output.mkdir(parents=True, exist_ok=True)
    for name in only or names:
        path = output / f"{name}.safetensors"
        if path.exists() and load_camera_profile(path).base_sha256 == base:
            print(f"{path} is there already", flush=True)
            continue
        shown = arguments_of(name, data, output, budget, model)
        print(shlex.join(["aindnet", "adapt", *shown]), flush=True)
        with tempfile.TemporaryDirectory(prefix=".new-", dir=output) as folder:
            try:
                gained = adapt(arguments_of(name, data, Path(folder), budget, model))
            except subprocess.CalledProcessError:
                failed.append(name)
                continue
            if gained:
                os.replace(Path(folder) / path.name, path)
            else:
                path.unlink(missing_ok=True)
                without.append(name)
    if without:
        print(f"no profile, as nothing is gained: {', '.join(without)}", file=sys.stderr)
    if failed:
        print(f"not made, older files stay: {', '.join(failed)}", file=sys.stderr)
    return 1 if without or failed else 0


if __name__ == "__main__":
    app = cyclopts.App(help=__doc__)
    app.default(main)
    raise SystemExit(app())
