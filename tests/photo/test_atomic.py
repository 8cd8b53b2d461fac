"""Outputs have their name only when whole, with and without nameless files."""

from __future__ import annotations

import contextlib
import errno
import os
from pathlib import Path

import pytest

from aindnet.errors import ImageWriteError
from aindnet.photo.atomic import PARTIAL_SUFFIX, AtomicFile, remove_leftovers


def no_links(*_: object, **__: object) -> None:
    """`os.link` as on FAT and exFAT."""
    raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))


@pytest.fixture(params=["nameless", "hidden", "without links"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "nameless" and not hasattr(os, "O_TMPFILE"):
        pytest.skip("this system has no nameless files")
    if request.param != "nameless":
        monkeypatch.delattr(os, "O_TMPFILE", raising=False)
    if request.param == "without links":
        monkeypatch.setattr(os, "link", no_links)
    return str(request.param)


def put(path: Path, data: bytes, *, overwrite: bool) -> None:
    with AtomicFile(path, overwrite=overwrite) as file:
        file.write(data)
        file.commit()


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_appears_whole_or_not_at_all(tmp_path: Path, way: str) -> None:
    path = tmp_path / "a.bin"
    with AtomicFile(path) as file:
        file.write(b"one")
        assert names(tmp_path) == [] if way == "nameless" else not path.exists()
        file.write(b" two")
        file.commit()
    assert path.read_bytes() == b"one two"
    with contextlib.suppress(RuntimeError), AtomicFile(tmp_path / "b.bin") as file:
        file.write(b"half")
        raise RuntimeError
    with AtomicFile(tmp_path / "c.bin") as file:
        file.write(b"forgotten")
    assert names(tmp_path) == ["a.bin"]


def test_an_existing_file_is_replaced_only_when_told(tmp_path: Path, way: str) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(b"mine")
    with pytest.raises(ImageWriteError, match="--overwrite"):
        put(path, b"new", overwrite=False)
    assert path.read_bytes() == b"mine"
    put(path, b"new", overwrite=True)
    assert path.read_bytes() == b"new"
    assert names(tmp_path) == ["a.bin"]


def test_permissions_follow_the_umask(tmp_path: Path, way: str) -> None:
    before = os.umask(0o027)
    try:
        with AtomicFile(tmp_path / "a.bin") as file:
            file.commit()
    finally:
        os.umask(before)
    assert (tmp_path / "a.bin").stat().st_mode & 0o777 == 0o640


def test_what_cannot_be_written_is_named(tmp_path: Path, way: str) -> None:
    (tmp_path / "file").write_bytes(b"")
    for path in (tmp_path / "no" / "a.bin", tmp_path / "file" / "a.bin", tmp_path / ("a" * 300)):
        with pytest.raises(ImageWriteError, match="cannot be written"):
            put(path, b"new", overwrite=False)
    assert names(tmp_path) == ["file"]


def test_leftovers_of_killed_runs_go_and_those_of_others_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(os, "O_TMPFILE", raising=False)
    (tmp_path / f".123-abc{PARTIAL_SUFFIX}").write_bytes(b"left")
    (tmp_path / "photo.jpg").write_bytes(b"mine")
    with AtomicFile(tmp_path / "a.bin") as file:
        remove_leftovers(tmp_path)
        assert len(names(tmp_path)) == 2
        file.commit()
    assert names(tmp_path) == ["a.bin", "photo.jpg"]


def test_a_folder_in_the_way_leaves_nothing_behind(tmp_path: Path, way: str) -> None:
    (tmp_path / "a.bin").mkdir()
    with pytest.raises(ImageWriteError, match="cannot be written"):
        put(tmp_path / "a.bin", b"new", overwrite=True)
    assert names(tmp_path) == ["a.bin"]


def test_other_runs_leave_a_file_alone_that_is_being_put_in_place(
    tmp_path: Path, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    replace = os.replace

    def interrupted(source: str, target: str, **folders: int) -> None:
        remove_leftovers(tmp_path)
        replace(source, target, **folders)

    monkeypatch.setattr(os, "replace", interrupted)
    (tmp_path / "a.bin").write_bytes(b"old")
    put(tmp_path / "a.bin", b"new", overwrite=True)
    assert (tmp_path / "a.bin").read_bytes() == b"new"
    assert names(tmp_path) == ["a.bin"]


def test_a_failed_renaming_leaves_no_placeholder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(os, "O_TMPFILE", raising=False)
    monkeypatch.setattr(os, "link", no_links)
    monkeypatch.setattr(os, "replace", no_links)
    with pytest.raises(ImageWriteError, match="not permitted"):
        put(tmp_path / "a.bin", b"new", overwrite=False)
    assert names(tmp_path) == []
