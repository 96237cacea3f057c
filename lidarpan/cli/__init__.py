"""The command line: each command parses, calls one function of the package and prints."""

from lidarpan.cli.app import app, main

__all__ = ["app", "main"]
