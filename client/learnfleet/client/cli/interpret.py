"""`learnfleet interpret`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from learnfleet.client.cli.exits import reported
from learnfleet.client.cli.output import AsJson, Server, connect, emit, table, to_json


def interpret(
    learner: Annotated[str, typer.Argument(help="learners/...")],
    out: Annotated[Path | None, typer.Option(help="Folder for the plots and the numbers as JSON.")] = None,
    top_losses: Annotated[int, typer.Option(help="Pictures with the greatest loss to list.")] = 9,
    min_confused: Annotated[int, typer.Option(help="Least count of a confused pair.")] = 1,
    as_json: AsJson = False,
    server: Server = None,
) -> None:
    """Find what a learner gets wrong on its validation pictures."""
    with reported(), connect(server) as client:
        found = client.learner(learner).interpret(top_losses=top_losses, min_confused=min_confused).found
        if out is not None:
            out.mkdir(parents=True, exist_ok=True)
            (out / "interpretation.json").write_text(json.dumps(to_json(found), indent=1))
            for picture in found.pictures:
                picture.save(out / f"{picture.name}.png")
        if as_json:
            emit(found)
            return
        typer.echo(f"{found.examples} pictures, accuracy {found.accuracy:.4f}, loss {found.loss:.4f}")
        table(("actual", "predicted", "count"), ((p.actual, p.predicted, p.count) for p in found.most_confused))
        table(
            ("picture", "predicted", "actual", "loss", "probability"),
            ((t.path, t.predicted, t.actual, f"{t.loss:.4f}", f"{t.probability:.4f}") for t in found.top_losses),
        )
        if out is not None:
            typer.echo(f"plots and numbers are in {out}")
