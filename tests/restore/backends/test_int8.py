"""Eight bits: the arithmetic, the ranges that NNCF finds, and who may have it."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from aindnet.errors import DeviceError, InvalidModelFileError
from aindnet.network import AINDNet
from aindnet.pretrained import ModelCard, load_model, save_model
from aindnet.pretrained.files import save_with_int8
from aindnet.restore import Denoiser
from aindnet.restore.backends import create_backend
from aindnet.restore.backends.base import Given
from aindnet.restore.backends.calibration import OUTLIERS
from aindnet.restore.backends.int8 import Int8Conv2d, in_int8, int8_layers
from aindnet.restore.backends.openvino_backend import OpenVINOBackend
from aindnet.restore.backends.tile_network import OwnPass, TileNetwork
from restore_networks import small_network

TILES = np.random.default_rng(5).random((4, 1, 3, 64, 64), dtype=np.float32)
TILES *= np.float32([1.0, 0.2, 0.5, 0.8]).reshape(4, 1, 1, 1, 1)  # of as much contrast


@pytest.fixture(scope="module")
def wide() -> AINDNet:
    """Wide enough that every kind of layer runs in eight bits."""
    return small_network(channels=(16, 16, 16), modulation_channels=16, modulation_stride=2)


@pytest.fixture(scope="module")
def seen(wide: AINDNet) -> dict[str, tuple[float, float]]:
    """Of every layer's input: the range of nearly all values of every tile, as hooks see them."""
    network = TileNetwork(wide)
    inputs: dict[str, list[torch.Tensor]] = {}
    for name, layer in int8_layers(network).items():
        layer.register_forward_pre_hook(
            lambda _, args, name=name: inputs.setdefault(name, []).append(args[0])
        )
    for tile in TILES:
        OwnPass(network)(torch.from_numpy(tile))
    return {
        name: (
            min(x.quantile(OUTLIERS).item() for x in each),
            max(x.quantile(1 - OUTLIERS).item() for x in each),
        )
        for name, each in inputs.items()
    }


def test_a_convolution_rounds_its_input_and_its_weights_to_256_steps() -> None:
    torch.manual_seed(1)
    conv = torch.nn.Conv2d(8, 3, 3, padding=1)
    low, high = -0.5, 1.5
    x = torch.rand(1, 8, 6, 7) * 3 - 1  # beyond the range on both sides
    step = (high - low) / 255
    zero = round(-low / step)
    steps = np.clip(np.rint(x.numpy() / step) + zero, 0, 255) - zero
    weight_step = conv.weight.detach().numpy().__abs__().max(axis=(1, 2, 3), keepdims=True) / 127
    weights = np.rint(conv.weight.detach().numpy() / weight_step) * weight_step
    expected = torch.nn.functional.conv2d(
        torch.from_numpy((steps * step).astype(np.float32)),
        torch.from_numpy(weights),
        conv.bias,
        padding=1,
    )
    torch.testing.assert_close(Int8Conv2d(conv, low, high)(x), expected, atol=1e-5, rtol=0)


def test_the_map_and_the_ends_stay_in_floating_point(wide: AINDNet) -> None:
    names = int8_layers(TileNetwork(wide))
    assert {"encoder1.blocks.0.conv1", "decoder1.blocks.0.norm2.gamma_beta", "stem2"} <= set(names)
    assert {name.split(".")[0] for name in names}.isdisjoint({"noise_estimator", "stem1", "head"})


@pytest.mark.parametrize("trunk", ["", "smoother."])
def test_what_is_added_to_the_finest_features_stays_in_floating_point(trunk: str) -> None:
    network = small_network(
        channels=(16, 16, 16), modulation_channels=16, smoothing=True, normalization="none"
    )
    names = {
        name.removeprefix(trunk)
        for name in int8_layers(TileNetwork(network))
        if name.startswith("smoother.") == bool(trunk)
    }
    assert {"encoder1.blocks.0.conv1", "stem2", "skip2.conv1", "decoder1.blocks.0.conv2"} <= names
    assert names.isdisjoint({"encoder1.blocks.0.conv2", "skip1.conv1", "skip1.conv2"})


