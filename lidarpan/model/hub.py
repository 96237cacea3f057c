"""Weights to and from the Hugging Face hub: safetensors and a card; nothing is fetched unasked."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from lidarpan.model.checkpoint import load_weights
from lidarpan.optional import need
from lidarpan.structures import InputError

SCHEME = "hf://"
FILE = "weights.safetensors"
_PLACE = re.compile(r"^hf://([\w.-]+/[\w.-]+)(?:@([\w./-]+))?$")


def is_on_hub(weights: str | Path) -> bool:
    """Whether weights are named by a place on the hub: hf://OWNER/NAME, with @REVISION or without.

    A Path has made one slash of two, which counts as the same.
    """
    return str(weights).startswith("hf:/")


def split_place(weights: str | Path) -> tuple[str, str | None]:
    """Repository and revision of a place on the hub.

    Raises:
        InputError: it is none.
    """
    text = str(weights)
    text = text if text.startswith(SCHEME) else text.replace("hf:/", SCHEME, 1)
    found = _PLACE.match(text)
    if found is None:
        raise InputError(f"{weights}: wanted hf://OWNER/NAME or hf://OWNER/NAME@REVISION")
    return found[1], found[2]


def fetch_weights(weights: str | Path) -> Path:
    """The local copy of weights on the hub, which is fetched where there is none yet.

    Args:
        weights: hf://OWNER/NAME, with @REVISION to hold on to one state.

    Raises:
        InputError: huggingface-hub is not installed, or there is nothing to fetch.
    """
    repository, revision = split_place(weights)
    hub = need("huggingface_hub", "hub", f"{SCHEME}{repository}")
    try:
        return Path(hub.hf_hub_download(repository, FILE, revision=revision))
    except Exception as error:  # of network, rights and names: the hub has many
        raise InputError(f"{SCHEME}{repository}: cannot be fetched: {_short(error)}") from None


def publish_weights(weights: Path, place: str, *, is_private: bool = True) -> str:
    """Put weights and their card into a repository of the hub, which is made where it is missing.

    Args:
        weights: a .safetensors file.
        place: hf://OWNER/NAME.
        is_private: whether a new repository is for its owner alone.

    Returns:
        The address.

    Raises:
        InputError: no such weights, or the hub refuses.
    """
    repository, revision = split_place(place)
    _, header = load_weights(weights)
    hub = need("huggingface_hub", "hub", place)
    with TemporaryDirectory(prefix="lidarpan-") as made:
        shutil.copyfile(weights, Path(made) / FILE)
        (Path(made) / "README.md").write_text(card_of(header, repository), encoding="utf-8")
        try:
            hub.create_repo(repository, private=is_private, exist_ok=True)
            hub.upload_folder(
                repo_id=repository,
                folder_path=made,
                revision=revision,
                commit_message="Weights of lidarpan",
            )
        except Exception as error:
            raise InputError(
                f"{place}: cannot be published: {_short(error)}: hf auth login lets you in"
            ) from None
    return f"https://huggingface.co/{repository}"


def card_of(header: dict[str, Any], repository: str) -> str:
    """The page of weights: what they tell apart, for which sensor, how they were trained."""
    config, record = header.get("config", {}), header.get("training", {})
    sensor, grid = config.get("sensor", {}), config.get("grid", {})
    rows = {
        "classes": ", ".join(str(name) for name in header.get("classes", [])[1:]),
        "class table": config.get("classes"),
        "sensor above the ground": f"{sensor.get('height_m')} m",
        "voxels": f"{grid.get('voxel_m')} m in {grid.get('min_m')} to {grid.get('max_m')} m",
        "features per level": config.get("network", {}).get("channels"),
        "training steps": record.get("step"),
        "PQ on its validation scans": _score(record.get("valid_pq")),
        "mIoU on its validation scans": _score(record.get("valid_miou")),
        "version of lidarpan": header.get("version"),
    }
    lines = [f"| {name} | {value} |" for name, value in rows.items() if value is not None]
    return "\n".join(
        [
            "---",
            "library_name: lidarpan",
            "tags: [lidar, point-cloud, panoptic-segmentation]",
            "---",
            f"# {repository.split('/')[1]}",
            "",
            "Panoptic segmentation of LiDAR scans with lidarpan:",
            "",
            f"    lidarpan predict scans/ --out labels/ --weights {SCHEME}{repository}",
            "",
            "| | |",
            "|---|---|",
            *lines,
            "",
            "Say here on which data it was trained, under which terms, and what it is weak at.",
            "",
        ]
    )


def _score(value: Any) -> str | None:
    return f"{value:.4f}" if isinstance(value, int | float) else None


def _short(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
