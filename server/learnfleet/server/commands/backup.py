"""`learnfleet backup`, `restore` and `migrate`: the store in one file and back, and its tables for another version."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from learnfleet.server.alone import InUse
from learnfleet.server.errors import StoreUnavailable
from learnfleet.server.settings.flags import takes_settings
from learnfleet.server.settings.merge import Merged
from learnfleet.server.settings.values import mask
from learnfleet.server.store import backup as backups
from learnfleet.server.store.database import HEAD, UnknownVersion, move_to, unmigrated_database
from learnfleet.server.store.nobody import nobody_at
from learnfleet.server.store.restore import NotEmpty
from learnfleet.server.store.restore import restore as restore_store

_File = Annotated[Path, typer.Argument(help="The backup.", show_default=False)]
_Json = Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")]


@takes_settings("server")
def backup(settings: Merged, file: _File, as_json: _Json = False) -> None:
    """Write the store to FILE as of one moment, also while servers run on it: jobs, learners, events, data sets.

    Files are not in it: copy the data directory after it (checkpoints, exports, data sets), and MLflow's store as
    MLflow says.
    """
    url = settings.config.store_url
    with _told():
        _say(backups.back_up(url, file), f"backed up {mask(url)} to", as_json)


@takes_settings("server")
def restore(
    settings: Merged,
    file: _File,
    replace: Annotated[bool, typer.Option(help="Drop what the store has.")] = False,
    as_json: _Json = False,
) -> None:
    """Make a store of a backup, of this or an older version; in SQLite or PostgreSQL, whichever it was made of.

    Refuses a file that is not whole, a store that is not empty, and one that a server runs on.
    """
    config = settings.config
    with _told(), nobody_at(config):
        made = restore_store(file, config.store_url, replace=replace)
        _say(made, f"restored {mask(config.store_url)} from", as_json)


@takes_settings("server")
def migrate(
    settings: Merged,
    to: Annotated[str, typer.Option(help="Version of the tables. An older one loses what it has no place for.")] = HEAD,
) -> None:
    """Bring the store's tables to a version: up, as servers do when they start, or down for an older learnfleet.

    No server may run on it. Make a backup before.
    """
    config = settings.config
    with _told(), nobody_at(config):
        engine = unmigrated_database(config.store_url)
        try:
            before = move_to(engine, to)
        finally:
            engine.dispose()
    print(f"the store's tables have version {to}{' already' if before == to else f', and had {before}'}")


@contextmanager
def _told() -> Iterator[None]:
    wrong = (backups.BadBackup, backups.NothingToBackUp, NotEmpty, UnknownVersion, InUse, StoreUnavailable)
    try:
        yield
    except (*wrong, RuntimeError, OSError) as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(1) from error


def _say(made: backups.Backup, how: str, as_json: bool) -> None:
    if as_json:
        told = {"file": str(made.path), "schema": made.schema, "created_at": made.created_at, "rows": dict(made.rows)}
        print(json.dumps(told))
        return
    size = made.path.stat().st_size
    print(f"{how} {made.path} ({size:,} bytes, of {made.created_at}, tables of version {made.schema})")
    print("\n".join(f"{rows:>14,}  {table}" for table, rows in made.rows.items() if rows))
