"""Contestants timed side by side: repetitions alternate, so that a slow moment of the machine hits all of them."""

from __future__ import annotations

import json
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True)
class Row:
    """One contestant in one case."""

    case: str
    name: str
    unit: str  # "pictures/s", "ms a step", ...
    median: float
    low: float
    high: float
    ratio: float | None  # learnfleet's to this one's; below 1 for times, above 1 for rates means: learnfleet is ahead

    @property
    def text(self) -> str:
        ratio = "" if self.ratio is None else f"{self.ratio:.2f}"
        numbers = "".join(f"{value:>12.4g}" for value in (self.median, self.low, self.high))
        return f"{self.case:<44}{self.name:<26}{numbers}{ratio:>8}  {self.unit}"


def interleaved(runs: Mapping[str, Callable[[], float]], rounds: int, warm_up: int = 1) -> dict[str, list[float]]:
    """What each run gives in each round, the warm-up left out. Every other round goes backwards."""
    found: dict[str, list[float]] = {name: [] for name in runs}
    for number in range(-warm_up, rounds):
        for name in list(runs)[:: -1 if number % 2 else 1]:
            value = runs[name]()
            if number >= 0:
                found[name].append(value)
    return found


def rows_of(case: str, unit: str, found: Mapping[str, Sequence[float]], own: str) -> list[Row]:
    """A row for each contestant. The ratio is the median of those of the rounds, contestant `own` over this one."""
    return [
        Row(case, name, unit, statistics.median(values), min(values), max(values), median_ratio(found[own], values))
        for name, values in found.items()
    ]


def row_of(case: str, name: str, unit: str, values: Sequence[float], ratio: float | None = None) -> Row:
    """A row of what was counted, or measured with no contestant."""
    return Row(case, name, unit, statistics.median(values), min(values), max(values), ratio)


def median_ratio(own: Sequence[float], other: Sequence[float]) -> float:
    return statistics.median(a / b for a, b in zip(own, other, strict=True))


def report(title: str, rows: Sequence[Row], json_file: Path | None) -> None:
    """Print a table, and add it to `json_file` for the page that shows all of them."""
    print(f"\n{title}")
    print(f"{'case':<44}{'contestant':<26}{'median':>12}{'least':>12}{'most':>12}{'ratio':>8}")
    for row in rows:
        print(row.text)
    if json_file is not None:
        with json_file.open("a") as file:
            file.write(json.dumps({"title": title, "rows": [asdict(row) for row in rows]}) + "\n")
