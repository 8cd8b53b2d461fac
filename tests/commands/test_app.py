"""The program itself: what no single command decides."""

import subprocess
import sys

import pytest

from aindnet.commands.app import BROKEN_PIPE


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX pipes")
def test_a_reader_that_wants_no_more_is_no_error():
    """As in `aindnet models --json | head -c 1`."""
    process = subprocess.Popen(
        [sys.executable, "-m", "aindnet", "models", "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None
    process.stdout.close()
    assert process.wait(120) == BROKEN_PIPE
    assert process.stderr is not None
    assert process.stderr.read() == b""
    process.stderr.close()
