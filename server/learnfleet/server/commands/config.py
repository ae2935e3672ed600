"""`learnfleet config`: what the settings come to, and where each is from."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from learnfleet.server.settings.flags import takes_settings
from learnfleet.server.settings.merge import Merged
from learnfleet.server.settings.show import as_example, as_objects, as_text

app = typer.Typer(help="The settings of `learnfleet serve`: file, environment and flags.", no_args_is_help=True)


@app.command()
@takes_settings()
def show(
    settings: Merged, as_json: Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")] = False
) -> None:
    """Print what `learnfleet serve` would run with, given the same flags, and where each value is from.

    Starts nothing. Secrets and passwords in URLs are masked. What is wrong is said as `serve` says it; exit code 2.
    """
    print(json.dumps(as_objects(settings), indent=2) if as_json else as_text(settings))


@app.command()
def example() -> None:
    """Print a file with every setting, all of them commented out: for `learnfleet serve --config FILE`."""
    print(as_example(), end="")
