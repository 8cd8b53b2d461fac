"""The network computes the authors' function: recorded numbers of their released graph."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from aindnet.network import AINDNet
from aindnet.pretrained.tf1 import TF1_CONFIG, state_dict_from_tf1
from golden_weights import golden_variables

CASES = [
    "c0_1x64x64",
    "c1_1x96x80",
    "c2_1x60x52",
    "c3_2x64x64",
    "c4_1x61x53",
    "c5_1x62x55",
    "c6_1x5x7",
]
STAGES = {
    "mid.conv1_1": "stem1",
    "mid.AINRes1_1": "encoder1.0",
    "mid.AINRes3_5": "encoder3.4",
    "mid.noise_y": "noise_estimator.conv7",
}


@pytest.fixture(scope="module")
def variables(shared: Path) -> dict[str, np.ndarray]:
    return golden_variables(shared)


@pytest.fixture(scope="module")
def cases(shared: Path) -> dict[str, np.ndarray]:
    with np.load(shared / "golden/cases.npz") as stored:
        return dict(stored)


@pytest.fixture(scope="module")
def network(variables: dict[str, np.ndarray]) -> AINDNet:
    network = AINDNet(TF1_CONFIG).eval()
    network.load_state_dict(state_dict_from_tf1(variables))
    return network


def to_tensor(nhwc: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(nhwc).permute(0, 3, 1, 2)


def error(ours: torch.Tensor, golden: np.ndarray) -> float:
    """The largest difference, in standard deviations of the golden array."""
    return float(np.abs(ours.permute(0, 2, 3, 1).numpy() - golden).max() / golden.std())


def test_golden_variables_are_all_of_the_network(variables: dict[str, np.ndarray]) -> None:
    assert len(variables) == 256
    assert sum(v.size for v in variables.values()) == 13_764_014


@pytest.mark.parametrize("case", CASES)
@torch.inference_mode()
def test_golden_outputs(network: AINDNet, cases: dict[str, np.ndarray], case: str) -> None:
    out = network(to_tensor(cases[f"{case}.input"]))
    assert error(out.noise_level_coarse, cases[f"{case}.noise_down"]) < 1e-4
    assert error(out.noise_level, cases[f"{case}.noise"]) < 1e-4
    assert error(out.denoised, cases[f"{case}.out"]) < 1e-3


@torch.inference_mode()
def test_golden_float64_run(
    network: AINDNet, cases: dict[str, np.ndarray], variables: dict[str, np.ndarray]
) -> None:
    double = AINDNet(TF1_CONFIG).double().eval()
    double.load_state_dict(state_dict_from_tf1(variables))
    for case in CASES:
        out = double(to_tensor(cases[f"{case}.input"]).double())
        assert error(out.denoised, cases[f"{case}.out_f64"]) < 1e-6, case


@torch.inference_mode()
def test_golden_intermediates(network: AINDNet, cases: dict[str, np.ndarray]) -> None:
    seen: dict[str, torch.Tensor] = {}
    hooks = [
        network.get_submodule(module).register_forward_hook(
            lambda _, __, out, stage=stage: seen.__setitem__(stage, out)
        )
        for stage, module in STAGES.items()
    ]
    hooks += [
        network.stem2.register_forward_pre_hook(
            lambda _, args: seen.__setitem__("mid.pool1", args[0])
        ),
        network.decoder2[0].register_forward_pre_hook(
            lambda _, args: seen.__setitem__("mid.deconv4_sum", args[0])
        ),
        network.decoder1[0].register_forward_pre_hook(
            lambda _, args: seen.__setitem__("mid.deconv5_sum", args[0])
        ),
    ]
    network(to_tensor(cases["c0_1x64x64.input"]))
    for hook in hooks:
        hook.remove()
    seen["mid.conv1_1"] = seen["mid.conv1_1"].relu()
    seen["mid.noise_y"] = seen["mid.noise_y"].relu()
    for stage, ours in seen.items():
        tolerance = 1e-4 if stage in ("mid.noise_y", "mid.conv1_1") else 1e-3
        assert error(ours, cases[f"c0_1x64x64.{stage}"]) < tolerance, stage
    assert len(seen) == 7


def test_golden_biases_that_no_output_shows(
    network: AINDNet, variables: dict[str, np.ndarray]
) -> None:
    """A block's first conv bias is removed by the norm after it: compared directly."""
    blocks = {
        "AINRes1": "encoder1",
        "AINRes2": "encoder2",
        "AINRes3": "encoder3",
        "AINRes4": "decoder2",
        "AINRes5": "decoder1",
    }
    checked = 0
    for level, ours in blocks.items():
        for number in range(len(getattr(network, ours))):
            golden = variables[f"AINDNet/{level}_{number + 1}/conv1/bias"]
            bias = network.get_parameter(f"{ours}.{number}.conv1.bias").detach().numpy()
            assert np.array_equal(bias, golden)
            checked += 1
    assert checked == 14
