"""The JSON in the headers of model files and camera profiles, which anyone may have written."""

from __future__ import annotations

import json
from typing import Any

from aindnet.errors import InvalidModelFileError


def parse_object(text: str, *, what: str, source: str) -> dict[str, Any]:
    """The JSON object `text`, of finite numbers and of text that can be written again.

    Raises `InvalidModelFileError`, which says `what` of the `source` is damaged.

    >>> parse_object('{"name": "small"}', what="its card", source="a.safetensors")
    {'name': 'small'}
    """
    try:
        found = json.loads(text)
        # Lone surrogates, NaN and infinity are read, but no JSON that others read holds them.
        json.dumps(found, ensure_ascii=False, allow_nan=False).encode()
    except (ValueError, RecursionError) as error:
        raise InvalidModelFileError(f"{source}: {what} is damaged ({error})") from error
    if not isinstance(found, dict):
        raise InvalidModelFileError(f"{source}: {what} is damaged (no JSON object)")
    return found
