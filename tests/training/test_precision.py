from __future__ import annotations

import pytest
import torch

from aindnet.errors import RecipeError
from aindnet.network import precision as hardware
from aindnet.training.precision import check_precision, lightning_precision, runs_in_bf16


def test_auto_is_bf16_only_where_the_processor_multiplies_in_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: False)
    for supported, expected in ((True, "bf16-mixed"), (False, "32-true")):
        monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda s=supported: s)
        assert hardware.has_fast_bf16("cpu") is supported
        assert lightning_precision("auto", "cpu") == expected


@pytest.mark.parametrize(("accelerator", "device"), [("gpu", "cuda"), ("cuda", "cuda")])
def test_auto_asks_the_device_that_is_trained_on(
    accelerator: str, device: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    monkeypatch.setattr(
        "aindnet.training.precision.has_fast_bf16", lambda name: bool(asked.append(name)) or True
    )
    assert runs_in_bf16("auto", accelerator)
    assert asked == [device]


def test_auto_takes_the_accelerator_that_there_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aindnet.training.precision.has_fast_bf16", lambda name: name == "cuda")
    for there in (True, False):
        monkeypatch.setattr(torch.cuda, "is_available", lambda t=there: t)
        assert runs_in_bf16("auto", "auto") is there


def test_an_unknown_precision_is_refused() -> None:
    with pytest.raises(RecipeError, match="choose auto, bf16 or fp32"):
        check_precision("fp64")
