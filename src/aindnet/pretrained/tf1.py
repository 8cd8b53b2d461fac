"""The authors' TF1 checkpoint: from its variables' names and layouts to ours.

The graph is the released one: scopes `fcn_avg` (estimator) and `AINDNet`. Kernels are
[kh, kw, in, out] and transposed-convolution filters [kh, kw, out, in] there; both become torch's by
the same permutation. γ and β, two convolutions there, are one of twice the width here.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from aindnet.errors import InvalidModelFileError
from aindnet.network import AINDNetConfig

TF1_CONFIG = AINDNetConfig(resize="tf1")
"""The configuration that computes what the released graph computes."""

_BLOCKS = {
    "AINRes1": "encoder1",
    "AINRes2": "encoder2",
    "AINRes3": "encoder3",
    "AINRes4": "decoder2",
    "AINRes5": "decoder1",
}
_PLAIN = {
    "conv1_1": "stem1",
    "conv2_1": "stem2",
    "conv3_1": "stem3",
    "conv6": "head",
    "deconv4/Conv": "skip2.conv1",
    "deconv4/Conv_1": "skip2.conv2",
    "deconv5/Conv": "skip1.conv1",
    "deconv5/Conv_1": "skip1.conv2",
}
_UP = {"AINDNet/deconv4_1": "up2", "AINDNet/deconv5_1": "up1"}


def state_dict_from_tf1(variables: Mapping[str, np.ndarray]) -> dict[str, Tensor]:
    """Our state dict from the released graph's 256 variables (names without `:0`).

    Raises `InvalidModelFileError` on a variable that the graph has not, or one that is missing.
    """
    state: dict[str, Tensor] = {}
    halves: dict[str, dict[str, Tensor]] = {}
    for name, array in variables.items():
        value = torch.from_numpy(np.ascontiguousarray(array))
        if value.ndim == 4:
            value = value.permute(3, 2, 0, 1).contiguous()
        if name in _UP:
            state[f"{_UP[name]}.weight"] = value
            continue
        ours, kind = _translate(name)
        if ours.endswith((".gamma", ".beta")):
            module, half = ours.rsplit(".", 1)
            halves.setdefault(f"{module}.gamma_beta.{kind}", {})[half] = value
        else:
            state[f"{ours}.{kind}"] = value
    for name, pair in halves.items():
        if pair.keys() != {"gamma", "beta"}:
            raise InvalidModelFileError(f"the checkpoint lacks the other half of {name}")
        state[name] = torch.cat([pair["gamma"], pair["beta"]])
    return state


def _translate(name: str) -> tuple[str, str]:
    """A TF1 variable's name as ours (module, "weight" or "bias")."""
    kinds = {"weights": "weight", "kernel": "weight", "biases": "bias", "bias": "bias"}
    scope, _, rest = name.partition("/")
    path, _, kind = rest.rpartition("/")
    if kind in kinds:
        if scope == "fcn_avg":
            return f"noise_estimator.{path}", kinds[kind]
        if path in _PLAIN:
            return _PLAIN[path], kinds[kind]
        block, _, inner = path.partition("/")
        level, _, number = block.partition("_")
        if level in _BLOCKS and number.isdigit():
            inner = inner.replace("AIN_", "norm").replace("/", ".")
            inner = inner.replace(".conv_gamma", ".gamma").replace(".conv_beta", ".beta")
            inner = inner.replace(".conv1", ".conv") if inner.startswith("norm") else inner
            return f"{_BLOCKS[level]}.{int(number) - 1}.{inner}", kinds[kind]
    raise InvalidModelFileError(f"{name!r} is no variable of the authors' graph")
