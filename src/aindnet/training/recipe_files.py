"""Recipes as YAML files: one dataclass, every field a flag."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import MISSING, Field, fields
from pathlib import Path
from typing import Annotated, Any, TypeVar

import yaml
from cyclopts import App, CycloptsError, Parameter
from cyclopts.config import Dict

from aindnet.errors import RecipeError

T = TypeVar("T")


def _required(each: Field[Any]) -> bool:
    return each.default is MISSING and each.default_factory is MISSING


def read_recipe(path: Path, kind: type[T], flags: Sequence[str] = (), *, command: str) -> T:
    """A recipe of this dataclass; `flags` such as ("--budget", "25m") override fields.

    Relative paths in the file are kept as they are, relative to the working folder. Raises
    `RecipeError` for a missing file, an unknown field or an impossible value; `command` is what
    `--help` among the flags calls itself.
    """
    if not os.path.isfile(path):
        raise RecipeError(f"{path}: there is no such recipe")
    try:
        values: Any = yaml.safe_load(path.read_text("utf-8"))
    except UnicodeDecodeError as error:
        raise RecipeError(f"{path}: not UTF-8 text; save it as UTF-8") from error
    except OSError as error:
        raise RecipeError(f"{path}: cannot be read ({error.strerror})") from error
    except yaml.YAMLError as error:
        raise RecipeError(f"{path}: not valid YAML: {' '.join(str(error).split())}") from error
    if not isinstance(values, dict):
        raise RecipeError(f"{path}: a recipe is a list of fields and their values")
    app = App(
        name=f"{command} {path}",
        config=Dict(values),
        help_flags=["--help"],
        default_parameter=Parameter(consume_multiple=True),
    )

    def build(*, recipe: Any) -> Any:
        return recipe

    build.__annotations__["recipe"] = Annotated[kind, Parameter(name="*")]
    if not any(_required(each) for each in fields(kind)):  # type: ignore[arg-type]
        build.__kwdefaults__ = {"recipe": kind()}  # the parser wants one then
    app.default(build)
    try:
        recipe = app(
            list(flags), exit_on_error=False, print_error=False, result_action="return_value"
        )
    except (CycloptsError, ValueError) as error:
        raise RecipeError(f"{path}: {' '.join(str(error).split())}") from error
    if not isinstance(recipe, kind):
        raise SystemExit(0)  # --help was asked for and printed
    return recipe
