"""How paths are shown to people and turned into what an operating system call takes."""

from __future__ import annotations

import os
from pathlib import PurePath


def shown(path: PurePath | str) -> str:
    """The path on one printable line: newlines, control and undecodable bytes are escaped.

    >>> shown("a\\nb.png")
    'a\\\\nb.png'
    """
    text = os.fsdecode(path)
    if text.isprintable():
        return text
    escaped = (
        character if character.isprintable() else character.encode("unicode_escape").decode("ascii")
        for character in text
    )
    return "".join(escaped)


def reason(error: OSError) -> str:
    """What the operating system says, without the path: "No space left on device"."""
    return error.strerror or type(error).__name__
