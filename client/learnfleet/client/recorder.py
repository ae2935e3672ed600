"""What a fit has recorded."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import TYPE_CHECKING

from learnfleet.client import cards, plots
from learnfleet.client.events import BatchFinished, EpochFinished, Event, LrFound
from learnfleet.client.lr_rules import of_shown
from learnfleet.client.results import LrFinding
from learnfleet.client.table import columns_of, values_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass
class Recorder:
    """The epoch table of a job, and its losses and learning rates as far as they were reported (a few a second).

    The plots need matplotlib (`learnfleet[plots]`), and raise ImportError without it. `return_fig=False` gives nothing
    back, so that a notebook shows nothing.
    """

    rows: list[EpochFinished] = field(default_factory=list)
    losses: list[float] = field(default_factory=list)  # smoothed, at the steps of `steps`
    lrs: list[float] = field(default_factory=list)
    moms: list[float] = field(default_factory=list)
    steps: list[int] = field(default_factory=list)  # in the learner's life
    search: LrFinding | None = None  # of the last `lr_find`
    min_grad_lr: float | None = None  # the rate that `plot(suggestion=True)` has marked

    @classmethod
    def of_search(cls, finding: LrFinding) -> Recorder:
        """Of a search for a learning rate: its rates and losses, which `plot` draws."""
        count = len(finding.lrs)
        return cls(
            losses=list(finding.losses), lrs=list(finding.lrs), moms=[], steps=[*range(1, count + 1)], search=finding
        )

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
        elif isinstance(payload, LrFound):
            self.search = payload.finding

    @property
    def names(self) -> list[str]:
        """The table's columns."""
        return ["epoch", "train_loss", "valid_loss", *self.metric_names, "time"]

    @property
    def metric_names(self) -> list[str]:
        return list(dict.fromkeys(name for row in self.rows for name in row.metrics))

    @property
    def val_losses(self) -> list[float]:
        """Of the epochs that were validated."""
        return [row.valid_loss for row in self.rows if row.valid_loss is not None]

    @property
    def metrics(self) -> list[list[float]]:
        """Of the epochs that were validated, in the order of `metric_names`; NaN for none."""
        validated = [row for row in self.rows if row.valid_loss is not None]
        return [[row.metrics.get(name, math.nan) for name in self.metric_names] for row in validated]

    def _repr_html_(self) -> str:
        tables = [list(rows) for _, rows in groupby(self.rows, key=columns_of)]
        return "".join(cards.table(columns_of(rows[0]), map(values_of, rows)) for rows in tables) or repr(self)

    def plot(
        self,
        skip_start: int = 10,
        skip_end: int = 5,
        suggestion: bool | str | Sequence[str] = False,
        return_fig: bool | None = None,
        show_grid: bool = False,
    ) -> Figure | None:
        """Loss against learning rate, after `lr_find`.

        Args:
            skip_start, skip_end: points to leave out at the ends.
            suggestion: True marks where the loss falls fastest (then in `min_grad_lr`) and a tenth of the rate of the
                least loss, both of the points that are shown; or names of rules: valley, slide, steep, minimum,
                min_gradient.

        Raises ValueError before `lr_find`, and for a rule that made no suggestion.
        """
        if self.search is None:
            raise ValueError("there is no search to plot: call lr_find first")
        rules = ("min_gradient", "minimum") if suggestion is True else () if suggestion is False else suggestion
        rules = (rules,) if isinstance(rules, str) else rules
        plots.check_skips(skip_start, skip_end)
        stop = max(len(self.search.lrs) - skip_end, skip_start)
        shown = of_shown(self.search.lrs[skip_start:stop], self.search.losses[skip_start:stop])
        search = replace(self.search, suggestions={**self.search.suggestions, **shown})
        figure = plots.search_figure(search, skip_start, skip_end, rules, show_grid)
        if "min_gradient" in rules:
            self.min_grad_lr = search.suggestions["min_gradient"]
        return _asked_for(figure, return_fig)

    def plot_losses(
        self, skip_start: int = 0, skip_end: int = 0, return_fig: bool | None = None, show_grid: bool = False
    ) -> Figure | None:
        """Training and validation loss against optimiser steps, without so many steps at the ends."""
        shown = self._shown(skip_start, skip_end)
        lines = {"Train": _points(self.steps, self.losses, shown)}
        if self.val_losses:
            lines["Validation"] = _points([row.step for row in self.rows], [row.valid_loss for row in self.rows], shown)
        figure = plots.series_figure({"Loss": lines})
        figure.axes[0].grid(show_grid)
        return _asked_for(figure, return_fig)

    def plot_lr(
        self, show_moms: bool = False, skip_start: int = 0, skip_end: int = 0, return_fig: bool | None = None
    ) -> Figure | None:
        """Learning rate, and momentum if asked for, against optimiser steps, without so many steps at the ends."""
        shown = self._shown(skip_start, skip_end)
        panels = {"Learning rate": {"": _points(self.steps, self.lrs, shown)}}
        if show_moms:
            panels["Momentum"] = {"": _points(self.steps, self.moms, shown)}
        return _asked_for(plots.series_figure(panels), return_fig)

    def plot_metrics(self, skip_start: int = 0, skip_end: int = 0, return_fig: bool | None = None) -> Figure | None:
        """Each metric against optimiser steps, without the epochs that end in so many steps at the ends.

        Raises ValueError when there are no metrics.
        """
        shown, ends = self._shown(skip_start, skip_end), [row.step for row in self.rows]
        panels = {
            name: {"": _points(ends, [row.metrics.get(name) for row in self.rows], shown)}
            for name in plots.metric_names(self.rows)
        }
        return _asked_for(plots.series_figure(panels), return_fig)

    def _shown(self, skip_start: int, skip_end: int) -> range:
        plots.check_skips(skip_start, skip_end)
        steps = [*self.steps, *(row.step for row in self.rows)]
        return range(min(steps) + skip_start, max(steps) - skip_end + 1) if steps else range(0)


def _points(
    steps: Sequence[int], values: Sequence[float | None], shown: range
) -> tuple[Sequence[float], Sequence[float]]:
    """The shown of them that have a value."""
    kept = [(step, value) for step, value in zip(steps, values, strict=True) if value is not None and step in shown]
    return [step for step, _ in kept], [value for _, value in kept]


def _asked_for(figure: Figure, return_fig: bool | None) -> Figure | None:
    return None if return_fig is False else figure
