"""fastai's epoch table as text: the columns and how their values read."""

from __future__ import annotations

from learnfleet.client.events import EpochFinished


def columns_of(row: EpochFinished) -> list[str]:
    """Column names, in order. `valid_loss` and metrics only where there was something to validate."""
    validation = ["valid_loss", *row.metrics] if row.valid_loss is not None else []
    return ["epoch", "train_loss", *validation, "time"]


def values_of(row: EpochFinished) -> list[str]:
    """A row's values, six decimals as in fastai."""
    numbers = [row.train_loss]
    if row.valid_loss is not None:
        numbers += [row.valid_loss, *row.metrics.values()]
    return [str(row.epoch), *(f"{number:.6f}" for number in numbers), minutes(row.duration_s)]


def minutes(seconds: float) -> str:
    """mm:ss, or h:mm:ss from an hour on."""
    whole = round(seconds)
    hours, rest = divmod(whole, 3600)
    text = f"{rest // 60:02d}:{rest % 60:02d}"
    return f"{hours}:{text}" if hours else text


def line(cells: list[str]) -> str:
    """Cells under each other in plain text."""
    return "  ".join(cell.rjust(10) for cell in cells)
