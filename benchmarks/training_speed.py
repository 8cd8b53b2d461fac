"""Where the seconds of a training step go, by stage, and the share of the machine's ceiling.

    python benchmarks/training_speed.py recipes/fast.yaml [--steps 20]

Steps are those of `aindnet train` without its loop (averages, log and checkpoints), on tiles of
random pixels: no part's time depends on what they show. The arithmetic is three passes forward
(forward, and backward to features and to weights); the ceiling is the rate of one large
convolution in the run's precision, measured in the same run.
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections import defaultdict
from pathlib import Path

import numpy as np
import torch

from aindnet.evaluation.report.markdown import markdown_table
from aindnet.network import AINDNet
from aindnet.restore.ceilings import convolution_rate, work
from aindnet.training.data import SyntheticNoiseData
from aindnet.training.precision import runs_in_bf16
from aindnet.training.recipe import TrainingRecipe, load_recipe
from aindnet.training.task import SyntheticNoiseTask

WARM_UP = 3
PARTS = ("photos", "forward", "backward", "optimizer")


class Run:
    """A recipe's task and photos, a step at a time."""

    def __init__(self, recipe: TrainingRecipe, device: torch.device) -> None:
        network = AINDNet(recipe.network)
        network.detach_map = recipe.detach_noise_level
        self.device, self.recipe, self.network = device, recipe, network.train().to(device)
        self.network.to(memory_format=torch.channels_last)
        self.bf16 = runs_in_bf16(recipe.precision, device.type)
        self.data = SyntheticNoiseData(recipe)
        self.data.tiles = torch.randint(256, (64, 3, 256, 256), dtype=torch.uint8)
        self.task = SyntheticNoiseTask(recipe, network)
        self.task.to(device)
        self.optimizer = self.task.configure_optimizers()

    def step(self, number: int, seconds: dict[str, list[float]]) -> None:
        """One step; the seconds of its parts are added."""
        laps = [self._now()]
        batch = self.data.transfer_batch_to_device(number, self.device, 0)
        laps.append(self._now())
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.bf16):
            loss = self.task.training_step(batch, number)
        laps.append(self._now())
        loss.backward()
        laps.append(self._now())
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), self.recipe.gradient_clip)
        self.optimizer.step()
        self.optimizer.zero_grad()
        laps.append(self._now())
        for part, taken in zip(PARTS, np.diff(laps), strict=True):
            seconds[part].append(float(taken))

    def _now(self) -> float:
        if self.device.type == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter()


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("recipe", type=Path)
    parser.add_argument("--steps", type=int, default=20, help="of each stage; medians are shown")
    given = parser.parse_args()
    warnings.filterwarnings("ignore", ".*self.trainer.*")  # losses are not logged here
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    torch.manual_seed(0)
    recipe = load_recipe(given.recipe)
    if recipe.trains != "all":
        parser.error(f"{given.recipe} trains only a part of the network")
    run = Run(recipe, device)
    precision = "bf16" if run.bf16 else "fp32"
    ceiling = convolution_rate(device.type, precision)
    rows = []
    for start, crop, batch in run.recipe.stages:
        run.data.progress = max(start, run.recipe.white_first)
        seconds: dict[str, list[float]] = defaultdict(list)
        for number in range(WARM_UP + given.steps):
            run.step(number, seconds)
        medians = {part: float(np.median(each[WARM_UP:])) for part, each in seconds.items()}
        whole = sum(medians.values())
        operations = 3 * batch * work(run.network, crop).operations
        passes = medians["forward"] + medians["backward"]
        rows.append(
            [
                f"{batch} of {crop}",
                f"{1 / whole:.2f}",
                f"{batch / whole:.1f}",
                *(f"{1000 * medians[part]:.0f}" for part in PARTS),
                f"{operations / passes / ceiling:.2f}",
                f"{operations / whole / ceiling:.2f}",
            ]
        )
    print(
        f"{given.recipe.name} on {device.type}, {precision}: {ceiling / 1e12:.2f} TFLOP/s at best"
    )
    header = ["crops", "steps a second", "crops a second", *(f"{part}, ms" for part in PARTS)]
    print(markdown_table([*header, "of the ceiling: passes", "the whole step"], rows))


if __name__ == "__main__":
    main()
