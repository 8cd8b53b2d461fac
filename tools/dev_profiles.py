"""Camera profiles of the dev set's cameras, and `real`, of all its pairs at once.

    python tools/dev_profiles.py --data DATA --output profiles

Each is one call of `aindnet adapt`, which is printed first; a camera that gains nothing gets no
file, and is named at the end. The pairs are for research only, and so are the profiles: they lie
outside the package. A profile belongs to one model: after a new one they are made again.
"""

from __future__ import annotations

import shlex
import subprocess
import sys
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
    chosen = ["--model", model] if model else []
    path = output / f"{name}.safetensors"
    named += ["--licence", LICENCE]
    return [*pairs, *named, "--budget", budget, *chosen, "--output", str(path)]


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
    failed = []
    for name in only or names:
        path = output / f"{name}.safetensors"
        if path.exists() and load_camera_profile(path).base_sha256 == base:
            print(f"{path} is there already", flush=True)
            continue
        path.unlink(missing_ok=True)
        arguments = arguments_of(name, data, output, budget, model)
        print(shlex.join(["aindnet", "adapt", *arguments]), flush=True)
        command = [sys.executable, "-m", "aindnet", "adapt", *arguments]
        if subprocess.run(command, check=False).returncode:
            failed.append(name)
    if failed:
        print(f"no profile: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    app = cyclopts.App(help=__doc__)
    app.default(main)
    raise SystemExit(app())
