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
    time_ms: int = 0  # the latest of all events
    rows: tuple[Json, ...] = ()  # of the epoch table

    def after(self, events: Sequence[StoredEvent]) -> Seen:
        """With the next events, of which there is at least one."""
        rows = [stored.event.data for stored in events if stored.event.kind == "epoch"]
        return Seen(events[-1].sequence, max(self.time_ms, *map(_time_ms, events)), (*self.rows, *rows))


def metrics_of(events: Sequence[StoredEvent], seen: Seen) -> list[Metric]:
    """The points of the events that follow `seen`, at their steps and times.

    Times never decrease, though clocks are set back and attempts run on other machines; and they follow from the log
    alone, so that a point that is sent again is the same point.
    """
    found: list[Metric] = []
    time_ms = seen.time_ms
    for stored in events:
        time_ms = max(time_ms, _time_ms(stored))
        found += _metrics(stored, time_ms)
    return found


def _time_ms(stored: StoredEvent) -> int:
    return round(stored.event.time.timestamp() * 1000)


def _metrics(stored: StoredEvent, time_ms: int) -> list[Metric]:
    from mlflow.entities import Metric

    data = stored.event.data
    values: dict[str, Any] = {}
    if stored.event.kind == "batch":
        values = {"batch_loss": data["loss"], "lr": data["lr"], "momentum": data["mom"]}
        values["samples_per_second"] = data["samples_per_s"]
    if stored.event.kind == "epoch":
        values = {"train_loss": data["train_loss"], "valid_loss": data["valid_loss"], **data["metrics"]}
        values["epoch_seconds"] = data["time_s"]
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
