"""Points and the epoch table, as MLflow holds them, out of events."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from learnfleet.server.domain import Json, StoredEvent

if TYPE_CHECKING:
    from mlflow.entities import Metric


@dataclass(frozen=True)
class Seen:
    """What of a job's log has been sent, as far as the next events need it."""

    sequence: int = 0
    rows: tuple[Json, ...] = ()  # of the epoch table

    def after(self, events: Sequence[StoredEvent]) -> Seen:
        """With the next events, of which there is at least one."""
        rows = [stored.event.data for stored in events if stored.event.kind == "epoch"]
        return Seen(events[-1].sequence, (*self.rows, *rows))


def metrics_of(stored: StoredEvent) -> list[Metric]:
    """The points of an event, at its step and time."""
    from mlflow.entities import Metric

    event, data = stored.event, stored.event.data
    values: dict[str, Any] = {}
    if event.kind == "batch":
        values = {"batch_loss": data["loss"], "lr": data["lr"], "momentum": data["mom"]}
        values["samples_per_second"] = data["samples_per_s"]
    if event.kind == "epoch":
        values = {"train_loss": data["train_loss"], "valid_loss": data["valid_loss"], **data["metrics"]}
        values["epoch_seconds"] = data["time_s"]
    time_ms = round(event.time.timestamp() * 1000)
    return [Metric(name, value, time_ms, data["step"]) for name, value in values.items() if value is not None]


def epoch_table(rows: Sequence[dict[str, Any]]) -> str:
    """The epochs as CSV, in fastai's columns, over all stages."""
    metrics = list(dict.fromkeys(name for row in rows for name in row["metrics"]))
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["stage", "epoch", "step", "train_loss", "valid_loss", *metrics, "seconds"])
    for row in rows:
        values = [row["train_loss"], row["valid_loss"], *(row["metrics"].get(name) for name in metrics)]
        numbers = ["#na#" if value is None else f"{value:.6f}" for value in values]
        writer.writerow([row["stage"], row["epoch"], row["step"], *numbers, f"{row['time_s']:.1f}"])
    return out.getvalue()
