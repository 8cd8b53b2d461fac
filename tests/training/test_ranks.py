"""A run of two processes: what one of them alone sees stops both."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("pytorch_lightning")

RUN = """
import os, sys
from pathlib import Path

from pytorch_lightning.callbacks import Callback

from aindnet.errors import TrainingDivergedError
from aindnet.training.callbacks import DivergenceGuard
from aindnet.training.fit import fit
from aindnet.training.task import SyntheticNoiseTask
from training_runs import recipe

photos, rank = Path(sys.argv[1]), int(os.environ.get("LOCAL_RANK", "0"))
training_step = SyntheticNoiseTask.training_step

def step(task, batch, index):
    loss = training_step(task, batch, index)
    return loss * float("nan") if rank == 1 and task.global_step == 2 else loss

SyntheticNoiseTask.training_step = step
DivergenceGuard.on_before_optimizer_step = Callback.on_before_optimizer_step  # alike on both
try:
    fit(recipe(photos, photos.parent, budget="4 steps", devices=2, strategy="ddp"))
except TrainingDivergedError as error:
    os.write(1, f"{rank} {error}\\n".encode())  # in one, as the other writes too
"""


@pytest.mark.slow
def test_a_loss_of_one_rank_stops_both(photos: Path, tmp_path: Path) -> None:
    script = tmp_path / "run.py"
    script.write_text(RUN)
    paths = [str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")]
    done = subprocess.run(
        [sys.executable, str(script), str(photos)],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(paths), "OMP_NUM_THREADS": "1"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    told = sorted(done.stdout.splitlines())
    assert len(told) == 2
    for rank, line in enumerate(told):
        assert line.startswith(f"{rank} training diverged at step 3: the loss is nan")
