from __future__ import annotations

import json
import weakref
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from aindnet.commands.app import main
from aindnet.commands.benchmark import MOST_LOST, _remember
from aindnet.errors import AindnetError, InvalidModelFileError, NotFiniteError
from aindnet.pretrained import ModelCard, save_model
from aindnet.restore import Denoiser, benchmark, ceilings
from aindnet.restore.backends.measured import measured_fastest, measured_file
from aindnet.restore.benchmark import Run, _naive, example_image, psnr
from aindnet.restore.ceilings import Ceilings, work
from aindnet.restore.memory import PeakMemory
from restore_networks import small_network

KEYS = {
    "name",
    "backend",
    "precision",
    "device",
    "seconds",
    "megapixels_per_second",
    "peak_rss_mb",
}


def test_the_json_document_is_as_promised(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model, chart = tmp_path / "small.safetensors", tmp_path / "chart.png"
    save_model(model, small_network(), ModelCard(name="small"))
    flags = ["--size", "64", "--repeats", "1", "--no-peers", "--json"]
    with pytest.raises(SystemExit) as stopped:
        main(["benchmark", "--model", str(model), "--chart", str(chart), *flags])
    assert stopped.value.code == 0
    document = json.loads(capsys.readouterr().out)
    runs = {run["name"]: run for run in document["runs"]}
    assert all(run.keys() >= KEYS for run in runs.values())
    naive = runs["naive"]
    assert (naive["backend"], naive["precision"], naive["device"]) == ("torch", "fp32", "cpu")
    assert sum(run["is_default"] for run in runs.values()) == 1
    # Every backend denoised the same image to nearly the same quality.
    assert all(abs(run["psnr_difference"]) < 0.1 for run in runs.values())
    assert {"torch fp32 cpu", "torch bf16 cpu"} <= runs.keys()
    for run in runs.values():
        assert 0 <= run["added_mb"] < run["peak_rss_mb"]
        assert run["seconds_per_megapixel"] == pytest.approx(1 / run["megapixels_per_second"])
        assert run["share_of_ceiling"] > 0
        assert run["share_of_copy"] > 0
    assert document["ceilings"]["convolution_tflops"].keys() >= {"cpu fp32", "cpu bf16"}
    assert document["ceilings"]["copy_gb_per_second"]["cpu"] > 0
    assert "calibrate_int8.py" in document["skipped"]["openvino int8 cpu"]
    assert chart.read_bytes().startswith(b"\x89PNG")


def test_the_fastest_is_remembered_where_that_is_asked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = tmp_path / "small.safetensors"
    save_model(model, small_network(), ModelCard(name="small"))
    command = ["benchmark", "--model", str(model), "--size", "64", "--repeats", "1", "--no-peers"]
    with pytest.raises(SystemExit) as stopped:
        main([*command, "--json"])
    assert stopped.value.code == 0
    assert measured_fastest() is None
    capsys.readouterr()
    with pytest.raises(SystemExit):
        main([*command, "--json", "--remember"])
    out, err = capsys.readouterr()
    runs = [
        run
        for run in json.loads(out)["runs"]
        if run["name"] != "naive" and run["psnr_difference"] > -MOST_LOST
    ]
    best = min(runs, key=lambda run: run["seconds"])
    found = measured_fastest()
    assert found is not None
    assert (found.backend, found.precision) == (best["backend"], best["precision"])
    assert str(measured_file()) in err
    chosen = Denoiser(small_network())
    assert (chosen.backend, chosen.precision) == (best["backend"], best["precision"])


def run_of(name: str, seconds: float, lost: float = 0.0) -> Run:
    """A run as `benchmark` gives it."""
    backend, _, rest = name.partition(" ")
    return Run(
        name=name, backend=backend, precision=rest.partition(" ")[0], device="cpu",
        seconds=seconds, first_seconds=seconds, seconds_per_megapixel=seconds,
        megapixels_per_second=1 / seconds, peak_rss_mb=None, added_mb=None, tflops=None,
        share_of_ceiling=None, share_of_copy=None, psnr=30 - lost, is_default=False,
    )  # fmt: skip


def test_int8_and_what_loses_are_not_remembered() -> None:
    naive = replace(run_of("torch fp32 cpu", 9.0), name="naive")
    good, lossy = run_of("onnx fp32 cpu", 3.0, 0.04), run_of("torch bf16 cpu", 2.0, 0.06)
    small = run_of("openvino int8 cpu", 1.0)
    _remember([naive, small, lossy, good], naive)
    found = measured_fastest()
    assert found is not None
    assert found.backend == "onnx"
    measured_file().unlink()
    with pytest.raises(AindnetError, match="nothing is kept"):
        _remember([naive, small, lossy], naive)
    assert measured_fastest() is None


def test_what_cannot_be_remembered_is_refused_before_the_measuring(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = tmp_path / "authors.safetensors"
    save_model(model, small_network(resize="tf1"), ModelCard(name="authors"))
    with pytest.raises(SystemExit) as stopped:
        main(["benchmark", "--model", str(model), "--size", "64", "--remember"])
    assert stopped.value.code != 0
    assert "--remember" in capsys.readouterr().err


Method = Callable[[np.ndarray], np.ndarray]


def stub_methods(
    monkeypatch: pytest.MonkeyPatch, make: Callable[[str, int | None], Method], names: list[str]
) -> None:
    """Let `benchmark` measure what `make` makes of a name and a batch."""
    nothing = Ceilings(convolution_tflops={}, copy_gb_per_second={})
    monkeypatch.setattr(benchmark, "measure_ceilings", lambda: (nothing, {}))
    monkeypatch.setattr(
        benchmark, "_candidates", lambda: ((name, "torch", "fp32", "cpu") for name in names)
    )
    monkeypatch.setattr(benchmark, "_method", lambda network, name, *rest: make(name, rest[-1]))
    monkeypatch.setattr(
        benchmark,
        "Denoiser",
        lambda network: Denoiser(network, backend="torch", device="cpu", precision="fp32"),
    )


def measure(size: int = 32, **config: Any) -> tuple[list[Run], dict[str, str]]:
    runs, _, skipped = benchmark.benchmark(
        small_network(**config), size=size, repeats=1, report=lambda name: None
    )
    return runs, skipped


def test_a_method_s_memory_is_counted_from_where_nothing_of_the_last_is_left(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made: list[weakref.ref[Any]] = []
    left: list[int] = []

    class Memory(PeakMemory):
        def __init__(self) -> None:
            super().__init__()
            left.append(sum(each() is not None for each in made))

    def make(name: str, batch: int | None) -> Method:
        def method(noisy: np.ndarray) -> np.ndarray:
            output = noisy.copy()
            made.append(weakref.ref(output))
            if name == "broken":
                raise RuntimeError("no such primitive")
            return output

        made.append(weakref.ref(method))
        return method

    stub_methods(monkeypatch, make, ["naive", "broken", "other"])
    monkeypatch.setattr(benchmark, "PeakMemory", Memory)
    runs, skipped = measure()
    assert [run.name for run in runs] == ["naive", "other"]
    assert skipped == {"broken": "no such primitive"}
    assert left == [0, 0, 0]


class RuntimesOwn(Exception):
    """As ONNX Runtime's, which is none of Python's kinds."""

    __module__ = "onnxruntime.capi.onnxruntime_pybind11_state"


@pytest.mark.parametrize(
    "error",
    [NotFiniteError("it"), InvalidModelFileError("it"), RuntimeError("it"), RuntimesOwn("it")],
    ids=lambda error: type(error).__name__,
)
def test_one_that_fails_is_named_and_the_others_are_measured(
    monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    failing = "torch bf16 cpu"

    def make(name: str, batch: int | None) -> Method:
        if name == failing:
            raise error
        return lambda noisy: noisy

    stub_methods(monkeypatch, make, ["naive", failing, "onnx fp32 cpu"])
    runs, skipped = measure()
    assert [run.name for run in runs] == ["naive", "onnx fp32 cpu"]
    assert skipped == {failing: "it"}
    failing = "naive"
    with pytest.raises(type(error), match="it"):
        measure()


def test_a_fault_of_the_program_s_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    def make(name: str, batch: int | None) -> Method:
        if name != "naive":
            raise TypeError("an argument too many")
        return lambda noisy: noisy

    stub_methods(monkeypatch, make, ["naive", "torch fp32 cpu"])
    with pytest.raises(TypeError, match="too many"):
        measure()


def test_a_ceiling_that_cannot_be_measured_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("openvino")
    pytest.importorskip("onnx")

    def convolution_rate(device: str, precision: str) -> float:
        if precision == "bf16":
            raise RuntimeError("no bf16 here")
        return 2e12

    def int8_rate() -> float:
        raise RuntimeError("no int8 here")

    monkeypatch.setattr(ceilings, "convolution_rate", convolution_rate)
    monkeypatch.setattr(ceilings, "int8_rate", int8_rate)
    monkeypatch.setattr(ceilings, "copy_rate", lambda device: 3e9)
    monkeypatch.setattr(ceilings, "torch_kinds", lambda: [("cpu", "fp32"), ("cpu", "bf16")])
    found, skipped = ceilings.measure_ceilings()
    assert found == Ceilings(convolution_tflops={"cpu fp32": 2.0}, copy_gb_per_second={"cpu": 3.0})
    assert skipped == {
        "convolution ceiling, cpu bf16": "no bf16 here",
        "convolution ceiling, cpu int8": "no int8 here",
    }


def test_no_batch_is_filled_where_one_tile_holds_the_image(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    batches: list[int | None] = []

    def make(name: str, batch: int | None) -> Method:
        batches.append(batch)
        return lambda noisy: noisy

    stub_methods(monkeypatch, make, ["naive"])
    once: dict[str, Any] = {"normalization": "none"}
    for size, config in ((640, once), (700, once), (700, {**once, "looks": 2})):
        measure(size, **config)
    assert batches == [1, None, 1]  # tiles of 640, and of 960 where neighbours share more


def test_arithmetic_is_counted_as_by_hand() -> None:
    """One more block at scale 1 costs its four modulation and two own convolutions."""
    fewer, more = small_network(), small_network(encoder_blocks=(2, 1, 1))
    per_pixel = 2 * (2 * (25 * 3 * 6 + 9 * 6 * 12) + 2 * 9 * 6 * 6)
    assert work(more, 64).operations - work(fewer, 64).operations == per_pixel * 64 * 64


def test_memory_traffic_is_counted_as_by_hand() -> None:
    """The same block's six convolutions read and write these values, and their weights."""
    fewer, more = small_network(), small_network(encoder_blocks=(2, 1, 1))
    per_pixel = 2 * ((3 + 6) + (6 + 12) + (6 + 6))
    weights = 2 * (25 * 3 * 6 + 6 + 9 * 6 * 12 + 12 + 9 * 6 * 6 + 6)
    assert work(more, 64).values - work(fewer, 64).values == per_pixel * 64 * 64 + weights


def test_the_example_is_the_same_every_time_and_as_noisy_as_it_says() -> None:
    clean, noisy = example_image(600)
    assert clean.shape == noisy.shape == (600, 600, 3)
    np.testing.assert_array_equal(noisy, example_image(600)[1])
    assert 19 < psnr(noisy, clean) < 22


def test_a_grey_model_is_run_on_a_grey_photo() -> None:
    clean, noisy = example_image(64, channels=1)
    for image in (clean, noisy):
        assert image.shape == (64, 64, 3)
        np.testing.assert_array_equal(image, image[..., :1].repeat(3, axis=2))
    network = small_network(image_channels=1)
    plain = _naive(network, noisy)
    assert plain.shape == noisy.shape
    expected = Denoiser(network, backend="torch", precision="fp32")(noisy).image
    np.testing.assert_allclose(plain, expected, atol=1e-4)


@pytest.mark.parametrize(
    ("chart", "said"), [("c.gif", "a chart is written as"), ("file/c.png", "not a folder")]
)
def test_a_chart_that_cannot_be_written_is_said_first(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], chart: str, said: str
) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SystemExit) as stopped:
        main(["benchmark", "--chart", str(tmp_path / chart), "--size", "64"])
    captured = capsys.readouterr()
    assert stopped.value.code == 2
    assert said in captured.err
    assert len(captured.err.splitlines()) == 1
