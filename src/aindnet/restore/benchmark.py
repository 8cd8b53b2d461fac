"""Speed and memory of every backend and precision on this machine, side by side in one run."""

from __future__ import annotations

import copy
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch.utils.flop_counter import FlopCounterMode

from aindnet.errors import DeviceError, MissingExtraError
from aindnet.network import AINDNet
from aindnet.restore.backends.choice import PRECISIONS
from aindnet.restore.backends.torch_backend import DTYPES
from aindnet.restore.denoiser import Denoiser

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
    """Of the first call, which compiles where the backend does."""
    megapixels_per_second: float
    peak_rss_mb: float | None
    """The process's peak resident memory during the calls; None where the system does not tell."""
    tflops: float | None
    """Arithmetic of the network (10¹² multiplications and additions a second)."""
    share_of_ceiling: float | None
    """Of the convolution rate measured in the same run at the same precision."""
    psnr: float
    """dB, of the output against the clean image."""
    is_default: bool
    """Whether `--backend auto --precision auto` takes this one here."""


@dataclass(frozen=True, kw_only=True)
class Ceilings:
    """What the machine can do at best, measured now."""

    convolution_tflops: dict[str, float]
    """By device and precision: a 3×3 convolution of 128 channels in PyTorch, channels-last."""
    copy_gb_per_second: float
    """Of memory read and written by one large copy."""


def example_image(size: int) -> tuple[Image, Image]:
    """A clean photo (size, size, 3) in [0, 1], and the same with white Gaussian noise of σ 25/255.

    The photo is scikit-image's astronaut (NASA, public domain), mirrored where it ends.
    """
    from skimage import data

    photo = data.astronaut().astype(np.float32) / 255  # type: ignore[no-untyped-call]
    more = max(0, size - photo.shape[0])
    clean = np.pad(photo, ((0, more), (0, more), (0, 0)), mode="symmetric")[:size, :size]
    noise = np.random.default_rng(0).normal(scale=NOISE_LEVEL, size=clean.shape)
    return np.ascontiguousarray(clean), (clean + noise).clip(0, 1).astype(np.float32)


def benchmark(
    network: AINDNet, *, size: int = 512, repeats: int = 3, report: Callable[[str], None] = print
) -> tuple[list[Run], Ceilings, dict[str, str]]:
    """Run the plain network ("naive") and then every backend and precision there is.

    Gives the runs, the machine's ceilings, and what could not run, with the reason.
    """
    clean, noisy = example_image(size)
    work = flops(network, size)
    convolution = {}
    for device, precision in _torch_kinds():
        convolution[f"{device} {precision}"] = convolution_rate(device, precision) / 1e12
    ceilings = Ceilings(convolution_tflops=convolution, copy_gb_per_second=copy_rate() / 1e9)
    auto = Denoiser(network)
    default = (auto.backend, auto.precision, auto.device)
    del auto
    runs, skipped = [], {}
    for name, backend, precision, device in _candidates():
        report(name)
        try:
            call = _method(network, name, backend, precision, device)
            first, seconds, peak, output = time_calls(call, noisy, repeats)
        except (DeviceError, MissingExtraError) as error:
            skipped[name] = str(error)
            continue
        rate = work / seconds / 1e12
        ceiling = convolution.get(f"{device} {precision}")
        runs.append(
            Run(
                name=name,
                backend=backend,
                precision=precision,
                device=device,
                seconds=seconds,
                first_seconds=first,
                megapixels_per_second=size * size / 1e6 / seconds,
                peak_rss_mb=peak,
                tflops=rate,
                share_of_ceiling=rate / ceiling if ceiling else None,
                psnr=psnr(output, clean),
                is_default=name != "naive" and (backend, precision, device) == default,
            )
        )
    return runs, ceilings, skipped


