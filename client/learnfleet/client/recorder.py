"""What a fit has recorded."""

from __future__ import annotations

from dataclasses import dataclass, field

from learnfleet.client.events import BatchFinished, EpochFinished, Event


@dataclass
class Recorder:
    """The epoch table of a job, and its losses and learning rates as far as they were reported (a few a second)."""

    rows: list[EpochFinished] = field(default_factory=list)
    losses: list[float] = field(default_factory=list)  # smoothed, at the steps of `steps`
    lrs: list[float] = field(default_factory=list)
    moms: list[float] = field(default_factory=list)
    steps: list[int] = field(default_factory=list)

    def take(self, event: Event) -> None:
        """Note an event."""
        payload = event.payload
        if isinstance(payload, EpochFinished):
            self.rows.append(payload)
        elif isinstance(payload, BatchFinished):
            self.losses.append(payload.loss)
            self.lrs.append(payload.lr)
            self.moms.append(payload.momentum)
            self.steps.append(payload.step)

    @property
    def val_losses(self) -> list[float | None]:
        return [row.valid_loss for row in self.rows]

    @property
    def metrics(self) -> list[dict[str, float]]:
        return [row.metrics for row in self.rows]
