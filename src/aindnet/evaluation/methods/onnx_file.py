"""Any ONNX denoiser, as a method of the tables."""

from __future__ import annotations

import os
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from aindnet.errors import InvalidModelFileError, MissingExtraError
from aindnet.evaluation.methods.classical import library_version
from aindnet.evaluation.methods.method import Denoised, FloatImage, failing_by_name
from aindnet.pretrained.files import file_sha256
from aindnet.restore.code import code_digest

CODE = code_digest(Path(__file__))
"""Of the way through the file's network, as it was imported."""


class OnnxFile:
    """A network with one image input (1, C, H, W) on [0, 1], C 1 or 3, whose first output is the
    clean image.

    A free size is run whole, padded with mirrored pixels to a multiple of 16, which covers the
    usual U-Nets. A fixed size is run tile by tile; a margin of an eighth of the tile is cut off
    each side.
    """

    multiple = 16
    needs_warm_up = True

    def __init__(self, path: Path) -> None:
        self.path = path
        if not os.path.isfile(path):
            raise InvalidModelFileError(f"{path}: no such ONNX file")

    @property
    def name(self) -> str:
        """The file's name."""
        return self.path.stem

    @property
    def settings(self) -> str:
        """Where and how it ran."""
        return f"ONNX Runtime, CPU, {self.path.name}, SHA-256 {self._sha256[:16]}…"

    @property
    def fingerprint(self) -> str:
        """The file's hash, the code and the library's version."""
        library = library_version("onnxruntime", "onnxruntime-gpu")
        return f"onnx|{self._sha256}|{CODE}|{library}"

    @cached_property
    def _sha256(self) -> str:
        return file_sha256(self.path)

    @failing_by_name
    def __call__(self, noisy: FloatImage) -> Denoised:
        """Denoise the whole image, or its tiles where the file has a fixed size."""
        _, channels, height, width = self._session.get_inputs()[0].shape
        planes = self._planes(noisy, channels if isinstance(channels, int) else 3)
        restored = np.concatenate(
            [
                self._run_tiles(batch[None], height, width)
                if isinstance(height, int) and isinstance(width, int)
                else self._run_whole(batch[None])
                for batch in planes
            ]
        )
        return Denoised(self._image(restored, noisy))

    def _run(self, batch: FloatImage) -> FloatImage:
        name = self._session.get_inputs()[0].name
        try:
            outputs = self._session.run(None, {name: np.ascontiguousarray(batch)})
        except Exception as error:  # the runtime's own exceptions share no public base
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
            raise InvalidModelFileError(
                f"{self.path}: cannot run on an image of {batch.shape} ({reason})"
            ) from error
        result = np.asarray(outputs[0], np.float32)
        if result.shape != batch.shape:
            raise InvalidModelFileError(
                f"{self.path}: gives {result.shape} for an image of {batch.shape}; a denoiser's "
                "first output is an image of the input's size"
            )
        return result

    def _run_whole(self, batch: FloatImage) -> FloatImage:
        rows, columns = batch.shape[-2:]
        padding = ((0, 0), (0, 0), (0, -rows % self.multiple), (0, -columns % self.multiple))
        return self._run(np.pad(batch, padding, mode="symmetric"))[..., :rows, :columns]

    def _run_tiles(self, batch: FloatImage, height: int, width: int) -> FloatImage:
        rows, columns = batch.shape[-2:]
        margin_y, margin_x = height // 8, width // 8
        step_y, step_x = height - 2 * margin_y, width - 2 * margin_x
        padding = (
            (0, 0),
            (0, 0),
            (margin_y, margin_y + -rows % step_y),
            (margin_x, margin_x + -columns % step_x),
        )
        padded = np.pad(batch, padding, mode="symmetric")
        restored = np.empty_like(padded)
        for y in range(0, rows, step_y):
            for x in range(0, columns, step_x):
                tile = self._run(padded[..., y : y + height, x : x + width])
                inner = tile[..., margin_y : margin_y + step_y, margin_x : margin_x + step_x]
                restored[..., y : y + step_y, x : x + step_x] = inner
        return restored[..., :rows, :columns]

    @cached_property
    def _session(self) -> Any:
        try:
            import onnxruntime
        except ImportError as error:
            raise MissingExtraError("onnxruntime", "onnx") from error
        try:
            session = onnxruntime.InferenceSession(
                str(self.path), providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # the runtime's own exceptions share no public base
            raise InvalidModelFileError(
                f"{self.path}: not a network that ONNX Runtime can load"
            ) from error
        inputs = session.get_inputs()
        if len(inputs) != 1 or len(inputs[0].shape) != 4 or inputs[0].type != "tensor(float)":
            raise InvalidModelFileError(
                f"{self.path}: needs exactly one float32 input of shape (1, C, H, W)"
            )
        channels = inputs[0].shape[1]
        if isinstance(channels, int) and channels not in (1, 3):
            raise InvalidModelFileError(
                f"{self.path}: takes {channels} channels; a denoiser of photos takes 1 or 3"
            )
        return session

    @staticmethod
    def _planes(noisy: FloatImage, channels: int) -> FloatImage:
        """One batch item a run: (1, 3, H, W), or (C, 1, H, W) for a network of one channel."""
        planes = noisy[None] if noisy.ndim == 2 else noisy.transpose(2, 0, 1)
        if channels == 1:
            return np.ascontiguousarray(planes[:, None])
        return np.ascontiguousarray(np.broadcast_to(planes, (3, *planes.shape[1:]))[None])

    @staticmethod
    def _image(planes: FloatImage, noisy: FloatImage) -> FloatImage:
        channels = planes.reshape(-1, *planes.shape[-2:])
        if noisy.ndim == 2:
            return np.asarray(channels.mean(axis=0))
        return np.ascontiguousarray(channels.transpose(1, 2, 0))
