"""Where a run stands, in one safetensors file: tensors, and all else as JSON in its header.

Loading one runs no code from it. A checksum tells damage, and everything is compared with what the
run itself would write before it is used.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.pytorch.callbacks import WeightAveraging
from lightning.pytorch.callbacks.callback import Callback
from lightning.pytorch.plugins.io import CheckpointIO
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from lidarpan.structures import InputError
from lidarpan.text_trees import parse_json
from lidarpan.whole_file import whole_file

RESUME_NAME = "resume.safetensors"
FORMAT = "lidarpan-resume-1"
_TENSOR = "tensor"
_MAX_DEPTH = 30


def write_state(path: Path, state: Mapping[str, Any]) -> None:
    """Write a nested state of dicts, lists, tensors and plain values; the file is whole or absent.

    Args:
        path: where to.
        state: keys are strings or whole numbers; leaves are tensors or what JSON can hold.
    """
    tensors: dict[str, Tensor] = {}
    tree = json.dumps(_without_tensors(state, "", tensors))
    metadata = {"format": FORMAT, "state": tree, "checksum": _checksum(tree, tensors)}
    with whole_file(path) as beside:
        save_file(tensors, str(beside), metadata=metadata)
        beside.chmod(0o644)  # safetensors writes for the owner alone


def read_state(path: Path) -> dict[str, Any]:
    """Read what `write_state` wrote; tuples come back as lists.

    Raises:
        InputError: the file is missing, damaged, or of another kind.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such file: nothing to resume")
    advice = "start anew from weights with training.start_from"
    try:
        with safe_open(str(path), framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise InputError(f"{path}: wanted a whole point to resume at, got {error}: {advice}") from (
            error
        )
    if metadata.get("format") != FORMAT:
        raise InputError(
            f"{path}: wanted a point to resume at ({FORMAT}), "
            f"got {metadata.get('format')}: {advice}"
        )
    text = metadata.get("state", "")
    if metadata.get("checksum") != _checksum(text, tensors):
        raise InputError(f"{path}: damaged, its checksum does not fit what it holds: {advice}")
    state = _with_tensors(parse_json(text, str(path)), tensors, str(path), _MAX_DEPTH)
    if not isinstance(state, dict):
        raise InputError(f"{path}: wanted named states, got none: {advice}")
    return state


def _without_tensors(value: Any, name: str, tensors: dict[str, Tensor]) -> Any:
    """Plain values for JSON: a tensor as its name, a dict as its pairs; fills `tensors`."""
    if isinstance(value, Tensor):
        tensors[name] = value.detach().cpu().contiguous()
        return {_TENSOR: name}
    if isinstance(value, Mapping):
        pairs = [[k, _without_tensors(v, f"{name}/{k}", tensors)] for k, v in value.items()]
        return {"pairs": pairs}
    if isinstance(value, list | tuple):
        return [_without_tensors(v, f"{name}/{i}", tensors) for i, v in enumerate(value)]
    assert value is None or isinstance(value, bool | int | float | str), f"{name}: {value!r}"
    return value


def _with_tensors(tree: Any, tensors: Mapping[str, Tensor], source: str, depth: int) -> Any:
    """The other way."""
    if depth == 0:
        raise InputError(f"{source}: wanted at most {_MAX_DEPTH} levels, got more: damaged")
    if isinstance(tree, list):
        return [_with_tensors(item, tensors, source, depth - 1) for item in tree]
    if not isinstance(tree, dict):
        return tree
    try:
        if _TENSOR in tree:
            return tensors[tree[_TENSOR]]
        pairs = [(k, v) for k, v in tree["pairs"] if isinstance(k, str | int)]
    except (KeyError, TypeError, ValueError):
        raise InputError(f"{source}: its header does not fit its tensors: damaged") from None
    return {k: _with_tensors(v, tensors, source, depth - 1) for k, v in pairs}


def _checksum(tree: str, tensors: Mapping[str, Tensor]) -> str:
    """CRC-32 over the text and the tensors by name: it tells damage, not intent."""
    crc = zlib.crc32(tree.encode())
    for name in sorted(tensors):
        values: Any = tensors[name].reshape(-1).view(torch.uint8).numpy()
        crc = zlib.crc32(values, crc)
    return f"{crc:08x}"


def check_like(wanted: Any, got: Any, place: str) -> None:
    """Compare a loaded state with one of the same run: keys, lengths, kinds, shapes of tensors.

    Where `wanted` is None any plain value fits.

    Raises:
        InputError: they differ; names the first place.
    """
    fault = f"{place}: does not fit the configured run, set it up as it was"
    if isinstance(wanted, Tensor):
        if not isinstance(got, Tensor) or got.shape != wanted.shape:
            is_tensor = isinstance(got, Tensor)
            found = tuple(got.shape) if is_tensor else type(got).__name__
            raise InputError(f"{fault}: wanted {tuple(wanted.shape)}, got {found}")
    elif isinstance(wanted, Mapping):
        if not isinstance(got, dict) or got.keys() != wanted.keys():
            odd = sorted(map(str, wanted.keys() ^ got.keys())) if isinstance(got, dict) else ["it"]
            raise InputError(f"{fault}: {odd[0]} is missing or has no place")
        for key, value in wanted.items():
            check_like(value, got[key], f"{place}, {key}")
    elif isinstance(wanted, list | tuple):
        if not isinstance(got, list) or len(got) != len(wanted):
            raise InputError(f"{fault}: wanted a list of {len(wanted)}")
        for i, value in enumerate(wanted):
            check_like(value, got[i], f"{place}, {i}")
    elif isinstance(got, list | dict | Tensor) or not _is_kind(wanted, got):
        raise InputError(f"{fault}: wanted {type(wanted).__name__}, got {type(got).__name__}")


def _is_kind(wanted: Any, got: Any) -> bool:
    if wanted is None or got is None:
        return True
    numbers = int | float
    return isinstance(got, type(wanted)) or (
        isinstance(wanted, numbers) and isinstance(got, numbers)
    )


def check_checkpoint(got: Mapping[str, Any], module: pl.LightningModule, place: str) -> None:
    """Compare a loaded checkpoint with the form that one of this run has.

    Args:
        got: what was loaded.
        module: attached to its trainer, with one AdamW and one schedule.
        place: names the file in errors.

    Raises:
        InputError: they differ; names the first place.
    """
    trainer: Any = module.trainer
    made: Any = module.configure_optimizers()
    optimizer, scheduler = made["optimizer"], made["lr_scheduler"]["scheduler"]
    values = [value for group in optimizer.param_groups for value in group["params"]]
    moments = {
        i: {"step": torch.zeros(()), "exp_avg": value, "exp_avg_sq": value}
        for i, value in enumerate(values)
    }
    groups = optimizer.state_dict()["param_groups"]
    weights = module.state_dict()
    wanted = {
        "global_step": 0,
        "seed": 0,
        "next_scan": 0,
        "best_pq": 0.0,
        "state_dict": weights,
        "optimizer_states": [{"state": moments, "param_groups": groups}],
        "lr_schedulers": [scheduler.state_dict()],
        "loops": {
            "fit_loop": trainer.fit_loop.state_dict(),
            "validate_loop": trainer.validate_loop.state_dict(),
            "test_loop": trainer.test_loop.state_dict(),
            "predict_loop": trainer.predict_loop.state_dict(),
        },
        "callbacks": {c.state_key: c.state_dict() for c in trainer.callbacks if c.state_dict()},
    }
    if "current_model_state" in got or any(
        isinstance(c, WeightAveraging) for c in trainer.callbacks
    ):
        wanted |= {
            "current_model_state": weights,
            "averaging_state": {"n_averaged": torch.zeros(())},
        }
    precision = trainer.precision_plugin
    if precision.state_dict():
        wanted[type(precision).__qualname__] = precision.state_dict()
    check_like(wanted, {key: got.get(key) for key in wanted}, place)


class ResumeIO(CheckpointIO):
    """Lets lightning keep its checkpoints in files of this kind, never pickled."""

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None
    ) -> None:
        """Write a checkpoint."""
        write_state(Path(path), checkpoint)

    def load_checkpoint(
        self, path: str | Path, map_location: Any = None, weights_only: bool | None = None
    ) -> dict[str, Any]:
        """Read a checkpoint onto the CPU."""
        return read_state(Path(path))

    def remove_checkpoint(self, path: str | Path) -> None:
        """Remove a checkpoint."""
        Path(path).unlink(missing_ok=True)


