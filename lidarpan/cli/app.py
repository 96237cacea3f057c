"""The `lidarpan` command with all its commands, in the order of its help."""

from __future__ import annotations

from importlib import import_module

from lidarpan.cli.root import app

__all__ = ["app"]

for name in (
    "predict", "tracks", "recordings", "score", "check", "prelabel", "build", "look", "explain",
    "export", "measure",
):  # fmt: skip
    import_module(f"lidarpan.cli.{name}")
