"""What a person sees while a fit runs: a bar and the epoch table in a terminal, a growing table in a notebook."""

from __future__ import annotations

import html
import sys
import time
from typing import ClassVar, TextIO

from learnfleet.trainer.callback import Callback
from learnfleet.trainer.recorder import EpochRow, Recorder, format_time
from learnfleet.trainer.state import TrainState

_EVERY_S = 0.1
_BAR_CELLS = 24
_CLEAR = "\r\x1b[2K"
_LEAST_WIDTH = 10


class ProgressCallback(Callback):
    """Rank 0 only. A terminal gets a bar that is rewritten ten times a second, other streams only the table's rows."""

    order: ClassVar[int] = 100

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stdout
        self._is_terminal = self._stream.isatty()
        self._shown_at_s = self._began_s = 0.0
        self._began_at = 0

    def on_train_begin(self, state: TrainState) -> None:
        recorder = state.learner.recorder
        self._write_line(table_line(recorder.names))
        self._began_s, self._began_at = time.monotonic(), state.iteration

    def on_batch_end(self, state: TrainState) -> None:
        if not self._is_terminal or not state.train:
            return
        now_s = time.monotonic()
        if now_s - self._shown_at_s >= _EVERY_S:
            self._shown_at_s = now_s
            self._stream.write(_CLEAR + self._bar(state, now_s))
            self._stream.flush()

    def _bar(self, state: TrainState, now_s: float) -> str:
        done, total = state.batch + 1, max(state.n_batches, 1)
        cells = round(_BAR_CELLS * done / total)
        left = state.n_epochs * state.n_batches - state.iteration - 1
        eta_s = (now_s - self._began_s) / max(state.iteration + 1 - self._began_at, 1) * left
        bar = "█" * cells + "░" * (_BAR_CELLS - cells)
        place = f"epoch {state.epoch + 1}/{state.n_epochs} {bar} {done}/{total}"
        return f"{place} loss {state.smooth_loss:.4f} {format_time(eta_s)} left"

    def on_epoch_end(self, state: TrainState) -> None:
        recorder = state.learner.recorder
        self._write_line(table_line(recorder.format_row(recorder.rows[-1]).split(","), recorder.names))

    def on_train_end(self, state: TrainState) -> None:
        if self._is_terminal:
            self._stream.write(_CLEAR)
            self._stream.flush()

    def _write_line(self, line: str) -> None:
        self._stream.write((_CLEAR if self._is_terminal else "") + line + "\n")
        self._stream.flush()


def table_line(cells: list[str], names: list[str] | None = None) -> str:
    """Cells in columns as wide as their headings, and at least ten characters."""
    headings = names or cells
    return "  ".join(
        cell.ljust(max(_LEAST_WIDTH, len(name))) for cell, name in zip(cells, headings, strict=True)
    ).rstrip()


class NotebookProgress(Callback):
    """The epoch table and the state of the present epoch as HTML in a notebook's output, rewritten in place."""

    order: ClassVar[int] = 100

    def __init__(self) -> None:
        from IPython.display import DisplayHandle

        self._handle = DisplayHandle()
        self._rows: list[EpochRow] = []
        self._shown_at_s = 0.0

    def on_train_begin(self, state: TrainState) -> None:
        self._rows = []
        self._show(state.learner.recorder, "", first=True)

    def on_batch_end(self, state: TrainState) -> None:
        now_s = time.monotonic()
        if state.train and now_s - self._shown_at_s >= _EVERY_S:
            self._shown_at_s = now_s
            done, total = state.batch + 1, state.n_batches
            bar = f"<progress value={done} max={total} style='width:300px'></progress>"
            self._show(state.learner.recorder, f"{bar} {done}/{total}, loss {state.smooth_loss:.4f}")

    def on_epoch_end(self, state: TrainState) -> None:
        self._rows.append(state.learner.recorder.rows[-1])
        self._show(state.learner.recorder, "")

    def on_train_end(self, state: TrainState) -> None:
        self._show(state.learner.recorder, "")

    def _show(self, recorder: Recorder, below: str, *, first: bool = False) -> None:
        from IPython.display import HTML

        content = HTML(html_table(recorder, self._rows) + below)
        if first:
            self._handle.display(content)
        else:
            self._handle.update(content)


def html_table(recorder: Recorder, rows: list[EpochRow]) -> str:
    """The epoch table as HTML."""
    head = "".join(f"<th>{html.escape(name)}</th>" for name in recorder.names)
    body = "".join(
        "<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in recorder.format_row(row).split(",")) + "</tr>"
        for row in rows
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def in_notebook() -> bool:
    """Whether what is displayed reaches a notebook."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return type(shell).__name__ == "ZMQInteractiveShell"
