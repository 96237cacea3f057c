"""The spconv-triton engine: a pure-Python twin of spconv for GPUs."""

from __future__ import annotations

import importlib

import torch

from lidarpan.model.sparse import spconv
from lidarpan.structures import InputError


class SpconvTritonEngine(spconv.SpconvLikeEngine):
    """spconv-triton on a GPU.

    Raises:
        InputError: the library cannot be imported, or the device is no GPU.
    """

    def __init__(self, device: torch.device) -> None:
        if device.type == "cpu":
            raise InputError(
                "the spconv-triton engine needs a GPU, got device cpu: use numba or spconv"
            )
        available, reason = describe()
        if not available:
            raise InputError(f"the spconv-triton engine is not available: {reason}")
        super().__init__("spconv-triton", importlib.import_module("spconv_triton.pytorch"))


def describe() -> tuple[bool, str]:
    """(whether spconv-triton can run here, its version or the reason why not)."""
    if not torch.cuda.is_available():
        return False, "needs a GPU: torch finds none"
    return spconv.describe("spconv_triton")


make_engine = SpconvTritonEngine
