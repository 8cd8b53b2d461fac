"""What all tests share: the folder of data that is not part of the repository."""

from __future__ import annotations

from collections.abc import Iterator
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


@pytest.fixture(scope="session", autouse=True)
def _no_folder_of_the_user_s(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Models, profiles and measurements of whoever runs the tests change none."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("XDG_DATA_HOME", "XDG_CACHE_HOME"):
            patch.setenv(name, str(tmp_path_factory.mktemp(name)))
        yield


@pytest.fixture(autouse=True)
def _a_data_folder_of_its_own(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """What one test puts there, no other finds."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path_factory.mktemp("data")))
