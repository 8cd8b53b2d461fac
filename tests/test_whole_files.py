"""Files and folders of several runs at once."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from aindnet.errors import ImageWriteError
from aindnet.whole_files import whole_folder, write_new_file


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


@pytest.mark.parametrize("links", [True, False])
def test_a_new_file_replaces_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, links: bool
) -> None:
    def no_link(*_: object, **__: object) -> None:
        raise PermissionError

    if not links:  # as on FAT
        monkeypatch.setattr(os, "link", no_link)
    path = tmp_path / "mine.safetensors"
    names = []
    for text in ("first", "second", "third"):

        def write(partial: Path, text: str = text) -> None:
            partial.write_text(text)

        names.append(write_new_file(path, write))
    assert [each.name for each in names] == [
        *("mine.safetensors", "mine-2.safetensors", "mine-3.safetensors")
    ]
    assert [each.read_text() for each in names] == ["first", "second", "third"]
    assert len(os.listdir(tmp_path)) == 3


def test_a_new_file_that_fails_is_named_and_leaves_nothing(tmp_path: Path) -> None:
    def fail(partial: Path) -> None:
        raise ImageWriteError(f"{partial}: cannot be written (No space left on device)")

    path = tmp_path / "mine.safetensors"
    with pytest.raises(ImageWriteError, match=rf"^{path}: cannot be written"):
        write_new_file(path, fail)
    assert os.listdir(tmp_path) == []
