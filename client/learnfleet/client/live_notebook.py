"""Following a job in a notebook: one output that changes in place."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime
from html import escape
from itertools import groupby
from typing import Any

from learnfleet.client import cards
from learnfleet.client.events import BatchFinished, EpochFinished, Event, StageStarted, StateChanged
from learnfleet.client.graph import loss_graph
from learnfleet.client.notices import notice
from learnfleet.client.table import columns_of, minutes, values_of

_LEAST_PAUSE_S = 0.3  # between two changes of what is shown
_NOTICES_SHOWN = 20
_FINAL = ("SUCCEEDED", "FAILED", "CANCELLED")


class Page:
    """What is shown of a job, as HTML made of its events so far."""

    def __init__(self) -> None:
        self._rows: list[EpochFinished] = []
        self._losses: list[tuple[float, float]] = []
        self._stages: dict[int, str] = {}
        self._notices: list[str] = []
        self._batch: BatchFinished | None = None
        self._state, self._reason = "", ""
        self._began: datetime | None = None  # of the present stage's training
        self._now: datetime | None = None

    def take(self, event: Event) -> bool:
        """Note an event. Whether it should be shown at once."""
        payload, self._now = event.payload, event.time
        if isinstance(payload, BatchFinished):
            if self._batch is None or self._batch.stage != payload.stage:
                self._began = event.time
            self._batch = payload
            self._losses.append((payload.step, payload.loss))
            return False
        if isinstance(payload, EpochFinished):
            self._rows.append(payload)
        elif isinstance(payload, StageStarted):
            self._stages[payload.stage] = payload.description
        elif isinstance(payload, StateChanged):
            self._state, self._reason = payload.state, payload.reason
        if not isinstance(payload, StageStarted) and (text := notice(event)) is not None:
            self._notices.append(text)
        return True

    def html(self) -> str:
        """Tables, bars while it runs, a graph, and what else a person should know."""
        parts = [self._tables(), "" if self._state in _FINAL else self._bars(), self._graph(), self._said()]
        return f'<div class="learnfleet-job">{"".join(parts)}</div>'

    def _tables(self) -> str:
        made = []
        for (stage, columns), rows in groupby(self._rows, key=lambda row: (row.stage, tuple(columns_of(row)))):
            if len(self._stages) > 1:
                made.append(f'<div style="opacity:.65">{escape(self._stages.get(stage, ""))}</div>')
            made.append(cards.table(columns, map(values_of, rows)))
        return "".join(made)

    def _bars(self) -> str:
        batch = self._batch
        if batch is None or self._state != "RUNNING":
            state = self._state.lower() or "waiting"
            return f'<div style="opacity:.65">{escape(f"{state}: {self._reason}" if self._reason else state)}</div>'
        passed = (self._now - self._began).total_seconds() if self._now and self._began else 0.0
        whole = batch.epochs * batch.batches
        done = batch.epoch * batch.batches + batch.batch
        left = f"{minutes(passed)} passed, {minutes(batch.eta_s)} left"
        pace = f"loss {batch.loss:.4f}, lr {batch.lr:.2e}, {batch.samples_per_second:.0f} pictures/s"
        epochs = _bar(done, whole, f"epoch {batch.epoch + 1}/{batch.epochs} [{left}]")
        return epochs + _bar(batch.batch, batch.batches, f"batch {batch.batch}/{batch.batches} [{pace}]")

    def _graph(self) -> str:
        valid = [(float(row.step), row.valid_loss) for row in self._rows if row.valid_loss is not None]
        batch = self._batch
        left = (batch.epochs - batch.epoch) * batch.batches - batch.batch if batch and self._state not in _FINAL else 0
        return loss_graph(self._losses, valid, (batch.step if batch else 0) + left)

    def _said(self) -> str:
        hidden = len(self._notices) - _NOTICES_SHOWN
        lines = [f"({hidden} earlier notices)"] if hidden > 0 else []
        lines += self._notices[-_NOTICES_SHOWN:]
        return "".join(f'<div style="opacity:.8">{escape(line)}</div>' for line in lines)


class NotebookView:
    """Shows a page in the output of the present cell, a few times a second at most."""

    def __init__(self, clock_s: Callable[[], float] = time.monotonic) -> None:
        from IPython.display import HTML, display

        self._page, self._html, self._clock_s = Page(), HTML, clock_s
        self._shown_at_s = clock_s()
        self._handle: Any = display(HTML(self._page.html()), display_id=True)

    def take(self, event: Event) -> None:
        """Note an event, and show it when it is time."""
        is_due = self._page.take(event) or self._clock_s() - self._shown_at_s >= _LEAST_PAUSE_S
        if is_due:
            self.show()

    def show(self) -> None:
        """Change what is shown."""
        self._shown_at_s = self._clock_s()
        self._handle.update(self._html(self._page.html()))


def _bar(done: int, whole: int, text: str) -> str:
    return (
        f'<div><progress value="{done}" max="{whole}" style="width:240px;height:16px"></progress> {escape(text)}</div>'
    )
