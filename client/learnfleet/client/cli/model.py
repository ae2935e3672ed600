"""`learnfleet model list|show|alias|unalias`."""

from __future__ import annotations

from itertools import islice
from typing import Annotated

import typer

from learnfleet.client.cli.access import connect
from learnfleet.client.cli.exits import reported
from learnfleet.client.cli.output import AsJson, Server, emit, table
from learnfleet.client.model_values import ModelVersion

app = typer.Typer(
    help="Model versions in the registry. `learnfleet export LEARNER` makes them.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
Limit = Annotated[int, typer.Option(help="At most so many.")]
AliasName = Annotated[str, typer.Argument(help="models/MODEL@ALIAS")]


@app.command("list")
def list_models(limit: Limit = 20, as_json: AsJson = False, server: Server = None) -> None:
    """List models, by name."""
    with reported(), connect(server) as client:
        found = list(islice(client.models.list(), limit))
        if as_json:
            for model in found:
                emit(model)
            return
        rows = [(model.name, _aliases(model.aliases), f"{model.update_time:%Y-%m-%d %H:%M}") for model in found]
        table(("model", "aliases", "changed (UTC)"), rows)


@app.command()
def show(
    name: Annotated[str, typer.Argument(help="models/MODEL; or models/MODEL/versions/N, models/MODEL@ALIAS")],
    limit: Limit = 20,
    as_json: AsJson = False,
    server: Server = None,
) -> None:
    """The versions of a model, newest first; or what one of them is."""
    with reported(), connect(server) as client:
        if "@" in name or "/versions/" in name:
            version = client.models.version(name)
            emit(version) if as_json else _describe(version)
            return
        found = list(islice(client.models.versions(name), limit))
        if as_json:
            for version in found:
                emit(version)
            return
        rows = [(v.version, " ".join(v.aliases), v.checkpoint or v.learner, _metrics(v), v.onnx or "") for v in found]
        table(("version", "aliases", "of", "metrics", "ONNX"), rows)


@app.command()
def alias(
    name: AliasName,
    version: Annotated[str, typer.Argument(help="models/MODEL/versions/N")],
    as_json: AsJson = False,
    server: Server = None,
) -> None:
    """Point an alias at a version, wherever it pointed before."""
    with reported(), connect(server) as client:
        moved = client.models.set_alias(name, version)
        emit(moved) if as_json else typer.echo(f"{name} is {moved.name}")


@app.command()
def unalias(name: AliasName, server: Server = None) -> None:
    """Take an alias away; the version that it pointed at stays."""
    with reported(), connect(server) as client:
        client.models.delete_alias(name)
        typer.echo(f"{name} is gone")


def _aliases(aliases: object) -> str:
    found = dict(aliases) if isinstance(aliases, dict) else {}
    return ", ".join(f"{alias}: {version.rsplit('/', 1)[1]}" for alias, version in sorted(found.items()))


def _metrics(version: ModelVersion) -> str:
    return ", ".join(f"{name} {value:.4g}" for name, value in version.metrics.items())


def _describe(version: ModelVersion) -> None:
    facts = {
        "aliases": " ".join(version.aliases),
        "of": version.checkpoint or version.learner,
        "job": version.job,
        "weights": version.model_sha256,
        "metrics": _metrics(version),
        "ONNX": version.onnx,
        "in MLflow": version.mlflow_uri,
    }
    typer.echo(version.name)
    for name, value in facts.items():
        if value:
            typer.echo(f"  {name}: {value}")
