"""`learnfleet learners`, `describe`, `save`, `checkpoints`, `load`, `export`."""

from __future__ import annotations

from itertools import islice
from typing import Annotated

import typer

from learnfleet.client.cli.access import connect
from learnfleet.client.cli.exits import reported
from learnfleet.client.cli.output import AsJson, Server, emit, table

LearnerName = Annotated[str, typer.Argument(help="learners/...")]


def learners(
    limit: Annotated[int, typer.Option(help="At most so many.")] = 20, as_json: AsJson = False, server: Server = None
) -> None:
    """List learners, newest first."""
    with reported(), connect(server) as client:
        found = list(islice(client.learners(), limit))
        if as_json:
            for learner in found:
                emit(learner)
            return
        rows = [
            (i.name, i.architecture, i.data_path, len(i.classes), i.epochs_trained, "warm" if i.warm else "")
            for i in found
        ]
        table(("learner", "architecture", "data", "classes", "epochs", "workers"), rows)


def describe(learner: LearnerName, as_json: AsJson = False, server: Server = None) -> None:
    """Say what a learner's network is made of, and mean and standard deviation of its pictures."""
    with reported(), connect(server) as client:
        found = client.learner(learner).described()
        if as_json:
            emit(found)
            return
        typer.echo(found.network)
        for name, values in (("mean", found.channel_means), ("standard deviation", found.channel_stds)):
            if values:
                typer.echo(f"{name} of the first training batch: {', '.join(f'{value:.4f}' for value in values)}")


def save(
    learner: LearnerName,
    name: Annotated[str, typer.Argument(help="Name of the state.")],
    with_opt: Annotated[bool, typer.Option(help="With its optimiser's state.")] = True,
    as_json: AsJson = False,
    server: Server = None,
) -> None:
    """Give a learner's present state a name."""
    with reported(), connect(server) as client:
        saved = client.learner(learner).save(name, with_opt)
        emit(saved) if as_json else typer.echo(saved.name)


def checkpoints(learner: LearnerName, as_json: AsJson = False, server: Server = None) -> None:
    """List the states that a learner can be put back to, newest first."""
    with reported(), connect(server) as client:
        found = client.learner(learner).checkpoints()
        if as_json:
            for checkpoint in found:
                emit(checkpoint)
            return
        rows = [(i.name.rsplit("/", 1)[1], i.epoch, i.step, i.size_bytes) for i in found]
        table(("state", "epochs", "steps", "bytes"), rows)


def load(
    learner: LearnerName,
    name: Annotated[str, typer.Argument(help="Name of the state, or id of a job.")],
    with_opt: Annotated[
        bool | None, typer.Option(help="Refuse a state without its optimiser, or start the optimiser anew.")
    ] = None,
    as_json: AsJson = False,
    server: Server = None,
) -> None:
    """Put a learner back to a saved state."""
    with reported(), connect(server) as client:
        info = client.learner(learner).load(name, with_opt).info()
        emit(info) if as_json else typer.echo(f"{info.name} is at {info.checkpoint}")


def export(
    learner: LearnerName,
    model: Annotated[str, typer.Option(help="Name of the model. Default: that of the learner.")] = "",
    alias: Annotated[list[str] | None, typer.Option(help="Alias for the new version; repeatable.")] = None,
    onnx: Annotated[bool, typer.Option(help="Make the model as ONNX, too.")] = True,
    as_json: AsJson = False,
    server: Server = None,
) -> None:
    """Make a model version of a learner's present state."""
    with reported(), connect(server) as client:
        version = client.learner(learner).export(model, alias or [], onnx=onnx)
        if as_json:
            emit(version)
            return
        typer.echo(version.name)
        if version.onnx is not None:
            typer.echo(f"ONNX: {version.onnx}")
