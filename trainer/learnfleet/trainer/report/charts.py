"""The page's charts as inline SVG. Colours are the style sheet's, so that they follow light and dark."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

from learnfleet.trainer.report.format import count, percent
from learnfleet.trainer.report.parts import Bin

COLORS = 8  # of series in the style sheet
_SIDE, _LEFT, _TOP, _RIGHT, _BOTTOM = 300, 46, 12, 12, 44
_TICKS = (0.0, 0.25, 0.5, 0.75, 1.0)
_COUNTS_HEIGHT = 64
_MOST_POINTS = 400  # of a curve: more cannot be seen


@dataclass(frozen=True)
class Series:
    """A line from the left to the right."""

    name: str
    x: Sequence[float]
    y: Sequence[float]
    color: int
    steps: bool = False  # precision holds until the next recall


def _x(share: float) -> float:
    return round(_LEFT + share * _SIDE, 2)


def _y(share: float) -> float:
    return round(_TOP + (1 - share) * _SIDE, 2)


def _svg(body: Iterable[Markup], label: str, height: int) -> Markup:
    head = Markup('<svg class="chart" viewBox="0 0 {} {}" role="img" aria-label="{}">')
    return head.format(_LEFT + _SIDE + _RIGHT, height, label) + Markup("").join(body) + Markup("</svg>")


def _frame(x_label: str, y_label: str) -> list[Markup]:
    """Grid, ticks and the names of both axes."""
    lines = []
    for tick in _TICKS:
        across = Markup('<line class="grid" x1="{}" x2="{}" y1="{}" y2="{}"/>')
        lines.append(across.format(_x(0), _x(1), _y(tick), _y(tick)))
        lines.append(across.format(_x(tick), _x(tick), _y(0), _y(1)))
        lines.append(
            Markup('<text class="tick" x="{}" y="{}" text-anchor="end">{}</text>').format(
                _x(0) - 7, _y(tick) + 3.5, f"{tick:g}"
            )
        )
        lines.append(
            Markup('<text class="tick" x="{}" y="{}" text-anchor="middle">{}</text>').format(
                _x(tick), _y(0) + 16, f"{tick:g}"
            )
        )
    lines.append(
        Markup('<text class="axis" x="{}" y="{}" text-anchor="middle">{}</text>').format(_x(0.5), _y(0) + 36, x_label)
    )
    lines.append(
        Markup('<text class="axis" transform="translate(12 {}) rotate(-90)" text-anchor="middle">{}</text>').format(
            _y(0.5), y_label
        )
    )
    return lines


def _diagonal(rising: bool) -> Markup:
    ends = (_y(0), _y(1)) if rising else (_y(1), _y(0))
    return Markup('<line class="chance" x1="{}" x2="{}" y1="{}" y2="{}"/>').format(_x(0), _x(1), *ends)


def curves_chart(series: Sequence[Series], x_label: str, y_label: str, label: str, *, chance: bool) -> Markup:
    """Lines in the unit square. `chance`: with the line that guessing gives."""
    body = _frame(x_label, y_label)
    if chance:
        body.append(_diagonal(rising=True))
    for line in series:
        path = Markup('<path class="curve c{}" data-curve="{}" d="{}"><title>{}</title></path>')
        body.append(path.format(line.color % COLORS, line.name, _path(line), line.name))
    return _svg(body, label, _TOP + _SIDE + _BOTTOM)


def _path(line: Series) -> str:
    points = _thinned(list(zip(line.x, line.y, strict=True)))
    parts = [f"M{_x(points[0][0])} {_y(points[0][1])}"] if points else []
    for x, y in points[1:]:
        parts.append(f"H{_x(x)}V{_y(y)}" if line.steps else f"L{_x(x)} {_y(y)}")
    return "".join(parts)


def _thinned(points: list[tuple[float, float]]) -> list[tuple[float, float]]:
    if len(points) <= _MOST_POINTS:
        return points
    step = (len(points) - 1) / (_MOST_POINTS - 1)
    return [points[round(place * step)] for place in range(_MOST_POINTS)]


def reliability_chart(bins: Sequence[Bin]) -> Markup:
    """Accuracy by confidence beside the diagonal, and how many predictions there are in each bin."""
    body = _frame("confidence", "accuracy")
    body.append(_diagonal(rising=True))
    most = max((one.count for one in bins), default=0) or 1
    base = _y(0) + 52 + _COUNTS_HEIGHT
    for one in bins:
        left, width = _x(one.lower) + 1, max(1.0, (one.upper - one.lower) * _SIDE - 2)
        height = round(_COUNTS_HEIGHT * one.count / most, 2)
        told = f"{one.lower:.2f} to {one.upper:.2f}: {count(one.count)} predictions"
        if one.accuracy is not None and one.confidence is not None:
            told += f", {percent(one.accuracy)} right, {percent(one.confidence)} sure"
            body += _bar(one.accuracy, one.confidence, left, width, told)
        bar = Markup('<rect class="counts" x="{}" y="{}" width="{}" height="{}"><title>{}</title></rect>')
        body.append(bar.format(round(left, 2), round(base - height, 2), round(width, 2), height, told))
    body.append(Markup('<line class="base" x1="{}" x2="{}" y1="{}" y2="{}"/>').format(_x(0), _x(1), base, base))
    body.append(
        Markup('<text class="tick" x="{}" y="{}" text-anchor="end">{}</text>').format(
            _x(0) - 7, base - _COUNTS_HEIGHT + 8, count(most)
        )
    )
    return _svg(
        body, "Reliability diagram: accuracy by confidence; the table beside it has the numbers", int(base) + 10
    )


def _bar(accuracy: float, confidence: float, left: float, width: float, told: str) -> list[Markup]:
    """What is right, and the gap to what the model thought of itself."""
    rect = Markup('<rect class="{}" x="{}" y="{}" width="{}" height="{}"><title>{}</title></rect>')
    top, gap_top, gap = _y(accuracy), min(_y(accuracy), _y(confidence)), abs(_y(accuracy) - _y(confidence))
    kind = "gap over" if confidence > accuracy else "gap under"
    return [
        rect.format("reached", round(left, 2), top, round(width, 2), round(_y(0) - top, 2), escape(told)),
        rect.format(kind, round(left, 2), round(gap_top, 2), round(width, 2), round(gap, 2), escape(told)),
    ]
