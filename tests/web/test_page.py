"""The page, served and used as a browser would."""

from __future__ import annotations

import http.client
import json
import socket
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pytest

from aindnet import Denoiser
from aindnet.commands.batch.settings import Settings
from aindnet.errors import AindnetError, ModelNotFoundError
from aindnet.photo import read_image, write_image
from aindnet.web.desk import Desk

pytest.importorskip("gradio")
pytest.importorskip("gradio_client")


def noisy_photo(path: Path, dtype: str = "uint8") -> np.ndarray:
    rng = np.random.default_rng(0)
    levels = np.clip(0.5 + rng.normal(scale=0.06, size=(96, 120, 3)), 0, 1)
    photo = np.rint(levels * np.iinfo(dtype).max).astype(dtype)
    write_image(path, photo)
    return photo


MODEL = "aindnet-fast"
"""The default takes seconds longer to compile, every time."""


@pytest.fixture(scope="module")
def desk() -> Desk:
    return Desk(MODEL)


def test_a_photo_becomes_what_the_command_makes_of_it(desk: Desk, tmp_path: Path) -> None:
    photo = noisy_photo(tmp_path / "cat.png", "uint16")
    shares: list[float] = []
    folder = tmp_path / "results"
    done = desk.denoise(
        tmp_path / "cat.png", folder, Settings(noise_map=True), progress=shares.append
    )
    assert [path.name for path in done.files] == ["cat.denoised.png", "cat.noise.png"]
    result = read_image(done.files[0])
    expected = Denoiser.from_pretrained(MODEL)(photo).image
    assert result.dtype == np.uint16
    np.testing.assert_allclose(result.astype(int), expected.astype(int), atol=1)
    assert shares[-1] == 1.0
    assert 0.02 < done.noise_level < 0.12
    before, after = done.view.whole()
    assert after.std() < 0.5 * before.std()
    assert desk.model in done.running


def test_what_cannot_be_done_is_said_without_the_server_s_folders(
    desk: Desk, tmp_path: Path
) -> None:
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"\xff\xd8\xff\xe0 no picture")
    with pytest.raises(AindnetError, match=r"^broken\.jpg: ") as caught:
        desk.denoise(broken, tmp_path / "out", Settings())
    assert str(tmp_path) not in str(caught.value)
    assert not list((tmp_path / "out").glob("*.jpg"))
    profile = tmp_path / "my.safetensors"
    profile.write_bytes(b"nothing")
    noisy_photo(tmp_path / "cat.png")
    with pytest.raises(AindnetError, match=r"^my\.safetensors: "):
        desk.denoise(tmp_path / "cat.png", tmp_path / "out", Settings(), camera=profile)
    with pytest.raises(ModelNotFoundError):
        Desk("no-such-model")


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("results")


@pytest.fixture(scope="module")
def address(desk: Desk, results: Path) -> Iterator[str]:
    from aindnet.web.page import build_page, serve

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRADIO_TEMP_DIR", str(results))
        page = build_page(desk, {desk.model: desk.model}, results)
        yield serve(page, "127.0.0.1", port)
        page.close()


def test_the_page_loads_nothing_from_elsewhere(address: str) -> None:
    with urllib.request.urlopen(address) as answer:
        policy = answer.headers["content-security-policy"]
        text = answer.read().decode()
    assert "default-src 'self'" in policy
    assert "connect-src 'self'" in policy
    for host in ("fonts.googleapis", "cdnjs", "googletagmanager"):
        assert host not in text


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"Host": "localhost"}, 200),
        ({"Host": "evil.example"}, 403),
        ({"Origin": "http://evil.example"}, 403),
        ({"Host": "["}, 403),
        ({"Origin": "http://["}, 403),
    ],
    ids=str,
)
def test_other_sites_pages_get_nothing(address: str, headers: dict[str, str], status: int) -> None:
    given = http.client.HTTPConnection(urlsplit(address).netloc)
    given.putrequest("GET", "/", skip_host="Host" in headers)
    for name, value in headers.items():
        given.putheader(name, value)
    given.endheaders()
    assert given.getresponse().status == status


def test_a_photo_goes_through_the_page(address: str, tmp_path: Path) -> None:
    from gradio_client import Client, handle_file

    photo = noisy_photo(tmp_path / "cat.png")
    client = Client(address, verbose=False, download_files=tmp_path / "downloads")
    whole, near, files, facts, *_ = client.predict(
        handle_file(tmp_path / "cat.png"), 1.0, 1.0, ["noise map"], MODEL, None, "200 %",
        api_name="/denoise",
    )  # fmt: skip
    assert [Path(file).name for file in files] == ["cat.denoised.png", "cat.noise.png"]
    result = read_image(Path(files[0]))
    expected = Denoiser.from_pretrained(MODEL)(photo).image
    # Halves of a level may be rounded either way: 129.5 was, on one processor.
    np.testing.assert_allclose(result.astype(int), expected.astype(int), atol=1)
    assert (result != expected).mean() < 1e-3
    assert MODEL in facts
    assert read_image(Path(whole[1])).shape == (96, 120, 3)
    assert read_image(Path(near[1])).shape == (192, 240, 3)
    # Nothing of what is shown or made goes to the hub.
    with urllib.request.urlopen(address + "config") as answer:
        assert json.load(answer)["run_history"] is False


def test_results_are_gone_with_the_next_and_uploads_are_not(
    address: str, results: Path, tmp_path: Path
) -> None:
    from gradio_client import Client, handle_file

    before = set(results.rglob("*.png"))
    client = Client(address, verbose=False, download_files=tmp_path / "downloads")
    for number, name in enumerate(("cat", "dog")):
        photo = np.full((40, 60, 3), 100 + number, np.uint8)
        write_image(tmp_path / f"{name}.png", photo)
    for each in ("cat", "cat", "dog"):
        client.predict(
            handle_file(tmp_path / f"{each}.png"), 1.0, 1.0, [], MODEL, None, "200 %",
            api_name="/denoise",
        )  # fmt: skip
        there = sorted(path.name for path in set(results.rglob("*.png")) - before)
        views = ["after.png"] * 2 + ["before.png"] * 2
        # Another tab may show the same upload, and be about to denoise it.
        uploads = ["cat.png"] if each == "cat" else ["cat.png", "dog.png"]
        assert there == sorted([*views, f"{each}.denoised.png", *uploads])


def test_the_page_says_what_is_wrong(address: str, tmp_path: Path) -> None:
    from gradio_client import Client, handle_file
    from gradio_client.exceptions import AppError

    (tmp_path / "empty.png").touch()
    client = Client(address, verbose=False)
    with pytest.raises(AppError, match=r"empty\.png"):
        client.predict(
            handle_file(tmp_path / "empty.png"), 1.0, 1.0, [], MODEL, None, "200 %",
            api_name="/denoise",
        )  # fmt: skip
    with pytest.raises(AppError, match="Choose a photo"):
        client.predict(None, 1.0, 1.0, [], MODEL, None, "200 %", api_name="/denoise")


def test_a_port_in_use_is_an_error(desk: Desk, address: str, tmp_path: Path) -> None:
    from aindnet.web.page import build_page, serve

    page = build_page(desk, {desk.model: desk.model}, tmp_path)
    with pytest.raises(AindnetError, match="another --port"):
        serve(page, "127.0.0.1", int(address.rstrip("/").rsplit(":", 1)[1]))
