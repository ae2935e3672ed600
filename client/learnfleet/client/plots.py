"""Figures of what a job has reported. Drawn by matplotlib, which comes with the extra `learnfleet[plots]`."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from learnfleet.client.events import EpochFinished
from learnfleet.client.results import LrFinding

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_STEPS = "Optimizer steps"
_MISSING = "plots are drawn with matplotlib, which is not installed: pip install 'learnfleet[plots]'"


def series_figure(panels: Mapping[str, Mapping[str, tuple[Sequence[float], Sequence[float]]]]) -> Figure:
    """One panel for each key, named by it; in each, lines of (steps, values) by their labels."""
    figure, axes = _new_figure(max(len(panels), 1))
    for axis, (name, lines) in zip(axes, panels.items(), strict=False):
        for label, (steps, values) in lines.items():
            axis.plot(steps, values, label=label, marker="o" if len(steps) < 60 else "")
        axis.set(xlabel=_STEPS, ylabel=name)
        if len(lines) > 1:
            axis.legend()
        if not any(steps for steps, _ in lines.values()):
            _say(axis, "nothing was reported, or all of it is left out by skip_start and skip_end")
    return figure


def search_figure(finding: LrFinding, skip_start: int, skip_end: int, rules: Sequence[str], show_grid: bool) -> Figure:
    """Loss against the logarithm of the learning rate; the suggestions of `rules` are marked.

    Raises ValueError for a rule that there is no suggestion of, and for less than none left out.
    """
    check_skips(skip_start, skip_end)
    kept = slice(skip_start, max(len(finding.lrs) - skip_end, skip_start))
    figure, (axis, *_) = _new_figure(1)
    axis.plot(finding.lrs[kept], finding.losses[kept])
    for rule in rules:
        if rule not in finding.suggestions:
            known = ", ".join(finding.suggestions) or "none"
            raise ValueError(f"{rule!r} made no suggestion; those that did: {known}")
        lr = finding.suggestions[rule]
        nearest = min(range(len(finding.lrs)), key=lambda place: abs(math.log(finding.lrs[place] / lr)))
        axis.plot([lr], [finding.losses[nearest]], marker="o", linestyle="", label=f"{rule}: {lr:.2E}")
    axis.set(xlabel="Learning rate", ylabel="Loss", xscale="log")
    axis.grid(show_grid, which="both")
    if rules:
        axis.legend()
    if not finding.lrs[kept]:
        _say(axis, f"all {len(finding.lrs)} points are left out by skip_start and skip_end")
    return figure


def metric_names(rows: Sequence[EpochFinished]) -> list[str]:
    """In the order of the learner's specification. Raises ValueError where there are none."""
    names = list(dict.fromkeys(name for row in rows for name in row.metrics))
    if not names:
        raise ValueError("there are no metrics to plot: give the learner metrics, and train for at least one epoch")
    return names


def check_skips(skip_start: int, skip_end: int) -> None:
    if skip_start < 0 or skip_end < 0:
        raise ValueError(f"skip_start {skip_start}, skip_end {skip_end}: give how much to leave out, 0 or more")


def figure_class() -> type[Figure]:
    """Raises ImportError that says what to install."""
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError(_MISSING) from error
    return Figure


def _new_figure(n_axes: int) -> tuple[Figure, list[Axes]]:
    figure = figure_class()(figsize=(6.4 * n_axes, 4.2), layout="constrained")
    axes = figure.subplots(1, n_axes, squeeze=False)[0].tolist()
    for axis in axes:
        axis.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _say(axis: Axes, why: str) -> None:
    axis.text(0.5, 0.5, why, ha="center", va="center", wrap=True, transform=axis.transAxes)
