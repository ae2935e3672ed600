"""Options of all commands that speak to a server: how the way there is protected, and who calls."""

from __future__ import annotations

from collections.abc import Container, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from learnfleet.client.client import Client

_VALUED = ("--ca", "--cert", "--key", "--token-file", "--tenant")

_given: dict[str, Any] = {}  # of `Client.connect`


def options(
    context: typer.Context,
    ca: Annotated[
        Path | None, typer.Option(help="Authorities that vouch for the server, PEM. [env: LEARNFLEET_CA]")
    ] = None,
    cert: Annotated[Path | None, typer.Option(help="Your certificate, PEM. [env: LEARNFLEET_CERT]")] = None,
    key: Annotated[Path | None, typer.Option(help="Its private key, PEM. [env: LEARNFLEET_KEY]")] = None,
    token_file: Annotated[
        Path | None,
        typer.Option(help="File with your token. [env: LEARNFLEET_TOKEN_FILE, or the token: LEARNFLEET_TOKEN]"),
    ] = None,
    plaintext: Annotated[
        bool, typer.Option("--plaintext", help="Speak without TLS beyond this machine. [env: LEARNFLEET_PLAINTEXT]")
    ] = False,
    token_in_clear: Annotated[
        bool, typer.Option("--token-in-clear", help="Send the token without TLS. [env: LEARNFLEET_TOKEN_IN_CLEAR]")
    ] = False,
    tenant: Annotated[
        str | None, typer.Option(help="For whom, if not for yourself; for admins. [env: LEARNFLEET_TENANT]")
    ] = None,
) -> None:
    given: dict[str, object] = {"ca": ca, "cert": cert, "key": key, "token": token_file, "tenant": tenant}
    # A flag that is not there leaves it to the environment.
    given |= {"plaintext": plaintext or None, "token_in_clear": token_in_clear or None}
    _given.update(given)
    others: Container[str] = context.obj or ()
    if context.invoked_subcommand in others and any(value is not None for value in given.values()):
        raise typer.BadParameter(
            f"`{context.invoked_subcommand}` connects to no server, so --ca and the like mean nothing to it"
        )


def connect(server: str | None) -> Client:
    """Raises what `Client.connect` does."""
    return Client.connect(server, retry_s=10.0, **_given)


def command_in(arguments: Sequence[str]) -> str | None:
    """The command that a line names, behind the options of all commands."""
    is_value = False
    for argument in arguments:
        if is_value:
            is_value = False
        elif argument in _VALUED:
            is_value = True
        elif not argument.startswith("-"):
            return argument
    return None
