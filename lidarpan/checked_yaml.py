"""YAML files as typed models: an error names the file, the path in it and the nearest key."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, ValidationError

from lidarpan.errors import InputError


class Section(BaseModel):
    """A part of a file: immutable, and strict about its keys."""

    model_config = ConfigDict(extra="forbid", frozen=True)


Model = TypeVar("Model", bound=BaseModel)


def read_yaml(path: Path, what: str) -> dict[str, Any]:
    """Read a YAML file that holds a mapping; nothing in it is ever run.

    Args:
        path: of the file.
        what: it holds, for messages: "the configuration".

    Raises:
        InputError: the file is missing, or no YAML mapping.
    """
    from lidarpan.text_trees import read_yaml_tree

    if not path.is_file():
        raise InputError(f"{path}: cannot read {what}: no such file")
    tree = read_yaml_tree(path)
    if tree is None:
        return {}
    if not isinstance(tree, dict):
        raise InputError(f"{path}: wanted a mapping of sections, got {type(tree).__name__}")
    return tree


def check_model(model: type[Model], tree: Any, source: str) -> Model:
    """Turn a nested mapping into a model.

    Args:
        model: what is wanted.
        tree: the mapping.
        source: names it in errors, a file for instance.

    Raises:
        InputError: a key is unknown (the nearest one is named) or missing, or a value does not fit.
    """
    try:
        return model.model_validate(tree)
    except ValidationError as error:
        faults = error.errors()
        unknown = (fault for fault in faults if fault["type"] == "extra_forbidden")
        first = next(unknown, faults[0])  # a mistyped key is often a missing one too
        path = ".".join(str(part) for part in first["loc"])
        if first["type"] == "extra_forbidden":
            known = _keys_at(model, first["loc"][:-1])
            near = difflib.get_close_matches(str(first["loc"][-1]), known, n=1, cutoff=0.5)
            hint = f"did you mean {near[0]!r}?" if near else f"known keys: {', '.join(known)}"
            raise InputError(f"{source}: {path}: unknown key, {hint}") from error
        got = "" if isinstance(first["input"], dict) else f", got {first['input']!r}"
        message = first["msg"].removeprefix("Value error, ")
        raise InputError(f"{source}: {path or 'top level'}: {message}{got}") from error


def _keys_at(model: type[BaseModel], path: Sequence[int | str]) -> list[str]:
    """Field names of the section at a path of keys and list positions."""
    section = model
    for part in path:
        if isinstance(part, int):
            continue
        annotation = section.model_fields[part].annotation
        options = [annotation, *get_args(annotation)]
        section = next(o for o in options if isinstance(o, type) and issubclass(o, BaseModel))
    return list(section.model_fields)