class KeepResumePoint(Callback):
    """Writes the point to resume at every so many steps; stands behind the averaging of weights.

    A step that is validated gets none: the point follows one step later, or at the end, so that a
    run that is killed in a validation does it again.
    """

    def __init__(self, path: Path, every: int) -> None:
        self.path, self.every, self.step, self.is_due = path, every, 0, False

    def on_train_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        """What a run begins with needs no point."""
        self.step = trainer.global_step

    def on_train_batch_end(
        self, trainer: pl.Trainer, module: Any, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Save where a step has just been finished that wants it."""
        if trainer.global_step <= self.step:
            return  # in the middle of an accumulated step
        self.is_due = self.is_due or trainer.global_step % self.every == 0
        every = trainer.val_check_batch
        is_validated = isinstance(every, int) and (batch_idx + 1) % every == 0
        if self.is_due and not is_validated:
            self.save(trainer)

    def save(self, trainer: pl.Trainer) -> None:
        """Save now."""
        self.step, self.is_due = trainer.global_step, False
        trainer.save_checkpoint(self.path)


class KeepLastPoint(Callback):
    """Writes the point after the last step; stands before what ends a run with averaged weights."""

    def __init__(self, points: KeepResumePoint) -> None:
        self.points = points

    def on_train_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        """Save where the last step has no point yet."""
        if trainer.global_step > self.points.step:
            self.points.save(trainer)
