"""Sparse convolution behind one seam: the same modules and weights, whichever engine runs them."""

from __future__ import annotations

from collections.abc import Sequence

from torch import device as Device  # a bare `torch` here would be the engine's module

from lidarpan.model.sparse.tensor import Engine
from lidarpan.structures import InputError

ENGINES = ("native", "spconv", "triton")


def choose_engine(device: Device | str, name: str | None = None) -> Engine:
    """The named engine, or the best for the device: native on CPU, elsewhere spconv if it is there.

    Raises:
        InputError: the name is unknown, or the engine cannot run on this machine or device.
    """
    device = Device(device)
    if name is None:
        if device.type == "cuda":
            ready = [e for e, available, _ in describe_engines() if available and e != "native"]
            return choose_engine(device, ready[0] if ready else "native")
        name = "native"
    match name:
        case "native":
            if device.type != "cpu":
                from lidarpan.model.sparse.torch import TorchEngine

                return TorchEngine()
            from lidarpan.model.sparse.native import NativeEngine

            return NativeEngine()
        case "spconv":
            from lidarpan.model.sparse.spconv import SpconvEngine

            return SpconvEngine(device)
        case "triton":
            from lidarpan.model.sparse.triton import TritonEngine

            return TritonEngine(device)
        case _:
            raise InputError(f"no sparse engine is called {name!r}: choose of {', '.join(ENGINES)}")


def describe_engines(names: Sequence[str] = ENGINES) -> list[tuple[str, bool, str]]:
    """(name, whether it can run here, its version or the reason why not) of the named engines."""
    return [(name, *_describe(name)) for name in names]


def _describe(name: str) -> tuple[bool, str]:
    match name:
        case "native":
            from lidarpan.model.sparse.native import describe
        case "spconv":
            from lidarpan.model.sparse.spconv import describe
        case "triton":
            from lidarpan.model.sparse.triton import describe
        case _:
            raise InputError(f"no sparse engine is called {name!r}: choose of {', '.join(ENGINES)}")
    return describe()
