"""The command line in this process."""

import sys

import pytest

from lidarpan.cli import main


@pytest.fixture
def run(monkeypatch, capsys):
    """Run the command line: exit code, stdout, stderr."""

    def call(*words):
        monkeypatch.setattr(sys, "argv", ["lidarpan", *map(str, words)])
        code = 0
        try:
            main()
        except SystemExit as stop:
            code = stop.code or 0
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return call
