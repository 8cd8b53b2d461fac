"""The denoising methods that are compared: this project's and its peers."""

from aindnet.evaluation.methods.method import Denoised, Method, Noisy, PeerFailedError
from aindnet.evaluation.methods.ours import OurModel, load_our_model
from aindnet.evaluation.methods.registry import PEER_HELP, PEERS, make_peer, make_peers

__all__ = [
    "PEERS",
    "PEER_HELP",
    "Denoised",
    "Method",
    "Noisy",
    "OurModel",
    "PeerFailedError",
    "load_our_model",
    "make_peer",
    "make_peers",
]
