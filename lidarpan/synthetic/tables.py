"""The numbers of towns and sensors: YAML files beside the code that reads them."""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import Any

from lidarpan.text_trees import read_yaml_tree


def read_table(name: str) -> dict[str, Any]:
    """What `lidarpan/synthetic/NAME.yaml` holds, in its order; lists become tuples.

    Raises:
        InputError: there is no such file, or it is no YAML.
    """
    path = resources.files("lidarpan").joinpath(f"synthetic/{name}.yaml")
    table: dict[str, Any] = _fixed(read_yaml_tree(Path(str(path))))
    return table


def _fixed(tree: Any) -> Any:
    if isinstance(tree, dict):
        return {key: _fixed(value) for key, value in tree.items()}
    return tuple(map(_fixed, tree)) if isinstance(tree, list) else tree
