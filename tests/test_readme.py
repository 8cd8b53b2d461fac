"""The README's commands: every one parses, the quick ones run on small photos made here."""

from __future__ import annotations

import re
import shlex
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from aindnet.commands.app import build_app, main
from evaluation_stand_ins import save, smooth_photo, with_noise

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
LIBRARY = (ROOT / "docs/library.md").read_text(encoding="utf-8")
QUICK = (
    ["denoise"],
    ["models"],
    ["simulate"],
    ["evaluate", "pairs"],
)
"""Commands that take seconds and need nothing but the sandbox; the others are only parsed."""
FILES_OF_OTHERS = {"--camera", "--model"}
"""Flags that name what another command makes."""


def blocks(language: str, page: str = README) -> list[str]:
    """A page's fenced code of one language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", page, flags=re.MULTILINE | re.DOTALL)


def shell_lines(program: str) -> list[list[str]]:
    """Every shell line that calls a program, as its arguments."""
    lines = [line for block in blocks("sh") for line in block.splitlines()]
    split = [shlex.split(line, comments=True) for line in lines]
    return [words[1:] for words in split if words and words[0] == program]


COMMANDS = shell_lines("aindnet")


def is_quick(words: list[str]) -> bool:
    """Whether a command runs here."""
    return any(words[: len(q)] == q for q in QUICK) and not FILES_OF_OTHERS & set(words)


def parameters(*, quick: bool) -> list[object]:
    """The commands to run, or those that are only parsed."""
    chosen = [words for words in COMMANDS if is_quick(words) == quick]
    return [pytest.param(words, id=" ".join(words)) for words in chosen]


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the photos and pairs that the README speaks of."""
    folder = tmp_path_factory.mktemp("readme")
    for index, name in enumerate(
        ("photo.jpg", "photo.tif", "holiday/beach.jpg", "holiday/night/street.png", "photos/a.png")
    ):
        save(folder / name, with_noise(smooth_photo(64, 72, seed=index), 8, seed=index))
    clean = smooth_photo(64, 72, seed=9)
    save(folder / "pairs/clean/b.png", clean)
    save(folder / "pairs/noisy/b.png", with_noise(clean, 12))
    return folder


@pytest.mark.parametrize("words", parameters(quick=True))
def test_a_quick_command_runs(
    words: list[str], sandbox: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(sandbox)
    # The default takes seconds longer to compile in every one; the Python example runs it.
    monkeypatch.setattr("aindnet.pretrained.files.DEFAULT_MODEL", "aindnet-fast")
    before = {path: path.read_bytes() for path in sandbox.rglob("photo*.*")}
    with pytest.raises(SystemExit) as stopped:
        main(words)
    assert stopped.value.code == 0
    for path, content in before.items():
        if "denoised" not in path.name:
            assert path.read_bytes() == content
    if "--output" in words:
        output = sandbox / words[words.index("--output") + 1]
        assert [path for path in output.rglob("*") if path.is_file()]


@pytest.mark.parametrize("words", parameters(quick=False))
def test_a_long_command_parses(words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    build_app().parse_args(words, exit_on_error=False, print_error=False)
    if words[0] == "train":
        from aindnet.training import load_recipe

        monkeypatch.chdir(ROOT)
        assert load_recipe(Path(words[1]), without_resume(words[2:])).name


def without_resume(flags: list[str]) -> list[str]:
    """The flags that are fields of the recipe."""
    if "--resume" not in flags:
        return flags
    at = flags.index("--resume")
    return flags[:at] + flags[at + 2 :]


def test_the_readme_shows_every_room_of_the_program() -> None:
    shown = {words[0] for words in COMMANDS}
    assert {"denoise", "models", "simulate", "train", "evaluate", "export", "benchmark"} <= shown


def test_the_python_example_runs() -> None:
    image = with_noise(smooth_photo(64, 72), 8)
    [code] = blocks("python")
    names: dict[str, object] = {"image": image}
    exec(code, names)
    result = names["result"]
    assert result.image.shape == image.shape  # type: ignore[attr-defined]
    assert result.image.dtype == np.uint8  # type: ignore[attr-defined]
    assert result.noise_level.shape == image.shape  # type: ignore[attr-defined]


def test_the_examples_of_the_library_page_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("aindnet.pretrained.files.DEFAULT_MODEL", "aindnet-fast")
    with pytest.raises(SystemExit) as stopped:
        main(shlex.split("export --format onnx --dynamic --output aindnet.onnx"))
    assert stopped.value.code == 0
    assert "`aindnet export --format onnx --dynamic --output aindnet.onnx`" in LIBRARY
    names: dict[str, Any] = {}
    for code in blocks("python", LIBRARY):
        exec(code, names)
    image = names["image"].astype(float)
    assert names["second"].image.shape == (64, 96, 3)
    assert names["output"].shape == image.shape
    # The graph and the library see the same photo; they differ by precision and the padding.
    assert np.abs(names["output"] - names["result"].image.astype(float)).mean() < 0.5
    assert np.abs(names["output"] - 99.5).mean() < np.abs(image - 99.5).mean() / 2


def test_extras_targets_tools_and_pages_that_it_names_are_there() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    for words in shell_lines("pip"):
        for listed in re.findall(r"\[(.*?)\]", words[-1]):
            assert set(listed.split(",")) <= extras["optional-dependencies"].keys()
    makefile = (ROOT / "Makefile").read_text()
    for words in shell_lines("make"):
        assert f"\n{words[0]}:" in makefile
    for path in re.findall(r"(?:python|train) ((?:tools|benchmarks|recipes)/\S+?)[\s`]", README):
        assert (ROOT / path).is_file(), path
    for path in re.findall(r"\]\((?!https?:)([^)#]+)", README):
        assert (ROOT / path).is_file(), path
