"""Tables as files: CSV for people, and JSON as MLflow's own `log_table` writes it, for its table view."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from threading import Lock
from typing import TYPE_CHECKING, Any

from learnfleet.server.domain import Json

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

EPOCHS_CSV, EPOCHS_TABLE = "epochs.csv", "epochs.json"
_TABLES_TAG = "mlflow.loggedArtifacts"
# Two threads note tables of one run, and the tag holds them all.
_LOCK = Lock()


def epochs_csv(rows: Sequence[Json]) -> str:
    """The epochs in fastai's columns, over all stages."""
    columns, lines = _epochs(rows)
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(columns)
    for stage, epoch, step, *values, seconds in lines:
        numbers = ["#na#" if value is None else f"{value:.6f}" for value in values]
        writer.writerow([stage, epoch, step, *numbers, f"{seconds:.1f}"])
    return out.getvalue()


def epochs_json(rows: Sequence[Json]) -> str:
    """The same, for MLflow's table view."""
    return table_json(*_epochs(rows))


def table_json(columns: Sequence[str], lines: Sequence[Sequence[Any]]) -> str:
    """A table as MLflow reads it (pandas' orient="split", without an index)."""
    return json.dumps({"columns": list(columns), "data": [list(line) for line in lines]})


def note_table(client: MlflowClient, run_id: str, name: str) -> None:
    """Tell MLflow's pages that the artifact `name` is a table. Safe to repeat."""
    with _LOCK:
        tags = client.get_run(run_id).data.tags
        tables = json.loads(tags.get(_TABLES_TAG) or "[]")
        table = {"path": name, "type": "table"}
        if table not in tables:
            client.set_tag(run_id, _TABLES_TAG, json.dumps([*tables, table]))


def _epochs(rows: Sequence[Json]) -> tuple[list[str], list[list[Any]]]:
    metrics = list(dict.fromkeys(name for row in rows for name in row["metrics"]))
    columns = ["stage", "epoch", "step", "train_loss", "valid_loss", *metrics, "seconds"]
    lines = []
    for row in rows:
        values = [row["train_loss"], row["valid_loss"], *(row["metrics"].get(name) for name in metrics)]
        lines.append([row["stage"], row["epoch"], row["step"], *values, row["time_s"]])
    return columns, lines
