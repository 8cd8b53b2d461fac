from __future__ import annotations

import copy
import hashlib
import os
from pathlib import Path

import numpy as np
import pytest
import torch

from aindnet.restore.backends import compiled_store, create_backend
from aindnet.restore.backends.base import Array
from aindnet.restore.backends.int8 import int8_layers
from aindnet.restore.backends.tile_network import TileNetwork
from restore_networks import small_network

pytest.importorskip("openvino")
pytest.importorskip("onnx")

from aindnet.restore.backends import openvino_backend

TILES = np.random.default_rng(0).random((1, 3, 64, 64), dtype=np.float32)
NETWORK = small_network()


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return compiled_store.cache_folder()


def run(gain: float = 1.0, tiles: Array = TILES, **options: object) -> Array:
    """What a new backend makes of the tiles, with the last weights times `gain`."""
    network = copy.deepcopy(NETWORK)
    network.head.weight.data *= gain
    asked = {"precision": "fp32", **options}
    return create_backend(network, backend="openvino", **asked).run(tiles, ["own"])  # type: ignore[arg-type]


def options_of(precision: str) -> dict[str, object]:
    """For `run`; skips where the processor does not compute in it."""
    if precision == "bf16" and not openvino_backend.computes_in("bf16"):
        pytest.skip("OpenVINO has no bf16 here")
    layers = int8_layers(TileNetwork(NETWORK))
    ranges = dict.fromkeys(layers, (-4.0, 4.0))
    return {"precision": precision, **({"int8_ranges": ranges} if precision == "int8" else {})}


def files(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()} if folder.is_dir() else set()


def forbid_tracing(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> bytes:
        raise AssertionError("traced again")

    monkeypatch.setattr(openvino_backend, "tile_graph", refuse)


@pytest.mark.parametrize("precision", ["fp32", "bf16", "int8"])
def test_the_next_backend_takes_what_was_compiled_to_the_same_bits(
    folder: Path, monkeypatch: pytest.MonkeyPatch, precision: str
) -> None:
    options = options_of(precision)
    first = run(**options)
    assert len(files(folder)) == 1
    forbid_tracing(monkeypatch)
    np.testing.assert_array_equal(run(**options), first)


def test_other_weights_shapes_and_code_are_compiled_anew(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = run()
    assert np.abs(run(gain=0.5) - first).max() > 0
    assert len(files(folder)) == 2
    run(tiles=np.ascontiguousarray(TILES[..., :32]))
    assert len(files(folder)) == 3
    monkeypatch.setattr(compiled_store, "CODE", "another")
    np.testing.assert_array_equal(run(), first)
    assert len(files(folder)) == 4


def test_other_precisions_ranges_and_threads_are_compiled_anew(folder: Path) -> None:
    run()
    for count, options in enumerate(
        (options_of("int8"), {"precision": "int8", "int8_ranges": dict.fromkeys(
            int8_layers(TileNetwork(NETWORK)), (-2.0, 2.0))}), start=2
    ):  # fmt: skip
        run(**options)
        assert len(files(folder)) == count
    threads = torch.get_num_threads()
    torch.set_num_threads(threads + 1)
    try:
        run()
    finally:
        torch.set_num_threads(threads)
    assert len(files(folder)) == 4


def test_a_folder_to_read_from_alone_will_do(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = run()
    forbid_tracing(monkeypatch)

    def refuse(*_: object) -> None:
        raise PermissionError(13, "not yours")

    monkeypatch.setattr(os, "utime", refuse)
    np.testing.assert_array_equal(run(), first)
    assert len(files(folder)) == 1


@pytest.mark.parametrize("damage", ["cut", "changed", "empty", "no graph"])
def test_a_damaged_file_is_made_again(folder: Path, damage: str) -> None:
    first = run()
    (path,) = folder.iterdir()
    whole = path.read_bytes()
    other = b"x" * 1000
    content = {
        "cut": whole[:-100],
        "changed": whole[:-1] + bytes([whole[-1] ^ 1]),
        "empty": b"",
        "no graph": hashlib.sha256(other).digest() + other,
    }[damage]
    path.write_bytes(content)
    np.testing.assert_array_equal(run(), first)
    assert path.read_bytes()[:32] == hashlib.sha256(path.read_bytes()[32:]).digest()
    assert len(path.read_bytes()) > 1032


def test_no_home_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setattr(Path, "home", refuse)
    assert np.isfinite(run()).all()


def test_a_cache_folder_is_not_one_below_where_one_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "cache")
    assert compiled_store.cache_folder() == Path.home() / ".cache/aindnet/openvino"


def test_no_folder_is_needed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("not a folder")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert np.isfinite(run()).all()


def test_what_was_not_used_for_longest_goes(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run()
    (first,) = files(folder)
    run(gain=0.5)
    (second,) = files(folder) - {first}
    for age, name in ((200, second), (300, first)):
        stat = (folder / name).stat()
        os.utime(folder / name, (stat.st_atime - age, stat.st_mtime - age))
    run()  # the first is in use
    size = sum((folder / name).stat().st_size for name in (first, second))
    monkeypatch.setattr(compiled_store, "MOST_BYTES", size + 1)
    run(gain=0.25)
    assert first in files(folder)
    assert second not in files(folder)
    assert len(files(folder)) == 2
