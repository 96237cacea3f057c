"""Libraries that only some formats need: imported when asked for, missed with a command."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from lidarpan.structures import InputError

EXTRA = "pip install 'lidarpan[recordings]'"
"""The command that installs what recordings need."""


def need(module: str, command: str) -> Any:
    """Import an optional library by name.

    Raises:
        InputError: it is not installed; the message is the command that installs it.
    """
    try:
        return import_module(module)
    except ImportError:
        raise InputError(
            f"this file needs the library {module.split('.')[0]}, which is not installed: {command}"
        ) from None