def time_calls(
    call: Callable[[Image], Image], noisy: Image, repeats: int
) -> tuple[float, float, float | None, Image]:
    """Seconds of the first call, median of the others, peak memory in MB, and the output."""
    reset_peak()
    times = []
    for _ in range(repeats + 1):
        start = time.perf_counter()
        output = call(noisy)
        times.append(time.perf_counter() - start)
    return times[0], statistics.median(times[1:]), peak_mb(), output


def psnr(image: Image, clean: Image) -> float:
    """dB, both rounded to 8 bits, peak 255."""
    rounded = [np.rint(np.clip(each, 0, 1) * 255) for each in (image, clean)]
    return float(10 * np.log10(255**2 / np.mean((rounded[0] - rounded[1]) ** 2)))


def flops(network: AINDNet, size: int) -> float:
    """Multiplications and additions of the plain network on one image of size × size."""
    counter = FlopCounterMode(display=False)
    with counter, torch.inference_mode():
        copy.deepcopy(network).to("meta")(
            torch.empty(1, network.config.image_channels, size, size, device="meta")
        )
    return float(counter.get_total_flops())


def convolution_rate(device: str, precision: str) -> float:
    """Multiplications and additions a second of one large 3×3 convolution."""
    channels, size = 128, 256
    layer = torch.nn.Conv2d(channels, channels, 3, padding=1)
    layer = layer.to(device, DTYPES[precision]).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    x = torch.rand(1, channels, size, size, device=device, dtype=DTYPES[precision])
    x = x.contiguous(memory_format=torch.channels_last)
    times = []
    with torch.inference_mode():
        for _ in range(6):
            start = time.perf_counter()
            layer(x)
            if device == "cuda":
                torch.cuda.synchronize()
            times.append(time.perf_counter() - start)
    return 2 * 9 * channels**2 * size**2 / min(times)


def copy_rate() -> float:
    """Bytes a second, read and written."""
    source = np.ones(1 << 27, np.uint8)
    target = np.empty_like(source)
    times = []
    for _ in range(5):
        start = time.perf_counter()
        np.copyto(target, source)
        times.append(time.perf_counter() - start)
    return 2 * source.nbytes / min(times)


def _torch_kinds() -> Iterator[tuple[str, str]]:
    yield from (("cpu", "fp32"), ("cpu", "bf16"))
    if torch.cuda.is_available():
        yield from (("cuda", precision) for precision in ("fp32", "bf16", "fp16"))


def _candidates() -> Iterator[tuple[str, str, str, str]]:
    """Name, backend, precision, device."""
    yield "naive", "torch", "fp32", "cpu"
    for device, precision in _torch_kinds():
        yield f"torch {precision} {device}", "torch", precision, device
    for backend in ("onnx", "openvino"):
        for precision in PRECISIONS[backend]:
            yield f"{backend} {precision} cpu", backend, precision, "cpu"


def _method(
    network: AINDNet, name: str, backend: str, precision: str, device: str
) -> Callable[[Image], Image]:
    if name == "naive":
        return lambda noisy: _naive(network, noisy)
    denoiser = Denoiser(network, backend=backend, precision=precision, device=device)  # type: ignore[arg-type]
    return lambda noisy: denoiser(noisy).image


def _naive(network: AINDNet, noisy: Image) -> Image:
    with torch.inference_mode():
        x = torch.from_numpy(noisy).permute(2, 0, 1)[None].contiguous()
        denoised: Image = network.eval()(x).denoised[0].permute(1, 2, 0).numpy()
    return denoised


def reset_peak() -> None:
    """Forget the process's peak memory so far; only Linux can."""
    try:
        # Linux: "5" sets the peak back to what is resident now (man 5 proc).
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return


def peak_mb() -> float | None:
    """Peak resident memory since `reset_peak`; None where the system does not tell."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return None
    peak = next((line for line in lines if line.startswith("VmHWM:")), None)
    return int(peak.split()[1]) / 1024 if peak else None
