"""The spconv engine, and the adapter for every library that speaks spconv's interface."""

from __future__ import annotations

import importlib
import warnings
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from lidarpan.model.sparse.tensor import Geometry, Level, Operands, Triple
from lidarpan.structures import InputError


@dataclass(eq=False)
class StridedMap:
    """A strided convolution's coarser level; its pairs are in the finer level's "library" map."""

    coarse: Level


class SpconvLikeEngine:
    """Sparse convolution by a library with spconv's modules.

    The library's modules are kept by geometry without parameters; the weight is handed to them
    before each call as a permuted view, (C_out, kx, ky, kz, C_in).

    Args:
        name: the engine's name.
        library: the imported `spconv.pytorch` or its twin.
        algorithm: the library's ConvAlgo, or None for its default.
    """

    def __init__(self, name: str, library: Any, algorithm: Any = None) -> None:
        self.name = name
        self._library = library
        self._algorithm = algorithm
        self._modules: dict[Any, Any] = {}

    def submanifold(self, level: Level, kernel: Triple, x: Operands) -> Tensor:
        """(V, C_in), (K, C_in, C_out) -> (V, C_out)."""
        features, weight, _ = x
        if len(weight) == 1 or not len(features):
            # One position is a matrix product; the library reads that weight in another layout.
            return _product(x)
        padding = [edge // 2 for edge in kernel]
        module = self._module("SubMConv3d", weight, kernel, padding=padding)
        return x.finished(self._run(module, level, level, level.shape, features, weight).features)

    def strided(self, level: Level, geometry: Geometry, x: Operands) -> tuple[Level, Tensor]:
        """(V, C_in), (K, C_in, C_out) -> the coarser level and (W, C_out)."""
        features, weight, _ = x
        kernel, stride, padding = geometry
        shape = geometry.coarser(level.shape)
        if not len(features):
            coarse = Level(level.indices, shape, level.batch_size)
            level.maps[geometry] = StridedMap(coarse)
            return coarse, _product(x)
        # The library drops a last cell that is cut off: let the finer grid reach to its end.
        i, j, k = ((n - 1) * s + k - 2 * p for n, k, s, p in zip(shape, *geometry, strict=True))
        module = self._module("SparseConv3d", weight, kernel, stride, padding)
        level.maps.setdefault("library", {}).pop(module.indice_key, None)
        out = self._run(module, level, level, (i, j, k), features, weight)
        coarse = Level(out.indices, shape, level.batch_size)
        level.maps[geometry] = StridedMap(coarse)
        return coarse, x.finished(out.features)

    def inverse(self, level: Level, geometry: Geometry, x: Operands) -> Tensor:
        """(W, C_in), (K, C_in, C_out) -> (V, C_out)."""
        features, weight, _ = x
        coarse = level.maps[geometry].coarse
        if not len(features):
            return _product(x)
        module = self._module("SparseInverseConv3d", weight, *geometry)
        return x.finished(self._run(module, coarse, level, coarse.shape, features, weight).features)

    def _module(
        self,
        kind: str,
        weight: Tensor,
        kernel: Triple,
        stride: Any = (1, 1, 1),
        padding: Any = (0, 0, 0),
    ) -> Any:
        _, cin, cout = weight.shape
        setting = (kind, cin, cout, kernel, tuple(stride), tuple(padding))
        if setting not in self._modules:
            family = "sub" if kind == "SubMConv3d" else "strided"
            options: dict[str, Any] = {
                "indice_key": f"{family} {kernel} {tuple(stride)} {tuple(padding)}",
                "bias": False,
                "algo": self._algorithm,
            }
            if kind != "SparseInverseConv3d":
                options |= {"stride": stride, "padding": padding}
            module = getattr(self._library, kind)(cin, cout, list(kernel), **options)
            del module._parameters["weight"]
            self._modules[setting] = module
        return self._modules[setting]

    def _run(
        self,
        module: Any,
        source: Level,
        keeper: Level,
        shape: Triple,
        features: Tensor,
        weight: Tensor,
    ) -> Any:
        """The library's output tensor; the maps it makes stay with `keeper`."""
        cin, cout = weight.shape[1:]
        maps = keeper.maps.setdefault("library", {})
        x = self._library.SparseConvTensor(
            features.contiguous(), source.indices, list(shape), source.batch_size, indice_dict=maps
        )
        kernel_first = weight.view(*module.kernel_size, cin, cout)
        module.weight = kernel_first.permute(4, 0, 1, 2, 3).contiguous()
        module.train(torch.is_grad_enabled())
        out = module(x)
        keeper.maps["library"] = out.indice_dict
        return out


def _product(x: Operands) -> Tensor:
    """The convolution of a single position, and of no cells, which the library refuses."""
    return x.finished(x.features @ x.weight.sum(0))


class SpconvEngine(SpconvLikeEngine):
    """spconv 2.3: implicit GEMM on CUDA, `ConvAlgo.Native` on the CPU.

    Raises:
        InputError: spconv cannot be imported.
    """

    def __init__(self, device: torch.device) -> None:
        available, reason = describe()
        if not available:
            raise InputError(f"the spconv engine is not available: {reason}")
        library = importlib.import_module("spconv.pytorch")
        native = importlib.import_module("spconv.core").ConvAlgo.Native
        super().__init__("spconv", library, native if device.type == "cpu" else None)


def describe(library: str = "spconv") -> tuple[bool, str]:
    """(whether the library can be imported, its version or the reason why not)."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # of names that torch moved
            importlib.import_module(f"{library}.pytorch")
        version = importlib.import_module(library).__version__
    except Exception as fault:  # a broken binary or compiler raises anything: report it
        return False, f"{type(fault).__name__}: {str(fault).splitlines()[0] if str(fault) else ''}"
    return True, str(version)


make_engine = SpconvEngine
