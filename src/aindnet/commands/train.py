"""`aindnet train`: a model from clean photos, by a recipe."""

from __future__ import annotations

import importlib.util
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from aindnet.errors import MissingExtraError, TrainingDivergedError

NEEDED = {"pytorch-lightning": "pytorch_lightning", "tensorboard": "tensorboard", "pillow": "PIL"}
"""Packages of the extra, and what they are imported as."""
PATHS = ("data", "validation", "real-pairs", "output", "initial")
"""Fields of the recipe that are paths."""


def train(
    recipe: Path,
    /,
    *fields: Annotated[str, Parameter(show=False, allow_leading_hyphen=True)],
    resume: Path | None = None,
    overwrite: Annotated[bool, Parameter(negative=())] = False,
) -> int:
    """Train by a recipe.

    Every field of the recipe is a flag:
    `aindnet train recipes/fast.yaml --budget 25m --camera.jpeg 0`.
    `aindnet train RECIPE.yaml --fields` lists them. With photos of your own (--data) and none for
    --validation, where the recipe's are not there, one tile in twenty is held out.

    Parameters
    ----------
    recipe
        YAML file, one entry a field.
    resume
        Checkpoint (last.ckpt) of a run of this recipe to go on with.
    overwrite
        Let the run take the place of one that its folder holds.
    """
    for package, module in NEEDED.items():
        if importlib.util.find_spec(module) is None:
            raise MissingExtraError(package, "train")
    from aindnet.training.recipe import load_recipe, with_what_is_there

    flags = ["--help" if flag == "--fields" else flag for flag in fields]
    settings, notices = with_what_is_there(load_recipe(recipe, flags), flags)
    for notice in notices:
        print(f"aindnet: {notice}", file=sys.stderr)

    from aindnet.training.fit import fit

    try:
        path = fit(settings, file=_for_card(recipe, flags), resume=resume, overwrite=overwrite)
    except TrainingDivergedError as error:
        print(f"aindnet: {error}", file=sys.stderr)
        return 1
    print(f"aindnet: wrote {path}", file=sys.stderr)
    return 0


def _for_card(recipe: Path, flags: Sequence[str]) -> str:
    """The recipe's file and its flags, as on a command line; of paths the names alone."""
    said, of_paths = [recipe.name], False
    for flag in flags:
        name, sign, value = flag.partition("=") if flag.startswith("--") else ("", "", flag)
        if name:
            of_paths = name.lstrip("-").replace("_", "-") in PATHS
        said.append(f"{name}{sign}{(Path(value).name or value) if of_paths else value}")
    return shlex.join(said)
