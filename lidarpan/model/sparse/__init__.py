"""Sparse convolution behind one seam: the same modules and weights, whichever engine runs them."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from types import ModuleType

from torch import device as torch_device  # a bare `torch` here would be the engine's module

from lidarpan.model.sparse.tensor import Engine
from lidarpan.structures import InputError

ENGINES = ("numba", "triton", "spconv", "spconv-triton", "torch")
"""Each a module of its own here, - as _, with `describe()` and `make_engine(device)`."""


def choose_engine(device: torch_device | str, name: str | None = None) -> Engine:
    """The named engine, or the best for the device.

    On a CPU that is numba, on CUDA the first of the others that can run, elsewhere torch.

    Raises:
        InputError: the name is unknown, or the engine cannot run on this machine or device.
    """
    device = torch_device(device)
    if name is None:
        match device.type:
            case "cpu":
                name = "numba"
            case "cuda":
                # One by one: spconv takes seconds to be imported.
                name = next(n for n in ENGINES if n != "numba" and _module(n).describe()[0])
            case _:
                name = "torch"
    engine: Engine = _module(name).make_engine(device)
    return engine


def describe_engines(names: Sequence[str] = ENGINES) -> list[tuple[str, bool, str]]:
    """(name, whether it can run here, its version or the reason why not) of the named engines."""
    return [(name, *_module(name).describe()) for name in names]


def _module(name: str) -> ModuleType:
    if name not in ENGINES:
        raise InputError(f"no sparse engine is called {name!r}: choose of {', '.join(ENGINES)}")
    return import_module(f"{__name__}.{name.replace('-', '_')}")
