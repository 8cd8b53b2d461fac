"""`aindnet train`: a model from clean photos, by a recipe."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter


def train(
    recipe: Path,
    /,
    *fields: Annotated[str, Parameter(show=False, allow_leading_hyphen=True)],
    resume: Path | None = None,
) -> int:
    """Train by a recipe.

    Every field of the recipe is a flag:
    `aindnet train recipes/fast.yaml --budget 25m --camera.jpeg 0`.
    `aindnet train RECIPE.yaml --fields` lists them.

    Parameters
    ----------
    recipe
        YAML file, one entry a field.
    resume
        Checkpoint (last.ckpt) of a run of this recipe to go on with.
    """
    from aindnet.training import load_recipe

    flags = ["--help" if flag == "--fields" else flag for flag in fields]
    settings = load_recipe(recipe, flags)

    from aindnet.training.fit import fit

    path = fit(settings, file=recipe.name, resume=resume)
    print(f"aindnet: wrote {path}", file=sys.stderr)
    return 0
