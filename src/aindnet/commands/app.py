"""The `aindnet` program: its commands, and the exit codes that scripts rely on.

Exit codes: 0 all done; 1 some inputs failed, each named with its reason; 2 wrong usage.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from itertools import pairwise

from cyclopts import App, CycloptsError

from aindnet import __version__
from aindnet.errors import AindnetError

# Commands are named by import path: `aindnet --help` must not pay for torch.
COMMANDS = {
    "denoise": "Denoise photos, files or whole folders.",
    "models": "List the models at hand, with licence and measured quality.",
    "simulate": "Turn clean photos into noisy ones with the synthetic camera.",
    "train": "Train a model by a recipe.",
    "adapt": "Adapt the denoiser to your camera, from pairs or a burst.",
    "evaluate": "Measure a model on a benchmark.",
    "export": "Write the model for other programs: ONNX, OpenVINO, darktable, a state dict.",
    "convert-tf": "Turn the authors' TF1 checkpoint into a model file.",
    "benchmark": "Time every backend on this machine.",
    "web": "Serve a web page on this machine that denoises photos.",
}

BROKEN_PIPE = 141
"""As a shell tells of SIGPIPE."""


def build_app(command: str | None = None) -> App:
    """The command-line application with every command registered by name.

    The help of `command`, which is about to run, is its whole docstring; of the others, which are
    not imported for it, a line.
    """
    app = App(
        name="aindnet", version=__version__, help="Clean real photographs of real camera noise."
    )
    for name, summary in COMMANDS.items():
        function = name.replace("-", "_")
        line = {} if name == command else {"help": summary}
        app.command(f"aindnet.commands.{function}:{function}", name=name, **line)
    return app


def _check_none_empty(words: Sequence[str]) -> None:
    """Raise `AindnetError` for an empty word, which as a path would be the current folder."""
    for before, word in pairwise(words):
        if not word or (word.startswith("--") and word.endswith("=")):
            raise AindnetError(
                f"nothing stands after {word or before!r}: is a shell variable not set? Name a "
                'file or a folder; "." is the current one'
            )


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command and exit with its code."""
    words = sys.argv[1:] if arguments is None else arguments
    _open_closed_streams()
    command = next(iter(words), None)
    app = build_app(command)
    try:
        if command != "train":  # a recipe's texts may be emptied; what it refuses, it says itself
            _check_none_empty(words)
        code = app(arguments, exit_on_error=False, result_action="return_value")
        sys.stdout.flush()
    except CycloptsError:
        sys.exit(2)  # cyclopts has printed what is wrong with the call
    except AindnetError as error:
        print(f"aindnet: {error}", file=sys.stderr)
        sys.exit(2)
    except BrokenPipeError:
        # Whoever reads the output wants no more of it (`| head`).
        _let_go_of_output()
        sys.exit(BROKEN_PIPE)
    except OSError as error:
        if not _output_fails():
            raise
        _let_go_of_output()
        print(f"aindnet: the output cannot be written ({error.strerror})", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("aindnet: stopped", file=sys.stderr)
        sys.exit(130)
    sys.exit(code if isinstance(code, int) else 0)


def _open_closed_streams() -> None:
    """Streams that the caller closed (`>&-`) lead nowhere, in place of into others."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115  (until the end)


def _output_fails() -> bool:
    """Whether it was the output that failed, as on a full disk: it does so again."""
    try:
        print(flush=True)
    except OSError:
        return True
    return False


def _let_go_of_output() -> None:
    """What is still to be printed leads nowhere: the flush at exit shall not fail again."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
