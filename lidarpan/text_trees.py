"""YAML and JSON text -> plain values, of files that may be damaged or meant to do harm.

Nothing in them is ever run, and nothing small becomes large: nesting and references are bounded
before anything is built.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml

from lidarpan.errors import InputError, readable

# plain values only, whatever a tag asks for; libyaml's is ten times as fast
_SAFE_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_MAX_DEPTH = 40
_MAX_ALIASES = 20
_MAX_YAML_BYTES = 1 << 20
_MAX_JSON_BYTES = 1 << 30
_MAX_LINES_BYTES = 64 << 20  # a line for each scan of a drive


def read_text(path: Path, max_bytes: int = _MAX_LINES_BYTES) -> str:
    """The text of a UTF-8 file, or of one in UTF-16 that is marked as such.

    Raises:
        InputError: it cannot be read, is no text, or larger than anything of its kind.
    """
    try:
        with readable(path):
            if (size := path.stat().st_size) > max_bytes:
                raise InputError(f"{path}: wanted at most {max_bytes} bytes, got {size}")
            with path.open("rb") as file:
                is_wide = file.read(2) in (b"\xff\xfe", b"\xfe\xff")
            return path.read_text(encoding="utf-16" if is_wide else "utf-8-sig")
    except UnicodeError:
        raise InputError(
            f"{path}: wanted text in UTF-8, got a binary file or another encoding: save it as UTF-8"
        ) from None


def read_yaml_tree(path: Path) -> Any:
    """What a YAML file holds; errors as `parse_yaml`."""
    return parse_yaml(read_text(path, _MAX_YAML_BYTES), str(path))


def parse_yaml(text: str, source: str) -> Any:
    """What a YAML text holds: maps, lists, strings, numbers.

    Args:
        text: of the file.
        source: what to call it in errors.

    Raises:
        InputError: no YAML, nested too deeply, or with too many references.
    """
    try:
        _bound(text, source)
        loader = _SAFE_LOADER(text)
        try:
            return loader.get_single_data()
        finally:
            loader.dispose()
    except (yaml.YAMLError, ValueError, RecursionError, TypeError) as error:
        if isinstance(error, InputError):
            raise
        said = " ".join(str(error).split())[:200]
        raise InputError(f"{source}: not valid YAML: {said}") from None


def _bound(text: str, source: str) -> None:
    depth = num_aliases = 0
    for event in yaml.parse(text, Loader=_SAFE_LOADER):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        elif isinstance(event, yaml.AliasEvent):
            num_aliases += 1
        if depth > _MAX_DEPTH or num_aliases > _MAX_ALIASES:
            raise InputError(
                f"{source}: wanted YAML of at most {_MAX_DEPTH} levels and {_MAX_ALIASES} "
                "references, got more"
            )


def read_json_tree(path: Path) -> Any:
    """What a JSON file holds.

    Raises:
        InputError: it cannot be read, is no JSON, or is nested too deeply.
    """
    return parse_json(read_text(path, _MAX_JSON_BYTES), str(path))


def parse_json(text: str, source: str) -> Any:
    """What a JSON text holds; errors as `read_json_tree`."""
    try:
        return json.loads(text)
    except ValueError as error:
        raise InputError(f"{source}: wanted JSON, got {str(error)[:200]}") from None
    except RecursionError:
        raise InputError(f"{source}: wanted JSON, got one nested too deeply") from None
