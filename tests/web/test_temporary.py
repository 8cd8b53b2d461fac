"""The web server's folder of temporary files."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from aindnet.web.temporary import temporary_folder

SERVER = """
import time
from aindnet.web.temporary import temporary_folder
with temporary_folder() as folder:
    (folder / "cat.png").touch()
    print(folder, flush=True)
    time.sleep(600)
"""


def test_a_folder_goes_with_its_server_or_with_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    mine = tmp_path / "aindnet-web-mine"  # of no server, by its content
    mine.mkdir()
    with subprocess.Popen([sys.executable, "-c", SERVER], stdout=subprocess.PIPE, text=True) as run:
        assert run.stdout is not None
        theirs = Path(run.stdout.readline().strip())
        with temporary_folder() as own:
            assert set(tmp_path.iterdir()) == {mine, theirs, own}
        run.kill()
    assert (theirs / "cat.png").exists()
    with temporary_folder() as own:
        assert set(tmp_path.iterdir()) == {mine, own}
    assert set(tmp_path.iterdir()) == {mine}
