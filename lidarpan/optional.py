"""Libraries that only some work needs: imported when asked for, missed with a command."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from lidarpan.errors import InputError

RECORDINGS = "recordings"
"""The extra that installs what recordings need."""


def need(module: str, extra: str, what: str = "this file") -> Any:
    """Import an optional library by name.

    Args:
        module: to import.
        extra: of this package that installs it.
        what: needs it, in words.

    Raises:
        InputError: it is not installed; the message is the command that installs it.
    """
    try:
        return import_module(module)
    except ModuleNotFoundError:
        command = f"pip install 'lidarpan[{extra}]'"
        library = module.split(".")[0]
        raise InputError(
            f"{what} needs the library {library}, which is not installed: {command}"
        ) from None
    except ImportError as error:
        raise InputError(
            f"{what} needs the library {module.split('.')[0]}, which cannot be loaded ({error}): "
            "see lidarpan doctor"
        ) from None
