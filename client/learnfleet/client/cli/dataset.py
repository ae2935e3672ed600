"""`learnfleet dataset upload|register|list|show|delete`."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import Annotated

import typer

from learnfleet.client.cli.access import connect
from learnfleet.client.cli.exits import reported, say
from learnfleet.client.cli.output import AsJson, Server, emit, table
from learnfleet.client.dataset_values import Dataset, DatasetVersion

app = typer.Typer(
    help="Data sets on the server. `learnfleet train dataset://NAME` trains on one.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
DatasetName = Annotated[str, typer.Argument(help="datasets/...")]
NewId = Annotated[str, typer.Option("--name", help="Last part of the data set's name. Default: made up.")]
Wait = Annotated[bool, typer.Option(help="Wait until its pictures have been looked at.")]


@app.command()
def upload(
    path: Annotated[Path, typer.Argument(help="Folder, archive or file that is here.")],
    name: NewId = "",
    wait: Wait = True,
    as_json: AsJson = False,
    server: Server = None,
) -> None:
    """Send a folder to the server. After Ctrl-C the same command goes on where it stopped."""
    with reported(), connect(server) as client:
        try:
            _print(client.datasets.upload(path, name, wait=wait), as_json=as_json)
        except KeyboardInterrupt:
            say("\nwhat was sent is kept for a week: the same command goes on from there")
            raise


@app.command()
def register(
    uri: Annotated[str, typer.Argument(help="Folder on the server, or a URL such as s3://bucket/folder.")],
    name: NewId = "",
    wait: Wait = True,
    as_json: AsJson = False,
    server: Server = None,
) -> None:
    """Make a version of what the server can read beneath its data roots."""
    with reported(), connect(server) as client:
        _print(client.datasets.register(uri, name, wait=wait), as_json=as_json)


@app.command("list")
def list_datasets(
    limit: Annotated[int, typer.Option(help="At most so many.")] = 20, as_json: AsJson = False, server: Server = None
) -> None:
    """List data sets, newest first."""
    with reported(), connect(server) as client:
        found = list(islice(client.datasets.list(), limit))
        if as_json:
            for dataset in found:
                emit(dataset)
            return
        table(("data set", "version", "state", "files", "bytes", "classes"), map(_line, found))


@app.command()
def show(name: DatasetName, as_json: AsJson = False, server: Server = None) -> None:
    """What is in a data set: its versions, and the classes and broken files of the newest."""
    with reported(), connect(server) as client:
        dataset = client.datasets.get(name)
        if as_json:
            emit(dataset)
            return
        _describe(dataset.version)
        rows = [(v.name.rsplit("/", 1)[1], v.state, v.files, v.size_bytes, v.source_uri) for v in dataset.versions]
        table(("version", "state", "files", "bytes", "registered from"), rows)


@app.command()
def delete(name: DatasetName, server: Server = None) -> None:
    """Forget a data set and what the server has stored of it. Folders that were registered stay."""
    with reported(), connect(server) as client:
        client.datasets.delete(name)
        typer.echo(f"{name} is deleted")


def _print(dataset: Dataset, *, as_json: bool) -> None:
    if as_json:
        emit(dataset)
    else:
        _describe(dataset.version)


def _describe(version: DatasetVersion) -> None:
    typer.echo(f"{version.name}: {version.files:,} files, {version.size_bytes:,} bytes")
    if version.summary is None:
        typer.echo(f"{version.state}: {version.state_reason}")
        return
    for note in version.summary.notes():
        typer.echo(note)
    head, *rows = version.summary.rows()
    if rows:
        table(head, rows)


def _line(dataset: Dataset) -> tuple[object, ...]:
    version = dataset.version
    number = version.name.rsplit("/", 1)[1]
    return dataset.name, number, version.state, version.files, version.size_bytes, len(dataset.classes)
