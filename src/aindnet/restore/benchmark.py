"""Speed and memory of every backend and precision on this machine, side by side in one run."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from aindnet.errors import AindnetError
from aindnet.network import AINDNet
from aindnet.restore.backends.choice import PRECISIONS
from aindnet.restore.backends.int8 import Ranges
from aindnet.restore.ceilings import BYTES, Ceilings, measure_ceilings, torch_kinds, work
from aindnet.restore.denoiser import Denoiser
from aindnet.restore.memory import PeakMemory
from aindnet.restore.streaming import ArraySource

Image = npt.NDArray[np.float32]
NOISE_LEVEL = 25 / 255


@dataclass(frozen=True, kw_only=True)
class Run:
    """One method on one image."""

    name: str
    backend: str
    precision: str
    device: str
    seconds: float
    """Median of the repeats, after one call to warm up."""
    first_seconds: float
    """Of the first call, which compiles where the backend does, or reads what it compiled in
    another run (`backends/compiled_store.py`)."""
    seconds_per_megapixel: float
    megapixels_per_second: float
    peak_rss_mb: float | None
    """The process's peak resident memory during the calls, what other runs have left in it
    included; None where the system does not tell."""
    added_mb: float | None
    """The same less what was resident before the method was made: its weights, what it compiles to
    and what it computes in."""
    tflops: float | None
    """Arithmetic of the network (10¹² multiplications and additions a second)."""
    share_of_ceiling: float | None
    """Of the convolution rate measured in the same run at the same precision."""
    share_of_copy: float | None
    """Of the copy rate measured in the same run, were each convolution's input and output read and
    written once (`Work.values`)."""
    psnr: float
    """dB, of the output against the clean image."""
    is_default: bool
    """Whether `--backend auto --precision auto` takes this one here."""


def example_image(size: int, channels: int = 3) -> tuple[Image, Image]:
    """A clean photo (size, size, 3) in [0, 1], and the same with white Gaussian noise of σ 25/255.

    The photo is scikit-image's astronaut (NASA, public domain), mirrored where it ends; for
    `channels` 1 it is grey, three equal channels, and so is the noise.
    """
    from skimage import data

    photo = data.astronaut().astype(np.float32) / 255  # type: ignore[no-untyped-call]
    more = max(0, size - photo.shape[0])
    clean = np.pad(photo, ((0, more), (0, more), (0, 0)), mode="symmetric")[:size, :size]
    noise = np.random.default_rng(0).normal(scale=NOISE_LEVEL, size=clean.shape)
    if channels == 1:
        clean, noise = (np.repeat(each[..., 1:2], 3, axis=2) for each in (clean, noise))
    return np.ascontiguousarray(clean), (clean + noise).clip(0, 1).astype(np.float32)


def benchmark(
    network: AINDNet,
    *,
    size: int = 512,
    repeats: int = 3,
    int8_ranges: Ranges | None = None,
    report: Callable[[str], None] = print,
) -> tuple[list[Run], Ceilings, dict[str, str]]:
    """Run the plain network ("naive") and then every backend and precision there is.

    Gives the runs, the machine's ceilings, and what could not run, with the reason. Without the
    plain network there is nothing to compare with: its errors are raised.
    """
    clean, noisy = example_image(size, network.config.image_channels)
    asked = work(network, size)
    report("ceilings")
    ceilings, skipped = measure_ceilings()
    auto = Denoiser(network)
    default = (auto.backend, auto.precision, auto.device)
    # One tile: no batch to fill with copies of it.
    batch = 1 if auto.plan(ArraySource(noisy)).single_tile else None
    del auto
    runs = []
    for name, backend, precision, device in _candidates():
        report(name)
        make = partial(_method, network, name, backend, precision, device, int8_ranges, batch)
        try:
            found = _measure(make, clean, noisy, repeats)
        except Exception as error:
            if name == "naive" or not _is_of_a_runtime(error):
                raise
            skipped[name] = str(error)
            continue
        seconds = found.seconds
        rate = asked.operations / seconds / 1e12
        moved = asked.values * BYTES[precision] / seconds / 1e9
        ceiling = ceilings.convolution_tflops.get(f"{device} {precision}")
        copied = ceilings.copy_gb_per_second.get(device)
        runs.append(
            Run(
                name=name,
                backend=backend,
                precision=precision,
                device=device,
                seconds=seconds,
                first_seconds=found.first_seconds,
                seconds_per_megapixel=seconds / (size * size) * 1e6,
                megapixels_per_second=size * size / 1e6 / seconds,
                peak_rss_mb=found.peak_rss_mb,
                added_mb=found.added_mb,
                tflops=rate,
                share_of_ceiling=rate / ceiling if ceiling else None,
                share_of_copy=moved / copied if copied else None,
                psnr=found.psnr,
                is_default=name != "naive" and (backend, precision, device) == default,
            )
        )
    return runs, ceilings, skipped


class _Found(NamedTuple):
    first_seconds: float
    seconds: float
    peak_rss_mb: float | None
    added_mb: float | None
    psnr: float


def _measure(
    make: Callable[[], Callable[[Image], Image]], clean: Image, noisy: Image, repeats: int
) -> _Found:
    """What is measured of one method, of which nothing is left then: it would be in the memory that
    the next one's is counted from.
    """
    gc.collect()
    memory = PeakMemory()
    first, seconds, output = time_calls(make(), noisy, repeats)
    return _Found(first, seconds, memory.peak_mb(), memory.added_mb(), psnr(output, clean))


def _is_of_a_runtime(error: Exception) -> bool:
    """Whether this is why a backend cannot be measured here, and not a fault of the program's."""
    if isinstance(error, AindnetError | RuntimeError):
        return True
    return type(error).__module__.startswith("onnxruntime")  # they share no base