def test_eight_bits_change_little(wide: AINDNet, seen: dict[str, tuple[float, float]]) -> None:
    network = TileNetwork(wide)
    tile = torch.from_numpy(TILES[0])
    exact, rounded = (OwnPass(each)(tile)[0] for each in (network, in_int8(network, seen)))
    change, error = exact[:, :3].abs().mean(), (rounded - exact)[:, :3].abs().mean()
    assert 0 < error < 0.05 * change
    torch.testing.assert_close(rounded[:, 3:], exact[:, 3:])  # the noise level is not touched


@pytest.mark.parametrize("given", ["own", 48], ids=["own", "sliding"])
def test_openvino_computes_in_eight_bits_what_was_meant(
    wide: AINDNet, seen: dict[str, tuple[float, float]], given: Given
) -> None:
    pytest.importorskip("openvino")
    int8 = create_backend(wide, precision="int8", int8_ranges=seen)
    assert isinstance(int8, OpenVINOBackend)
    assert (int8.name, int8.device, int8.precision) == ("openvino", "cpu", "int8")
    exact = create_backend(wide, backend="torch", device="cpu", precision="fp32")
    expected, found = (each.run(TILES[0], [given])[:, :3] for each in (exact, int8))
    change = np.abs(expected - TILES[0]).mean()
    # Without VNNI pairs of products are added in 16 bits, which they can leave.
    bound = 0.06 if torch.cpu._is_vnni_supported() else 0.12
    assert 0 < np.abs(found - expected).mean() < bound * change
    cut = sum(name.endswith(".gamma_beta") for name in seen)  # each is two in the graph
    assert operations_in_eight_bits(int8) == len(seen) + cut


def operations_in_eight_bits(backend: OpenVINOBackend) -> int:
    """Convolutions that the compiled graph really multiplies in int8."""
    (compiled,) = backend._compiled.values()
    facts = [op.get_rt_info() for op in compiled.get_runtime_model().get_ordered_ops()]
    convolutions = [each for each in facts if each["layerType"].astype(str) == "Convolution"]
    return sum(each["runtimePrecision"].astype(str) in ("u8", "i8") for each in convolutions)


def test_nncf_finds_the_ranges_that_the_layers_see(
    wide: AINDNet, seen: dict[str, tuple[float, float]]
) -> None:
    pytest.importorskip("openvino")
    pytest.importorskip("nncf")
    from aindnet.restore.backends.calibration import calibrate

    found = calibrate(wide, list(TILES))
    assert found.keys() == seen.keys()
    for name, (low, high) in seen.items():
        width = high - low
        assert found[name][0] <= low + 0.1 * width, name
        assert found[name][1] >= high - 0.1 * width, name
        # Wider where zero has to fall on a step, and where layers read parts of one tensor.
        if "gamma_beta" not in name:
            assert found[name][1] - found[name][0] < 1.6 * width, name


def test_int8_is_offered_only_where_the_card_says_what_it_costs(
    tmp_path: Path, wide: AINDNet, seen: dict[str, tuple[float, float]]
) -> None:
    pytest.importorskip("openvino")
    path, measured = tmp_path / "plain.safetensors", tmp_path / "measured.safetensors"
    save_model(path, wide, ModelCard(name="plain"))
    with pytest.raises(DeviceError, match=r"calibrate_int8\.py"):
        Denoiser.from_pretrained(path, precision="int8")
    save_with_int8(path, measured, ModelCard(name="plain", int8_loss_db={"pairs": 0.01}), seen)
    denoiser = Denoiser.from_pretrained(measured, precision="int8")
    assert (denoiser.backend, denoiser.precision) == ("openvino", "int8")
    with pytest.raises(DeviceError, match="camera profile"):
        denoiser.load_camera(tmp_path / "camera.safetensors")
    # Weights that are saved anew are others: the old ranges and loss do not go with them.
    loaded = load_model(measured)
    save_model(path, loaded.network, loaded.card)
    assert load_model(path).card == dataclasses.replace(loaded.card, int8_loss_db={})


def test_ranges_of_another_network_are_refused(
    wide: AINDNet, seen: dict[str, tuple[float, float]]
) -> None:
    deeper = small_network(
        channels=(16, 16, 16), modulation_channels=16, modulation_stride=2, encoder_blocks=(2, 1, 1)
    )
    with pytest.raises(InvalidModelFileError, match=r"encoder1\.blocks\.1.*calibrate again"):
        in_int8(TileNetwork(deeper), seen)
