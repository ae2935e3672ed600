"""Figures of a Recorder. They use no pyplot state, so they are safe in threads and without a display."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

if TYPE_CHECKING:
    from learnfleet.trainer.recorder import EpochRow, Recorder

_BATCHES = "Batches processed"
_ACROSS = 3  # axes in a row
_LOG_FROM = 100  # times as high as the median: a loss that would press all others onto the axis


def losses_figure(recorder: Recorder, skip_start: int = 0, skip_end: int = 0, show_grid: bool = False) -> Figure:
    figure, axes = _new_figure(1)
    batches = window(len(recorder.losses), skip_start, skip_end)
    axes[0].plot(batches, [recorder.losses[i] for i in batches], label="Train")
    points = [(end, row.valid_loss) for end, row in _epochs(recorder, batches) if row.valid_loss is not None]
    if points:
        axes[0].plot(*zip(*points, strict=True), marker="o", label="Validation")
    _by_batch(axes[0], "Loss")
    _tame(axes[0])
    axes[0].grid(show_grid)
    axes[0].legend()
    say_if_nothing(figure, len(recorder.losses), batches)
    return figure


def progress_figure(recorder: Recorder, total_batches: int) -> Figure:
    """The losses so far, with room for those that are to come."""
    figure = losses_figure(recorder)
    axes = figure.axes[0]
    axes.set_xlim(0, total_batches)
    for line in axes.lines:
        line.set_clip_on(False)  # the last point is on the edge, and not cut in half
    if axes.get_yscale() == "linear":
        axes.set_ylim(0, max([*recorder.losses, *recorder.val_losses], default=1.0) * 1.05)
    return figure


def search_figure(
    lrs: Sequence[float], losses: Sequence[float], suggestions: Mapping[str, float | None], show_grid: bool
) -> Figure:
    """Loss against the logarithm of the learning rate, with each suggestion marked on the curve."""
    figure, axes = _new_figure(1)
    axes[0].plot(lrs, losses)
    for name, lr in suggestions.items():
        if lr is None:
            axes[0].plot([], [], " ", label=f"{name}: there are not enough points")
        else:
            on_curve = np.interp(np.log(lr), np.log(lrs), losses)
            axes[0].plot([lr], [on_curve], marker="o", linestyle="", label=f"{name}: {lr:.2E}")
    axes[0].set(xlabel="Learning rate", ylabel="Loss", xscale="log")
    axes[0].grid(show_grid, which="both")
    if suggestions:
        axes[0].legend()
    return figure


def rates_figure(recorder: Recorder, show_moms: bool, skip_start: int, skip_end: int) -> Figure:
    figure, axes = _new_figure(2 if show_moms else 1)
    batches = window(len(recorder.lrs), skip_start, skip_end)
    axes[0].plot(batches, [recorder.lrs[i] for i in batches])
    _by_batch(axes[0], "Learning rate")
    if show_moms:
        axes[1].plot(batches, [recorder.moms[i] for i in batches])
        _by_batch(axes[1], "Momentum")
    say_if_nothing(figure, len(recorder.lrs), batches)
    return figure


def metrics_figure(recorder: Recorder, skip_start: int, skip_end: int) -> Figure:
    if not any(row.metrics for row in recorder.rows):
        raise ValueError("there are no metrics to plot: give the learner metrics, and train for at least one epoch")
    figure, axes = _new_figure(len(recorder.metric_names))
    batches = window(sum(recorder.nb_batches), skip_start, skip_end)
    epochs = _epochs(recorder, batches)
    for name, axis in zip(recorder.metric_names, axes, strict=True):
        axis.plot([end for end, _ in epochs], [row.metrics.get(name, math.nan) for _, row in epochs], marker="o")
        _by_batch(axis, name)
    say_if_nothing(figure, sum(recorder.nb_batches), batches)
    return figure


def window(count: int, skip_start: int, skip_end: int) -> range:
    """Which of `count` batches are shown. Raises ValueError for less than none left out."""
    if skip_start < 0 or skip_end < 0:
        raise ValueError(f"skip_start {skip_start}, skip_end {skip_end}: give how many batches to leave out, 0 or more")
    return range(skip_start, max(count - skip_end, skip_start))


def say_if_nothing(figure: Figure, count: int, shown: range) -> None:
    """Write into an empty figure why it is empty."""
    if shown:
        return
    why = "nothing was recorded yet" if not count else f"all {count} batches are left out by skip_start and skip_end"
    figure.axes[0].text(0.5, 0.5, why, ha="center", va="center", transform=figure.axes[0].transAxes)


def _new_figure(n_axes: int) -> tuple[Figure, list[Axes]]:
    columns = min(n_axes, _ACROSS)
    rows = math.ceil(n_axes / columns)
    figure = Figure(figsize=(6.4 * columns, 4.2 * rows), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False).flatten().tolist()
    for axis in axes[n_axes:]:
        axis.remove()
    for axis in axes[:n_axes]:
        axis.spines[["top", "right"]].set_visible(False)
    return figure, axes[:n_axes]


def _by_batch(axis: Axes, what: str) -> None:
    axis.set(xlabel=_BATCHES, ylabel=what)
    axis.xaxis.set_major_locator(MaxNLocator(integer=True, nbins="auto"))


def _tame(axis: Axes) -> None:
    """A logarithmic scale where a few values would make a straight line of all others."""
    values = np.concatenate([np.asarray(line.get_ydata(), dtype=np.float64) for line in axis.lines])
    finite = values[np.isfinite(values)]
    if len(finite) and finite.min() > 0 and finite.max() > _LOG_FROM * np.median(finite):
        axis.set(yscale="log", ylabel="Loss (logarithmic)")


def _epochs(recorder: Recorder, shown: range) -> list[tuple[int, EpochRow]]:
    """(batches processed at its end, row) of the epochs that end among the shown batches."""
    ends = zip(accumulate(recorder.nb_batches), recorder.rows, strict=True)
    return [(end, row) for end, row in ends if shown.start <= end <= shown.stop]
