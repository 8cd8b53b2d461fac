"""Recipes as YAML files: one dataclass, every field a flag."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import MISSING, Field, fields, is_dataclass
from itertools import cycle
from pathlib import Path
from typing import Annotated, Any, TypeVar, get_args

import yaml
from cyclopts import UNSET, App, ArgumentCollection, CycloptsError, Parameter
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


def _check_words(app: App, commands: tuple[str, ...], arguments: ArgumentCollection) -> None:
    """Raise `ValueError` for words, of the file or of flags, that the parser would take for others:
    it rounds numbers, an empty path is the current folder, and a dataclass's first field is
    whatever stands in its place.
    """
    for argument in arguments:
        name, kinds = ".".join(argument.keys), cycle(_kinds(argument.hint))
        for token in argument.tokens:
            if token.implicit_value is not UNSET:  # as of [], {}, null: there is no word
                continue
            if is_dataclass(argument.hint) and not token.value.startswith("{"):
                given = token.value or "nothing"
                raise ValueError(f"{name} is a list of fields and their values, not {given}")
            for word, kind in zip(_words(token.value), kinds, strict=False):
                if kind is Path and not word:
                    raise ValueError(
                        f'{name} is empty: name a file or a folder; "." is the current one'
                    )
                if kind is int and not _is_whole(word):
                    raise ValueError(f"{name}: {word} is not a whole number")


def _kinds(hint: Any) -> list[Any]:
    """The types of the words that make a value of a type: of a tuple, those of its items."""
    parts = [part for part in get_args(hint) if part not in (Ellipsis, type(None))]
    types = [
        kind for part in parts if isinstance(part, type) or get_args(part) for kind in _kinds(part)
    ]
    return types or [hint]


def _words(value: str) -> Iterator[str]:
    """The items of a list, which the parser hands on as JSON; or the word itself."""
    try:
        parts = json.loads(value) if value.startswith("[") else value
    except json.JSONDecodeError:
        parts = value
    if not isinstance(parts, list):
        yield value
        return
    for part in parts:
        yield from _words(part if isinstance(part, str) else json.dumps(part))


def _is_whole(word: str) -> bool:
    try:
        return float(word).is_integer()
    except ValueError:  # no number: the parser says so
        return True


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
        config=(Dict(values), _check_words),
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
    except (CycloptsError, ValueError) as error:
        raise RecipeError(f"{path}: {' '.join(str(error).split())}") from error
    return recipe
