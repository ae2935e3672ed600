"""A confusion matrix that is drawn here, by matplotlib, where its look is not the server's."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass

from learnfleet.client.figures import Figsize, Picture
from learnfleet.client.plots import figure_class

_TEXT_UP_TO = 30  # classes: the counts of more cannot be read
_LETTERS = 24  # of a name
_DPI = 110.0
_NO_COUNT = float("nan")


@dataclass(frozen=True)
class Look:
    """How it is drawn, see `Interpretation.plot_confusion_matrix`."""

    normalize: bool
    title: str
    cmap: str
    norm_dec: int
    plot_txt: bool
    figsize: Figsize
    dpi: float | None


def confusion_picture(name: str, counts: Sequence[Sequence[int]], classes: Sequence[str], look: Look) -> Picture:
    """Actual classes down, predicted ones across.

    Raises ValueError where there is no matrix of single classes, ImportError without matplotlib.
    """
    if not counts:
        raise ValueError("title, cmap, norm_dec, plot_txt, dpi: only of a matrix of single classes; leave them out")
    values = [_shares(row) if look.normalize else [float(count) for count in row] for row in counts]
    greatest = 1.0 if look.normalize else max(max(map(max, values)), 1.0)
    side = min(max(3.6 + 0.42 * len(classes), 4.6), 22.0)
    figure = figure_class()(figsize=look.figsize or (side + 0.8, side), dpi=look.dpi or _DPI, layout="constrained")
    axes = figure.subplots()
    image = axes.imshow(values, cmap=look.cmap, vmin=0.0, vmax=greatest)
    figure.colorbar(image, ax=axes, shrink=0.75, label="share of the actual class" if look.normalize else "pictures")
    axes.set_title(look.title, pad=12)
    axes.set(xlabel="Predicted", ylabel="Actual")
    names = [name if len(name) <= _LETTERS else f"{name[: _LETTERS - 1]}…" for name in classes]
    size = 10 if len(names) <= _TEXT_UP_TO else 7
    axes.set_xticks(range(len(names)), names, rotation=90, fontsize=size)
    axes.set_yticks(range(len(names)), names, fontsize=size)
    axes.spines[:].set_visible(False)
    if look.plot_txt and len(classes) <= _TEXT_UP_TO:
        decimals = look.norm_dec if look.normalize else 0
        for row, cells in enumerate(values):
            for column, value in enumerate(cells):
                if value == value:
                    colour = "white" if value > greatest / 2 else "black"
                    axes.text(column, row, f"{value:.{decimals}f}", ha="center", va="center", color=colour)
    content = io.BytesIO()
    figure.savefig(content, format="png")
    return Picture(name, "image/png", content.getvalue(), look.figsize)


def _shares(row: Sequence[int]) -> list[float]:
    """Of an actual class; not a number where it does not occur."""
    total = sum(row)
    return [count / total if total else _NO_COUNT for count in row]
