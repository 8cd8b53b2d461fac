"""Runtimes behind one interface, and the choice among them."""

from aindnet.restore.backends.base import Backend
from aindnet.restore.backends.choice import create_backend

__all__ = ["Backend", "create_backend"]
