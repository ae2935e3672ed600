"""Data bunches as JSON files: which pictures, with which targets, and how they become batches. No pickle."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from learnfleet.trainer.data_spec import DataSpec, LabelKind, ListedItem
from learnfleet.trainer.errors import LearnerError
from learnfleet.trainer.listing import Boxes, FolderListing, Item
from learnfleet.trainer.manifest import replace_synced
from learnfleet.trainer.sources import place_beneath

if TYPE_CHECKING:
    from learnfleet.trainer.pixels import Stats

FORMAT_VERSION = 1


def listed(root: Path, item: Item, part: Literal["train", "valid", "test"], listing: FolderListing) -> ListedItem:
    """An item by its place below the data's folder and its labels' names."""
    file, label = place_beneath(root, item.path), item.label
    if label is None:
        return ListedItem(file, part=part)
    if isinstance(label, int):
        return ListedItem(file, (listing.classes[label],), part=part)
    if isinstance(label, Boxes):
        return ListedItem(file, tuple(listing.classes[index] for index in label.classes), label.corners, part=part)
    if isinstance(label, Path):
        return ListedItem(file, mask=place_beneath(root, label), part=part)
    if listing.kind in (LabelKind.FLOAT, LabelKind.POINTS):
        return ListedItem(file, values=tuple(float(value) for value in label), part=part)
    return ListedItem(file, tuple(listing.classes[int(index)] for index in label), part=part)


def save(spec: DataSpec, stats: Stats | None, file: Path) -> Path:
    """Write a specification and the normalisation. Where the pictures are is written as seen from the file."""
    root = os.path.relpath(spec.path, file.parent)
    content = {"format_version": FORMAT_VERSION, "root": root, "data": spec.to_json(), "stats": stats}
    replace_synced(file, json.dumps(content, indent=1).encode())
    return file


def load(file: Path) -> tuple[DataSpec, Stats | None]:
    """Read what `save` wrote. Raises LearnerError."""
    try:
        value = json.loads(file.read_bytes())
        if value["format_version"] != FORMAT_VERSION:
            raise LearnerError("file", f"{file} is of format {value['format_version']}, not {FORMAT_VERSION}")
        root = (file.parent / value["root"]).resolve()
        spec, stats = DataSpec.from_json({**value["data"], "path": str(root)}), value["stats"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise LearnerError("file", f"{file} is no saved data bunch: {error}") from None
    return spec, None if stats is None else (tuple(stats[0]), tuple(stats[1]))
