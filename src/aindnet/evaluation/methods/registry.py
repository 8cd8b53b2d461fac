"""Methods by the names that `--peer` takes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

from aindnet.errors import AindnetError
from aindnet.evaluation.methods.method import Method
from aindnet.evaluation.methods.settings import PeerSettings, settings_for

PEER_HELP = (
    "wavelet, nlm, bm3d, ffdnet (each optionally @MULTIPLIER), FILE.onnx, "
    "'command {input} {output}', or all"
)


class UnknownPeerError(AindnetError):
    """A `--peer` that is no known method, no ONNX file and no command."""


def _wavelet(chosen: PeerSettings) -> Method:
    from aindnet.evaluation.methods.classical import Wavelet

    return Wavelet(chosen)


def _nlm(chosen: PeerSettings) -> Method:
    from aindnet.evaluation.methods.classical import NonLocalMeans

    return NonLocalMeans(chosen)


def _bm3d(chosen: PeerSettings) -> Method:
    from aindnet.evaluation.methods.classical import BlockMatching

    return BlockMatching(chosen)


def _ffdnet(chosen: PeerSettings) -> Method:
    from aindnet.evaluation.methods.ffdnet import FFDNet

    return FFDNet(chosen)


PEERS: MappingProxyType[str, Callable[[PeerSettings], Method]] = MappingProxyType(
    {"wavelet": _wavelet, "nlm": _nlm, "bm3d": _bm3d, "ffdnet": _ffdnet}
)


def make_peer(spec: str, dataset: str) -> Method:
    """The method that a `--peer` names, with the settings chosen for the data set."""
    name, _, multiplier = spec.partition("@")
    if name in PEERS:
        chosen = settings_for(name, dataset)
        if multiplier:
            try:
                chosen = replace(chosen, multiplier=float(multiplier), chosen_on="")
            except ValueError as error:
                raise UnknownPeerError(f"--peer {spec}: {multiplier} is no number") from error
        return PEERS[name](chosen)
    if "{input}" in spec and "{output}" in spec:
        from aindnet.evaluation.methods.executable import Executable

        return Executable(spec)
    if spec.endswith(".onnx"):
        from aindnet.evaluation.methods.onnx_file import OnnxFile

        return OnnxFile(Path(spec))
    raise UnknownPeerError(f"--peer {spec}: not known; there are {PEER_HELP}")


def make_peers(specs: Sequence[str], dataset: str) -> list[Method]:
    """The methods of all `--peer` flags; `all` stands for every built-in one."""
    expanded = [name for spec in specs for name in (PEERS if spec == "all" else [spec])]
    return [make_peer(spec, dataset) for spec in dict.fromkeys(expanded)]
