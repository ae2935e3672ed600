"""`learnfleet preds`."""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from typing import Annotated

import typer

from learnfleet.client.arrays import Array
from learnfleet.client.cli.access import connect
from learnfleet.client.cli.exits import reported
from learnfleet.client.cli.output import AsJson, Server, emit, table
from learnfleet.client.dataset_types import DatasetType
from learnfleet.client.predictions import Predictions

_ROWS = 12
_MOST_NUMBERS = 4


class Dataset(StrEnum):
    """Which items."""

    valid = "valid"
    train = "train"
    test = "test"


def preds(
    model: Annotated[str, typer.Argument(help="learners/..., models/.../versions/..., or models/...@alias.")],
    data: Annotated[
        str | None, typer.Option(help="datasets/... or a folder of the server, instead of what it was trained with.")
    ] = None,
    dataset: Annotated[Dataset, typer.Option(help="Which items of it; train: in order and complete.")] = Dataset.valid,
    with_loss: Annotated[bool, typer.Option(help="Also the loss of each item.")] = False,
    tta: Annotated[bool, typer.Option(help="Average over zoomed and mirrored variants.")] = False,
    as_json: AsJson = False,
    server: Server = None,
) -> None:
    """Predict a whole data set: all rows with --json, else the first of them."""
    with reported(), connect(server) as client:
        found = client.get_preds(model, data, DatasetType[dataset.title()], with_loss=with_loss, tta=tta)
    if as_json:
        for row in _rows(found):
            emit(row)
        return
    typer.echo(f"{len(found.indices)} items, predictions of shape {list(found.preds.shape[1:])}")
    columns = ("index", "prediction", "target", *(("loss",) if with_loss else ()))
    shown = (tuple(map(_short, row.values())) for _, row in zip(range(_ROWS), _rows(found), strict=False))
    table(columns, shown)


def _rows(found: Predictions) -> Iterator[dict[str, object]]:
    for place, index in enumerate(found.indices):
        row = {"index": index, "prediction": found.preds[place], "target": found.targets[place]}
        yield row if found.losses is None else {**row, "loss": found.losses[place]}


def _short(value: object) -> str:
    """Of many numbers the greatest, of many rows of them the shape."""
    if isinstance(value, float):
        return f"{value:.4f}"
    if not isinstance(value, Array):
        return str(value)
    if value.ndim > 1:
        return f"{list(value.shape)}"
    if len(value) <= _MOST_NUMBERS:
        return " ".join(_short(number) for number in value)
    best = value.argmax()
    return f"{best}: {value[best]:.4f}"
