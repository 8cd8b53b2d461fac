"""Any ONNX denoiser, as a method of the tables."""

from __future__ import annotations

import hashlib
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from aindnet.errors import InvalidModelFileError, MissingExtraError
from aindnet.evaluation.methods.method import Denoised, FloatImage


class OnnxFile:
    """A network with one image input (1, C, H, W) on [0, 1], C 1 or 3, whose first output is the
    clean image.

    A fixed input size is served by padding with reflected pixels to a multiple of it and running
    tile by tile; a free size by padding to a multiple of 16, which covers the usual U-Nets. Other
    inputs are not supplied.
    """

    multiple = 16

    def __init__(self, path: Path) -> None:
        self.path = path
        if not path.is_file():
            raise InvalidModelFileError(f"{path}: no such ONNX file")

    @property
    def name(self) -> str:
        """The file's name."""
        return self.path.stem

    @property
    def settings(self) -> str:
        """Where and how it ran."""
        return f"ONNX Runtime, CPU, {self.path.name}"

    @cached_property
    def fingerprint(self) -> str:
        """The file's hash."""
        return f"onnx|{hashlib.sha256(self.path.read_bytes()).hexdigest()}"

    def __call__(self, noisy: FloatImage) -> Denoised:
        """Denoise the whole image, or its tiles where the file has a fixed size."""
        image_input = self._session.get_inputs()[0]
        _, channels, height, width = image_input.shape
        tile_height = height if isinstance(height, int) else None
        tile_width = width if isinstance(width, int) else None
        planes = self._planes(noisy, channels if isinstance(channels, int) else 3)
        rows, columns = planes.shape[-2:]
        step_y, step_x = tile_height or self.multiple, tile_width or self.multiple
        padding = ((0, 0), (0, 0), (0, -rows % step_y), (0, -columns % step_x))
        padded = np.pad(planes, padding, mode="symmetric")
        restored = np.empty_like(padded)
        step_y = tile_height or padded.shape[2]
        step_x = tile_width or padded.shape[3]
        for y in range(0, padded.shape[2], step_y):
            for x in range(0, padded.shape[3], step_x):
                window = (..., slice(y, y + step_y), slice(x, x + step_x))
                tile = np.ascontiguousarray(padded[window])
                restored[window] = self._session.run(None, {image_input.name: tile})[0]
        return Denoised(self._image(restored[..., :rows, :columns], noisy))

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
        return session

    @staticmethod
    def _planes(noisy: FloatImage, channels: int) -> FloatImage:
        """The image as (1, 3, H, W), or as (C, 1, H, W) for a network of one channel."""
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
