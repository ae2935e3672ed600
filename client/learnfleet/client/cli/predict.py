"""`learnfleet predict`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from learnfleet.client.cli.exits import reported
from learnfleet.client.cli.output import AsJson, Server, connect, emit, table


def predict(
    model: Annotated[str, typer.Argument(help="learners/..., models/.../versions/..., or models/...@alias.")],
    files: Annotated[list[Path], typer.Argument(help="Picture files on this machine.")],
    top_k: Annotated[int, typer.Option(help="How many classes to list.")] = 3,
    as_json: AsJson = False,
    server: Server = None,
) -> None:
    """Classify pictures."""
    with reported(), connect(server) as client:
        rows = []
        for path in files:
            prediction = client.predict(model, path, top_k)
            if as_json:
                emit({"file": str(path), "prediction": prediction})
            others = ", ".join(f"{name} {probability:.4f}" for name, probability in prediction.top[1:])
            rows.append((path, prediction.class_name, f"{prediction.probability:.4f}", others))
        if not as_json:
            table(("file", "class", "probability", "then"), rows)
