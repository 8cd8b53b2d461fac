"""Files and folders of several runs at once."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from aindnet.whole_files import whole_folder


def test_two_runs_fill_a_folder_of_one_name_apart(tmp_path: Path) -> None:
    with whole_folder(tmp_path / "bundle") as first:
        (first / "a").write_text("of the first")
        with whole_folder(tmp_path / "bundle") as second:
            (second / "b").write_text("of the second")
        assert os.listdir(tmp_path / "bundle") == ["b"]
    assert os.listdir(tmp_path / "bundle") == ["a"]
    assert os.listdir(tmp_path) == ["bundle"]


def test_a_folder_that_fails_leaves_nothing_and_keeps_the_one_before(tmp_path: Path) -> None:
    with whole_folder(tmp_path / "bundle") as folder:
        (folder / "a").touch()
    with pytest.raises(ZeroDivisionError), whole_folder(tmp_path / "bundle") as folder:
        raise ZeroDivisionError
    assert os.listdir(tmp_path / "bundle") == ["a"]
    assert os.listdir(tmp_path) == ["bundle"]
