"""What all tests share: the folder of data that is not part of the repository."""

from __future__ import annotations

from pathlib import Path

import pytest

SHARED = Path(__file__).resolve().parents[2] / "shared"


def pytest_addoption(parser: pytest.Parser) -> None:
    """How many damaged files the long fuzz test tries."""
    parser.addoption("--fuzz-files", type=int, default=8000, help="damaged files, over all kinds")
    parser.addoption("--fuzz-seed", type=int, default=12, help="what the damage follows from")


@pytest.fixture(scope="session")
def shared() -> Path:
    """The data folder beside the checkout; a test that asks for it is skipped without it."""
    if not SHARED.is_dir():
        pytest.skip("the data folder ../shared is not here")
    return SHARED


@pytest.fixture(scope="session")
def _cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True)
def _no_folder_of_the_user_s(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory, _cache: Path
) -> None:
    """Models, profiles and measurements of whoever runs the tests change none."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path_factory.mktemp("data")))
    monkeypatch.setenv("XDG_CACHE_HOME", str(_cache))