def time_calls(
    call: Callable[[Image], Image], noisy: Image, repeats: int
) -> tuple[float, float, Image]:
    """Seconds of the first call, median of the others, and the output."""
    times = []
    for _ in range(repeats + 1):
        start = time.perf_counter()
        output = call(noisy)
        times.append(time.perf_counter() - start)
    return times[0], statistics.median(times[1:]), output


def psnr(image: Image, clean: Image) -> float:
    """dB, both rounded to 8 bits (halves up, as `evaluation.metrics` does), peak 255."""
    rounded = [np.floor(np.clip(each, 0, 1).astype(float) * 255 + 0.5) for each in (image, clean)]
    return float(10 * np.log10(255**2 / np.mean((rounded[0] - rounded[1]) ** 2)))


def _candidates() -> Iterator[tuple[str, str, str, str]]:
    """Name, backend, precision, device."""
    yield "naive", "torch", "fp32", "cpu"
    for device, precision in torch_kinds():
        yield f"torch {precision} {device}", "torch", precision, device
    for backend in ("onnx", "openvino"):
        for precision in PRECISIONS[backend]:
            yield f"{backend} {precision} cpu", backend, precision, "cpu"
    if torch.cuda.is_available():
        yield "onnx fp32 cuda", "onnx", "fp32", "cuda"


def _method(
    network: AINDNet,
    name: str,
    backend: str,
    precision: str,
    device: str,
    int8_ranges: Ranges | None,
    batch: int | None,
) -> Callable[[Image], Image]:
    if name == "naive":
        return lambda noisy: _naive(network, noisy)
    denoiser = Denoiser(
        network,
        backend=backend,  # type: ignore[arg-type]
        precision=precision,  # type: ignore[arg-type]
        device=device,  # type: ignore[arg-type]
        int8_ranges=int8_ranges,
        batch=batch,
    )
    return lambda noisy: denoiser(noisy).image


def _naive(network: AINDNet, noisy: Image) -> Image:
    with torch.inference_mode():
        channels = network.config.image_channels  # a grey photo is three equal channels
        x = torch.from_numpy(noisy[..., :channels]).permute(2, 0, 1)[None].contiguous()
        denoised: Image = network.eval()(x).denoised[0].permute(1, 2, 0).numpy()
    return np.repeat(denoised, 3 // channels, axis=2)
