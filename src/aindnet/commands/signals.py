"""Signals that stop a program."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator


@contextlib.contextmanager
def terminate_like_ctrl_c() -> Iterator[None]:
    """Take what a job system sends to stop a program like Ctrl-C: sum up and leave cleanly."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
