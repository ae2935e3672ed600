"""Small picture files by name, tables that label them, and what a data bunch makes of both."""

from __future__ import annotations

from pathlib import Path

from support.pictures import picture

from learnfleet.trainer.data import ImageDataBunch

SMALL: dict[str, object] = {"size": 16, "bs": 2, "no_check": True}


def files(folder: Path, names: list[str]) -> list[str]:
    """Pictures of these names."""
    for number, name in enumerate(names):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        picture(number).save(path)
    return names


def labels_of(data: ImageDataBunch) -> dict[str, str]:
    """The label of every picture that trains or validates, by its name."""
    parts = (data.train_ds, data.valid_ds)
    return {part.path(i).name: part.label(i) for part in parts for i in range(len(part))}


def a_table(folder: Path, text: str, name: str = "labels.csv") -> Path:
    (folder / name).write_text(text)
    return folder
