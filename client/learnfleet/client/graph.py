"""A graph of losses as a small SVG, made here so that a notebook needs no library for it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TypeAlias

Points: TypeAlias = "Sequence[tuple[float, float]]"

_WIDTH, _HEIGHT = 420, 180
_LEFT, _RIGHT, _TOP, _BOTTOM = 46, 10, 12, 24
_MOST_POINTS = 300
_LOG_FROM = 100.0  # times as high as the median: a loss that would press all others onto the axis
_TRAIN, _VALID = "#1f77b4", "#ff7f0e"


def loss_graph(train: Points, valid: Points, last_step: float) -> str:
    """Losses by optimiser steps, with room up to `last_step`. "" where there is nothing to draw."""
    train, valid = _finite(thinned(train)), _finite(valid)
    if len(train) + len(valid) < 2:
        return ""
    steps = [step for step, _ in (*train, *valid)]
    scale = _Scale(min(steps), max([last_step, *steps]), [loss for _, loss in (*train, *valid)])
    dots = "".join(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.5" fill="{_VALID}"/>' for x, y in map(scale.place, valid))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{_HEIGHT}" role="img"'
        ' font-family="sans-serif" font-size="10" fill="currentColor">'
        f"{scale.axes()}{_line(train, scale, _TRAIN)}{_line(valid, scale, _VALID)}{dots}{_legend(bool(valid))}</svg>"
    )


def thinned(points: Points) -> Points:
    """At most a few hundred of them, evenly, the last among them."""
    if len(points) <= _MOST_POINTS:
        return points
    every = math.ceil(len(points) / _MOST_POINTS)
    return [*points[::every], points[-1]]


class _Scale:
    """From steps and losses to places in the picture."""

    def __init__(self, first: float, last: float, losses: Sequence[float]) -> None:
        self._first, self._last = first, last if last > first else first + 1
        middle = sorted(losses)[len(losses) // 2]
        self._is_log = min(losses) > 0 and max(losses) > _LOG_FROM * middle
        low, high = (min(losses), max(losses)) if self._is_log else (min([0.0, *losses]), max(losses))
        self._low, self._high = low, high if high > low else low + 1

    def _share(self, loss: float) -> float:
        if self._is_log:
            return math.log(loss / self._low) / math.log(self._high / self._low)
        return (loss - self._low) / (self._high - self._low)

    def place(self, point: tuple[float, float]) -> tuple[float, float]:
        step, loss = point
        x = _LEFT + (step - self._first) / (self._last - self._first) * (_WIDTH - _LEFT - _RIGHT)
        return x, _HEIGHT - _BOTTOM - self._share(loss) * (_HEIGHT - _TOP - _BOTTOM)

    def axes(self) -> str:
        """Lines, the numbers at their ends, and what they mean."""
        bottom = _HEIGHT - _BOTTOM
        lines = f'<path d="M{_LEFT} {_TOP}V{bottom}H{_WIDTH - _RIGHT}" fill="none" stroke="currentColor" opacity=".5"/>'
        texts = [
            (_LEFT - 4, _TOP + 4, "end", f"{self._high:.3g}"),
            (_LEFT - 4, bottom, "end", f"{self._low:.3g}"),
            (_LEFT, _HEIGHT - 8, "middle", f"{self._first:.0f}"),
            (_WIDTH - _RIGHT, _HEIGHT - 8, "end", f"{self._last:.0f}"),
            ((_LEFT + _WIDTH - _RIGHT) / 2, _HEIGHT - 8, "middle", "optimizer steps"),
        ]
        return lines + "".join(
            f'<text x="{x}" y="{y}" text-anchor="{side}">{text}</text>' for x, y, side, text in texts
        )


def _line(points: Points, scale: _Scale, color: str) -> str:
    if len(points) < 2:
        return ""
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in map(scale.place, points))
    return f'<polyline points="{path}" fill="none" stroke="{color}" stroke-width="1.5"/>'


def _legend(with_valid: bool) -> str:
    names = [("train", _TRAIN), ("valid", _VALID)][: 1 + with_valid]
    return "".join(
        f'<text x="{_WIDTH - _RIGHT}" y="{_TOP + 4 + 12 * row}" text-anchor="end" style="fill:{color}">{name}</text>'
        for row, (name, color) in enumerate(names)
    )


def _finite(points: Points) -> Points:
    return [(step, loss) for step, loss in points if math.isfinite(loss)]
