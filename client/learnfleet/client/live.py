"""Following a job in a terminal or notebook: the epoch table, a progress bar, and what else there is to tell."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TextIO

from learnfleet.client.events import BatchFinished, EpochFinished, Event, StateChanged
from learnfleet.client.notices import notice
from learnfleet.client.table import columns_of, line, minutes, values_of

if TYPE_CHECKING:
    from rich.console import Console, Group
    from rich.progress import Progress
    from rich.table import Table


def follow(events: Iterable[Event], out: TextIO | None = None) -> Iterator[Event]:
    """Show the events while passing them on: in place in a notebook, live where `out` is a terminal, else as lines."""
    if out is None and in_notebook():
        yield from _in_place(events)
        return
    from rich.console import Console

    out = out or sys.stdout
    console = Console(file=out, force_jupyter=False)
    if console.is_terminal:
        with _live(console) as view:
            for event in events:
                view.take(event)
                yield event
    else:
        plain = PlainView(out)
        for event in events:
            plain.take(event)
            yield event


def in_notebook() -> bool:
    """Whether this is a cell of a notebook: there is a kernel, which can change what it has shown."""
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    return shell is not None and getattr(shell, "kernel", None) is not None


def _in_place(events: Iterable[Event]) -> Iterator[Event]:
    from learnfleet.client.live_notebook import NotebookView

    view = NotebookView()
    try:
        for event in events:
            view.take(event)
            yield event
    finally:
        view.show()


class PlainView:
    """One line an epoch, and one for whatever else a person should know. No control characters."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._header: list[str] = []

    def take(self, event: Event) -> None:
        payload = event.payload
        if isinstance(payload, EpochFinished):
            if self._header != columns_of(payload):
                self._header = columns_of(payload)
                self._say(line(self._header))
            self._say(line(values_of(payload)))
        elif (text := notice(event)) is not None:
            self._say(text)

    def _say(self, text: str) -> None:
        print(text, file=self._out, flush=True)


class LiveView:
    """A table that grows with the epochs, over a progress bar of the present one."""

    def __init__(self, console: Console, progress: Progress) -> None:
        self._console, self.progress = console, progress
        self._bar = progress.add_task("waiting", total=None)
        self._rows: list[EpochFinished] = []

    def take(self, event: Event) -> None:
        payload = event.payload
        if isinstance(payload, EpochFinished):
            if self._rows and columns_of(self._rows[0]) != columns_of(payload):
                self._rows.clear()
            self._rows.append(payload)
        elif isinstance(payload, BatchFinished):
            self._show_batch(payload)
        elif isinstance(payload, StateChanged):
            self.progress.update(self._bar, description=payload.state.lower() + _because(payload.reason))
        if (text := notice(event)) is not None:
            self._console.print(text, markup=False, highlight=False)

    def _show_batch(self, batch: BatchFinished) -> None:
        text = (
            f"epoch {batch.epoch + 1}/{batch.epochs}  loss {batch.loss:.4f}  lr {batch.lr:.2e}"
            f"  {batch.samples_per_second:.0f} pictures/s  {minutes(batch.eta_s)} left"
        )
        self.progress.update(self._bar, description=text, completed=batch.batch, total=batch.batches)

    def finish(self) -> None:
        """Leave only the table."""
        self.progress.update(self._bar, visible=False)

    def table(self) -> Table:
        from rich import box
        from rich.table import Table

        columns = columns_of(self._rows[0]) if self._rows else []
        table = Table(*columns, box=box.SIMPLE)
        for row in self._rows:
            table.add_row(*values_of(row))
        return table

    def __rich__(self) -> Group:
        from rich.console import Group

        return Group(self.table(), self.progress) if self._rows else Group(self.progress)


def _because(reason: str) -> str:
    return f": {reason}" if reason else ""


@contextmanager
def _live(console: Console) -> Iterator[LiveView]:
    from rich.live import Live
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    progress = Progress(BarColumn(bar_width=24), MofNCompleteColumn(), TextColumn("{task.description}"))
    view = LiveView(console, progress)
    with Live(view, console=console, refresh_per_second=8, get_renderable=lambda: view):
        yield view
        view.finish()
