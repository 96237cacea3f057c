"""The `lidarpan` command itself, to which each module of this room adds its own."""

from __future__ import annotations

import typer

import lidarpan

app = typer.Typer(
    name="lidarpan",
    help="Panoptic segmentation of LiDAR scans: files in, scored panoptic maps out.",
    epilog="Start with: lidarpan demo    Your own scans: lidarpan predict scans/ --out labels/",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"lidarpan {lidarpan.__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: bool = typer.Option(
        False, "--version", callback=_print_version, is_eager=True, help="Print the version."
    ),
) -> None:
    """Panoptic segmentation of LiDAR scans: files in, scored panoptic maps out."""
