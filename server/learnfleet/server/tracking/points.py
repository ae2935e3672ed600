"""Points, as MLflow holds them, out of events."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from learnfleet.server.domain import Job, Json, StoredEvent

if TYPE_CHECKING:
    from mlflow.entities import Metric


@dataclass(frozen=True)
class Seen:
    """What of a job's log has been sent, as far as the next events need it."""

    sequence: int = 0
    time_ms: int = 0  # the latest of all events
    step: int = 0  # of the newest `batch` or `epoch` event
    rows: tuple[Json, ...] = ()  # of the epoch table, with `time_ms`
    samples: Mapping[int, int] = field(default_factory=dict)  # `system` events by rank

    def after(self, events: Sequence[StoredEvent]) -> Seen:
        """With the next events, of which there is at least one."""
        rows, samples = list(self.rows), dict(self.samples)
        time_ms, step = self.time_ms, self.step
        for stored in events:
            data = stored.event.data
            time_ms = max(time_ms, _time_ms(stored))
            if stored.event.kind in ("batch", "epoch"):
                step = data["step"]
            if stored.event.kind == "epoch":
                rows.append({**data, "time_ms": time_ms})
            if stored.event.kind == "system":
                samples[data["rank"]] = samples.get(data["rank"], 0) + 1
        return Seen(events[-1].sequence, time_ms, step, tuple(rows), samples)


def metrics_of(events: Sequence[StoredEvent], seen: Seen) -> list[Metric]:
    """The points of the events that follow `seen`, at their steps and times.

    Times never decrease, though clocks are set back and attempts run on other machines; and times and steps follow
    from the log alone, so that a point that is sent again is the same point.
    """
    found: list[Metric] = []
    time_ms, samples = seen.time_ms, dict(seen.samples)
    for stored in events:
        time_ms = max(time_ms, _time_ms(stored))
        data = stored.event.data
        if stored.event.kind == "system":
            nth = samples.get(data["rank"], 0)
            samples[data["rank"]] = nth + 1
            found += _points(_system(data), time_ms, nth)
        else:
            found += _points(_training(stored), time_ms, data.get("step", 0))
    return found


def row_metrics(row: Json) -> dict[str, Any]:
    """The values of a row of the epoch table, by the names that MLflow has for them."""
    return {"train_loss": row["train_loss"], "valid_loss": row["valid_loss"], **row["metrics"]}


def row_points(row: Json) -> list[Metric]:
    """The points of a row of the epoch table."""
    return _points(row_metrics(row), row["time_ms"], row["step"])


def end_ms(job: Job) -> int:
    """When the job ended, in MLflow's unit."""
    return round((job.ended_at or job.updated_at).timestamp() * 1000)


def _time_ms(stored: StoredEvent) -> int:
    return round(stored.event.time.timestamp() * 1000)


def _points(values: Mapping[str, Any], time_ms: int, step: int) -> list[Metric]:
    from mlflow.entities import Metric

    return [Metric(name, value, time_ms, step) for name, value in values.items() if value is not None]


def _training(stored: StoredEvent) -> dict[str, Any]:
    data = stored.event.data
    if stored.event.kind == "batch":
        return {
            "batch_loss": data["loss"],
            "lr": data["lr"],
            "momentum": data["mom"],
            "samples_per_second": data["samples_per_s"],
        }
    if stored.event.kind == "epoch":
        return {**row_metrics(data), "epoch_seconds": data["time_s"]}
    return {}


def _system(data: Json) -> dict[str, Any]:
    """By MLflow's own names, which its page of system metrics knows: there a rank is a node."""
    return {f"system/node_{data['rank']}/{name}": value for name, value in data["values"].items()}
