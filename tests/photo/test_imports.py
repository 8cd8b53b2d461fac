"""The room opens without its heavy libraries."""

from __future__ import annotations

import subprocess
import sys


def test_the_room_is_imported_without_decoders() -> None:
    program = "import sys, aindnet.photo, aindnet.commands.denoise; print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    loaded = set(run.stdout.decode().split())
    assert not loaded & {"pyvips", "rawpy", "PIL", "pillow_heif", "pillow_jxl", "torch"}
