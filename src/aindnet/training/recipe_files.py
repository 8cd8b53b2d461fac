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


class _Loader(yaml.SafeLoader):
    """YAML whose keys are text, each once in its mapping; `RecipeError` says in which line not."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """One mapping."""
        seen = set()
        for key, _ in node.value:
            line = f"line {key.start_mark.line + 1}"
            if key.tag not in ("tag:yaml.org,2002:str", "tag:yaml.org,2002:merge"):
                written = f"{key.value} " if isinstance(key, yaml.ScalarNode) else ""
                raise RecipeError(f"{line}: the key {written}is no text; put it in quotes")
            if key.value in seen:
                raise RecipeError(f"{line}: {key.value} is there a second time; leave one")
            seen.add(key.value)
        return super().construct_mapping(node, deep)


def _check_whole(given: Any, made: Any, name: str) -> None:
    """Raise `ValueError` where a number of the file was rounded to make the recipe's."""
    if isinstance(given, dict):
        for key, value in given.items():
            _check_whole(value, getattr(made, key.replace("-", "_"), None), key)
    elif isinstance(given, list) and isinstance(made, (list, tuple)):
        for value, part in zip(given, made, strict=False):  # flags may have given fewer or more
            _check_whole(value, part, name)
    elif isinstance(given, float) and type(made) is int and not given.is_integer():
        raise ValueError(f"{name}: {given:g} is not a whole number")


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
        values: Any = yaml.load(path.read_text("utf-8"), _Loader)
    except RecipeError as error:
        raise RecipeError(f"{path}, {error}") from error
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
        if not isinstance(recipe, kind):
            raise SystemExit(0)  # --help was asked for and printed
        _check_whole(values, recipe, "")
    except (CycloptsError, ValueError) as error:
        raise RecipeError(f"{path}: {' '.join(str(error).split())}") from error
    return recipe
