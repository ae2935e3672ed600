"""The record of a fit: losses, rates and the epoch table."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from matplotlib.figure import Figure
from torch import Tensor

from learnfleet.trainer import recorder_plots
from learnfleet.trainer.callback import Callback
from learnfleet.trainer.lr_suggest import apply_rules
from learnfleet.trainer.plots import asked_for
from learnfleet.trainer.spline import smoothen_by_spline
from learnfleet.trainer.state import TrainState


@dataclass(frozen=True)
class EpochRow:
    """One line of the epoch table."""

    epoch: int  # of this fit
    lifetime_epoch: int
    train_loss: float  # smoothed
    valid_loss: float | None  # None: not validated
    metrics: dict[str, float]
    time_s: float


class Recorder(Callback):
    """Writes down each training batch and each epoch. There is a new one for every fit.

    Attributes:
        losses: smoothed loss, a value per training batch.
        lrs, moms: of the last layer group, in force while that batch was trained.
        val_losses, metrics: a value (a list of values, NaN for none) per validated epoch.
        nb_batches: training batches per epoch.
        min_grad_lr: the rate that `plot(suggestion=True)` has marked.
        rows: the epoch table.
    """

    order = -10

    def __init__(self, add_time: bool = True) -> None:
        self.add_time = add_time
        self.losses: list[float] = []
        self.lrs: list[float] = []
        self.moms: list[float] = []
        self.rows: list[EpochRow] = []
        self.nb_batches: list[int] = []
        self.metric_names: list[str] = []
        self.min_grad_lr: float | None = None
        self._added_names: list[str] = []
        self.has_validation = True
        self._epoch_time_s = 0.0  # of earlier runs of this epoch
        self._epoch_start = time.monotonic()

    @property
    def names(self) -> list[str]:
        """The table's columns."""
        columns = ["valid_loss", *self.metric_names] if self.has_validation else self._added_columns
        return ["epoch", "train_loss", *columns, *(["time"] if self.add_time else [])]

    @property
    def _added_columns(self) -> list[str]:
        """Columns that callbacks fill."""
        return self.metric_names[len(self.metric_names) - len(self._added_names) :]

    def add_metric_names(self, names: Sequence[str]) -> None:
        """Columns that a callback fills: it adds their values to `last_metrics` at every epoch's end, before order -10.

        To be called in `on_train_begin`, or before.
        """
        self._added_names += names
        self.metric_names = distinct([*self.metric_names, *names])

    @property
    def val_losses(self) -> list[float]:
        return [row.valid_loss for row in self.rows if row.valid_loss is not None]

    @property
    def metrics(self) -> list[list[float]]:
        validated = [row for row in self.rows if row.valid_loss is not None]
        return [[row.metrics.get(name, math.nan) for name in self.metric_names] for row in validated]

    def on_train_begin(self, state: TrainState) -> None:
        loader = state.learner.data.valid_dl
        self.metric_names = distinct([*(metric.name for metric in state.metrics), *self._added_names])
        self.has_validation = loader is not None and len(loader) > 0
        self._epoch_start = time.monotonic()

    def on_epoch_begin(self, state: TrainState) -> None:
        self._epoch_start, self._epoch_time_s = time.monotonic(), 0.0

    def on_batch_begin(self, state: TrainState) -> None:
        if state.train:
            optimizer = state.learner.require_optimizer()
            self.lrs.append(optimizer.lr)
            self.moms.append(optimizer.mom)

    def on_batch_end(self, state: TrainState) -> None:
        if state.train:
            self.losses.append(state.smooth_loss)

    def on_epoch_end(self, state: TrainState) -> None:
        valid_loss = state.last_metrics[0] if state.last_metrics else None
        given = dict(zip(self.metric_names, state.last_metrics[1:], strict=False))
        metrics = {name: value for name, value in given.items() if value is not None}
        row = EpochRow(state.epoch, state.lifetime_epoch, state.smooth_loss, valid_loss, metrics, self._elapsed_s())
        self.rows.append(row)
        self.nb_batches.append(state.batch)
        self._epoch_start, self._epoch_time_s = time.monotonic(), 0.0

    def _elapsed_s(self) -> float:
        return self._epoch_time_s + time.monotonic() - self._epoch_start

    def format_row(self, row: EpochRow) -> str:
        """The row as comma-separated text: whole numbers plain, others with 6 decimals, `#na#` for none."""
        metrics = [row.metrics.get(name) for name in self.metric_names]
        added = [row.metrics.get(name) for name in self._added_columns]
        columns = [row.valid_loss, *metrics] if self.has_validation else added
        cells = [str(row.epoch), *(format_value(value) for value in (row.train_loss, *columns))]
        return ",".join([*cells, format_time(row.time_s)] if self.add_time else cells)

    def state_dict(self) -> dict[str, Any]:
        rows = [asdict(row) for row in self.rows]
        return {"rows": rows, "nb_batches": list(self.nb_batches), "epoch_time_s": self._elapsed_s()}

    def load_state_dict(self, values: dict[str, Any]) -> None:
        self.rows = [EpochRow(**row) for row in values["rows"]]
        self.nb_batches = list(values["nb_batches"])
        self._epoch_time_s, self._epoch_start = float(values["epoch_time_s"]), time.monotonic()

    def tensors(self) -> dict[str, Tensor]:
        series = {"losses": self.losses, "lrs": self.lrs, "moms": self.moms}
        return {name: torch.tensor(values, dtype=torch.float64) for name, values in series.items()}

    def load_tensors(self, tensors: dict[str, Tensor]) -> None:
        self.losses, self.lrs, self.moms = (tensors[name].tolist() for name in ("losses", "lrs", "moms"))

    def plot(
        self,
        skip_start: int = 10,
        skip_end: int = 5,
        suggestion: bool | str | Sequence[str] = False,
        return_fig: bool | None = None,
        show_grid: bool = False,
        k: int | None = None,
    ) -> Figure | None:
        """Loss against learning rate, after `lr_find`.

        Args:
            skip_start, skip_end: points to leave out at the ends.
            suggestion: True marks where the loss falls fastest (then in `min_grad_lr`) and says a tenth of the rate of
                the least loss; or names of rules: valley, slide, steep, minimum, min_gradient.
            return_fig: False: nothing is given back, so a notebook shows nothing.
            k: smooth the losses by a spline of this degree first.
        """
        return asked_for(self.search_figure(skip_start, skip_end, suggestion, show_grid, k), return_fig)

    def search_figure(
        self,
        skip_start: int = 10,
        skip_end: int = 5,
        suggestion: bool | str | Sequence[str] = False,
        show_grid: bool = False,
        k: int | None = None,
    ) -> Figure:
        """What `plot` gives."""
        kept = recorder_plots.window(len(self.losses), skip_start, skip_end)
        lrs, losses = self.lrs[kept.start : kept.stop], self.losses[kept.start : kept.stop]
        losses = losses if k is None else smoothen_by_spline(losses, k)
        names = _rules_of(suggestion)
        found = apply_rules(lrs, losses, len(self.lrs), names).values if names else {}
        self.min_grad_lr = found.get("min_gradient", self.min_grad_lr)
        figure = recorder_plots.search_figure(lrs, losses, found, show_grid)
        recorder_plots.say_if_nothing(figure, len(self.losses), kept)
        return figure

    def plot_losses(
        self, skip_start: int = 0, skip_end: int = 0, return_fig: bool | None = None, show_grid: bool = False
    ) -> Figure | None:
        """Training and validation loss against batches processed, without so many batches at the ends."""
        return asked_for(recorder_plots.losses_figure(self, skip_start, skip_end, show_grid), return_fig)

    def plot_lr(
        self, show_moms: bool = False, skip_start: int = 0, skip_end: int = 0, return_fig: bool | None = None
    ) -> Figure | None:
        """Learning rate, and momentum if asked for, against batches processed, without so many at the ends."""
        return asked_for(recorder_plots.rates_figure(self, show_moms, skip_start, skip_end), return_fig)

    def plot_metrics(self, skip_start: int = 0, skip_end: int = 0, return_fig: bool | None = None) -> Figure | None:
        """Each metric against batches processed, without the epochs that end in so many batches at the ends.

        An epoch without a value leaves a gap. Raises ValueError when there are no metrics.
        """
        return asked_for(recorder_plots.metrics_figure(self, skip_start, skip_end), return_fig)


def distinct(names: Sequence[str]) -> list[str]:
    """Names of columns: the second of a name is `name_2`, as of two `partial`s of one function."""
    counts: dict[str, int] = {}
    found = []
    for name in names:
        counts[name] = counts.get(name, 0) + 1
        found.append(name if counts[name] == 1 else f"{name}_{counts[name]}")
    return found


def _rules_of(suggestion: bool | str | Sequence[str]) -> Sequence[str]:
    if isinstance(suggestion, bool):
        return ("min_gradient", "minimum") if suggestion else ()
    return (suggestion,) if isinstance(suggestion, str) else suggestion


def format_value(value: float | int | None) -> str:
    if value is None:
        return "#na#"
    return str(value) if isinstance(value, int) else f"{value:.6f}"


def format_time(time_s: float) -> str:
    """mm:ss, or h:mm:ss from an hour on."""
    minutes, seconds = divmod(int(time_s), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes:02d}:{seconds:02d}"
