"""Figures of several labels an item: one small confusion matrix for each label."""

from __future__ import annotations

import math
from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from learnfleet.trainer.confusion import Counts, row_shares
from learnfleet.trainer.plots import shorten

_AT_MOST = 36  # more could not be read


def labels_figure(
    counts: Counts,
    classes: Sequence[str],
    *,
    normalize: bool = False,
    title: str = "Confusion matrix",
    cmap: str = "Blues",
    decimals: int = 2,
    with_text: bool = True,
    figsize: tuple[float, float] | None = None,
    dpi: float | None = None,
) -> Figure:
    """Of each label [2, 2]: actual no and yes down, predicted no and yes across.

    Of more than 36 labels those with the most errors.
    """
    wrong = counts[:, 0, 1] + counts[:, 1, 0]
    shown = sorted(sorted(range(len(counts)), key=lambda label: -wrong[label])[:_AT_MOST])
    columns = max(math.ceil(math.sqrt(len(shown))), 1)
    rows = max(math.ceil(len(shown) / columns), 1)
    layout = ConstrainedLayoutEngine(h_pad=0.1)  # titles keep off the row above
    figure = Figure(figsize=figsize or (2.2 * columns + 0.6, 2.4 * rows + 0.7), layout=layout, dpi=dpi or 110)
    grid = figure.subplots(rows, columns, squeeze=False).flatten().tolist()
    for axes in grid[len(shown) :]:
        axes.set_axis_off()
    for axes, label in zip(grid, shown, strict=False):
        _show(axes, counts[label], normalize, cmap, decimals if with_text else None)
        axes.set_title(shorten(str(classes[label])), fontsize=10)
    more = f" ({len(shown)} of {len(counts)} labels)" if len(shown) < len(counts) else ""
    figure.suptitle(title + more, fontsize=12)
    figure.supxlabel("Predicted", fontsize=10)
    figure.supylabel("Actual", fontsize=10)
    return figure


def _show(axes: Axes, counts: Counts, normalize: bool, cmap: str, decimals: int | None) -> None:
    shares = row_shares(counts)
    axes.imshow(shares, cmap=cmap, vmin=0.0, vmax=1.0)  # colours by rows: the empty corner would outshine the rest
    axes.set_xticks([0, 1], ["no", "yes"], fontsize=9)
    axes.set_yticks([0, 1], ["no", "yes"], fontsize=9)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    if decimals is None:
        return
    for row in (0, 1):
        for column in (0, 1):
            share, count = float(shares[row, column]), int(counts[row, column])
            text = f"{share:.{decimals}f}" if normalize else str(count)
            color = "white" if share > 0.5 else "#1a2733"
            axes.text(column, row, "" if math.isnan(share) else text, ha="center", va="center", color=color)
