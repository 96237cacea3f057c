"""The command line: each command parses, calls one function of the package and prints."""

from __future__ import annotations

import os
import sys

__all__ = ["main"]

_INTERRUPTED = 130
"""Exit code of a program that SIGINT ended: 128 + 2."""


def main() -> None:
    """Run the command line: bad input is one line on stderr and exit code 2.

    Interrupted, also while modules are still being loaded, it says so and exits with 130.
    """
    try:
        _run()  # what it needs is imported inside, where an interrupt is answered
    except KeyboardInterrupt:
        _interrupted()


def _run() -> None:
    from lidarpan.errors import InputError

    # torch and numba each keep a pool of OpenMP threads: one that waits must leave its core to the
    # other, or the two slow each other down. Read once, when the pools are loaded.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    _say_what_the_library_logs()
    try:
        from lidarpan.cli.app import app

        app()
    except InputError as error:
        _fail(str(error))
    except OSError as error:
        place = f"{error.filename}: " if error.filename else ""
        _fail(f"{place}{error.strerror or error}")
    except RecursionError:
        _fail("the input is nested too deeply")
    except SystemExit as end:
        if end.code == _INTERRUPTED:  # typer makes one of an interrupt
            _interrupted()
        raise
    finally:
        _flush()


def _say_what_the_library_logs() -> None:
    import logging

    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(logging.Formatter("%(message)s"))
    logger = logging.getLogger("lidarpan")
    logger.handlers, logger.propagate = [handler], False
    logger.setLevel(logging.INFO)


def _fail(message: str) -> None:
    from lidarpan.errors import printable

    print(f"error: {printable(message)}", file=sys.stderr)
    sys.exit(2)


def _interrupted() -> None:
    print("\ninterrupted: what was finished is whole, run again to go on", file=sys.stderr)
    sys.exit(_INTERRUPTED)


def _flush() -> None:
    """Write out what was printed; where that fails (disk full, reader gone) say it in one line."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        _drop_stdout()
        sys.exit(1)
    except OSError as error:
        _drop_stdout()
        print(f"error: standard output: {error.strerror}", file=sys.stderr)
        sys.exit(2)


def _drop_stdout() -> None:
    """Leave nothing for the interpreter to write at its end, which would fail again."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
