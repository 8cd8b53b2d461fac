"""The network in PyTorch: on the CPU, CUDA or Apple's GPU."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn

from aindnet.network import AINDNet
from aindnet.restore.backends.base import Array, Backend, Given, Pending, memory_errors, stack
from aindnet.restore.backends.tile_network import GivenPass, OwnPass, SlidingPass, TileNetwork

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


class TorchBackend(Backend):
    """Channels-last, under autocast in bf16 or fp16; statistics stay in float32. In fp32 on CUDA
    without TF32 (`full_float32`).

    `compiled` lets TorchInductor make one program of each pass and tile shape, with normalization,
    modulation and activation fused: half a minute or more before the first tile, faster after it.
    On CUDA `start` returns while the GPU is still at work, and copies run beside the computing.
    """

    name = "torch"

    def __init__(
        self,
        network: AINDNet,
        *,
        device: str,
        precision: str,
        batch: int = 1,
        compiled: bool = False,
    ) -> None:
        self.device = device
        self.precision = precision
        self.batch = batch
        self._network = TileNetwork(network).to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's stub lacks it
        self._lock = threading.Lock()  # a pass keeps its statistics in the network
        self.compiled = compiled
        self._passes: dict[int | str, Callable[..., Any]] = {}
        self._copies = _Copies(device) if torch.device(device).type == "cuda" else None
        self.asynchronous = self._copies is not None

    def run(self, tiles: Array, statistics: Sequence[Given]) -> Array:
        """See `Backend`."""
        return self.start(tiles, statistics)()

    @torch.inference_mode()
    def start(self, tiles: Array, statistics: Sequence[Given]) -> Pending:
        """See `Backend`."""
        with self._lock, memory_errors(self.device), self._autocast(), self._exactly():
            inputs = [self._tiles(tiles), *(self._upload(each) for each in stack(statistics))]
            given = statistics[0]
            result: Tensor
            if given == "own":
                result = self._pass("own")(*inputs)[0]
            else:
                result = self._pass(given if isinstance(given, int) else "given")(*inputs)
            result[:, : tiles.shape[1]] += inputs[0]
            if self._copies is not None:
                return self._copies.download(result)
            done: Array = result.cpu().numpy()
        return lambda: done

    @torch.inference_mode()
    def measure(self, tiles: Array) -> Array:
        """See `Backend`."""
        with self._lock, memory_errors(self.device), self._autocast(), self._exactly():
            measured: Tensor = self._pass("own")(self._tiles(tiles))[1]
            return measured.cpu().numpy()

    def _pass(self, kind: int | str) -> Callable[..., Any]:
        if kind not in self._passes:
            module: nn.Module = GivenPass(self._network)
            if isinstance(kind, int):
                module = SlidingPass(self._network, kind)
            elif kind == "own":
                module = OwnPass(self._network)
            self._passes[kind] = torch.compile(module, dynamic=False) if self.compiled else module
        return self._passes[kind]

    def _autocast(self) -> torch.autocast:
        kind = torch.device(self.device).type
        return torch.autocast(kind, DTYPES[self.precision], enabled=self.precision != "fp32")

    def _exactly(self) -> AbstractContextManager[None]:
        in_float32 = self._copies is not None and self.precision == "fp32"
        return full_float32() if in_float32 else nullcontext()

    def _tiles(self, tiles: Array) -> Tensor:
        return self._upload(tiles).contiguous(memory_format=torch.channels_last)

    def _upload(self, array: Array) -> Tensor:
        if self._copies is not None:
            return self._copies.upload(array)
        return torch.from_numpy(array).to(self.device)


class _TF32:
    """Whether cuDNN may use it is a setting of the whole process: the first that wants it off keeps
    what it was, the last that is done sets it back.
    """

    lock = threading.Lock()
    wanted_off = 0
    before = True


@contextmanager
def full_float32() -> Iterator[None]:
    """Convolutions in float32 on CUDA: PyTorch allows cuDNN to take TF32, which has 10 of its 23
    bits, unless told otherwise.
    """
    with _TF32.lock:
        if _TF32.wanted_off == 0:
            _TF32.before = torch.backends.cudnn.allow_tf32
            torch.backends.cudnn.allow_tf32 = False
        _TF32.wanted_off += 1
    try:
        yield
    finally:
        with _TF32.lock:
            _TF32.wanted_off -= 1
            if _TF32.wanted_off == 0:
                torch.backends.cudnn.allow_tf32 = _TF32.before


class _Copies:
    """To and from a CUDA device through page-locked memory, each way on a stream of its own.

    Source: "Overlap Data Transfers", CUDA C++ Best Practices Guide, 10.1.2.
    """

    def __init__(self, device: str) -> None:
        self._device = torch.device(device)
        self._up = torch.cuda.Stream(self._device)  # type: ignore[no-untyped-call]  # torch's stub
        self._down = torch.cuda.Stream(self._device)  # type: ignore[no-untyped-call]  # torch's stub

    def upload(self, array: Array) -> Tensor:
        """The array on the device, for what the current stream does next."""
        computing = torch.cuda.current_stream(self._device)
        locked = torch.from_numpy(array).pin_memory()
        with torch.cuda.stream(self._up):
            there = locked.to(self._device, non_blocking=True)
        computing.wait_stream(self._up)
        there.record_stream(computing)  # the allocator must not hand it on before it was used
        return there

    def download(self, tensor: Tensor) -> Pending:
        """Begin to copy what the current stream has made by then."""
        self._down.wait_stream(torch.cuda.current_stream(self._device))
        with torch.cuda.stream(self._down):
            here = torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=True)
            here.copy_(tensor, non_blocking=True)
        tensor.record_stream(self._down)
        copied = self._down.record_event()

        def wait() -> Array:
            copied.synchronize()
            return here.numpy()

        return wait
