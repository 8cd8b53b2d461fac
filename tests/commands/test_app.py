"""The program itself: what no single command decides."""

import importlib
import inspect
import json
import subprocess
import sys
from pathlib import Path

import pytest

from aindnet.commands.app import BROKEN_PIPE, COMMANDS, main
from aindnet.pretrained.files import model_hashes


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX pipes")
def test_a_reader_that_wants_no_more_is_no_error():
    """As in `aindnet models --json | head -c 1`."""
    process = subprocess.Popen(
        [sys.executable, "-m", "aindnet", "models", "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None
    process.stdout.close()
    assert process.wait(120) == BROKEN_PIPE
    assert process.stderr is not None
    assert process.stderr.read() == b""
    process.stderr.close()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="Linux has a disk that is full")
def test_an_output_that_cannot_be_written_is_said():
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "aindnet", "models", "--json"],
            stdout=full, stderr=subprocess.PIPE, text=True, timeout=120, check=False,
        )  # fmt: skip
    assert done.returncode == 2
    [line] = done.stderr.splitlines()
    assert line.startswith("aindnet: the output cannot be written (No space left")


@pytest.mark.skipif(sys.platform == "win32", reason="a POSIX shell")
@pytest.mark.parametrize("closed", ["1>&-", "2>&-"])
def test_a_closed_output_is_no_error(closed):
    command = f'"{sys.executable}" -m aindnet models --json {closed}'
    done = subprocess.run(["sh", "-c", command], capture_output=True, timeout=120, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
    assert bool(done.stdout) == (closed == "2>&-")


@pytest.mark.parametrize("command", COMMANDS)
def test_help_is_all_that_a_command_says_of_itself(command, capsys):
    name = command.replace("-", "_")
    module = importlib.import_module(f"aindnet.commands.{name}")
    said = inspect.cleandoc(getattr(module, name).__doc__).partition("\n\nParameters\n")[0]
    with pytest.raises(SystemExit) as exit_:
        main([command, "--help"])
    assert exit_.value.code == 0
    shown = capsys.readouterr().out
    assert "".join(said.replace("`", "").split()) in "".join(shown.split())
    assert "--empty" not in shown


@pytest.mark.parametrize(
    "words",
    [
        ["denoise", ""],
        ["denoise", "a.jpg", "--output", ""],
        ["denoise", "a.jpg", "--output="],
        ["simulate", "", "--output", "pairs"],
        ["evaluate", "pairs", "--root", ""],
    ],
    ids=" ".join,
)
def test_an_empty_word_is_not_the_current_folder(words, tmp_path, monkeypatch, capsys):
    """As from a shell variable that is not set."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as exit_:
        main(words)
    assert exit_.value.code == 2
    assert "is a shell variable not set?" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_the_list_of_commands_has_a_line_of_each(capsys):
    with pytest.raises(SystemExit):
        main(["--help"])
    shown = " ".join(capsys.readouterr().out.replace("│", " ").split())
    for name, line in COMMANDS.items():
        assert f"{name} {line[:30]}" in shown


def test_models_are_listed_with_their_hash_and_their_failures(capsys):
    with pytest.raises(SystemExit):
        main(["models", "--json"])
    listed = json.loads(capsys.readouterr().out)["models"]
    known = model_hashes()
    assert {each["name"] for each in listed} >= {"aindnet-medium", "aindnet-fast"}
    for each in listed:
        assert known[each["sha256"]].stem == each["name"]
        assert each["known_failures"]
    with pytest.raises(SystemExit):
        main(["models"])
    shown = capsys.readouterr().out
    assert all(each["sha256"][:8] in shown for each in listed)
    assert "Removes" in shown  # of known failures alone
