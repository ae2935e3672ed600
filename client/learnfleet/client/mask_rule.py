"""What a function does to a path, found by asking it; and patterns for names as patterns for paths."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

_STEMS = ("probe-a", "probe-b")


@dataclass(frozen=True)
class MaskRule:
    """Where the mask of a picture is: its name in another folder, with a suffix and an extension."""

    root: str  # of both folders
    pictures: str
    masks: str
    suffix: str
    extension: str  # "": the picture's own


def rule_of(func: Callable[[Path], Any], pictures: Path) -> MaskRule:
    """The rule of a function that gives a picture's mask. Raises ValueError for one that has another kind of rule."""
    asked = [pictures / f"{stem}{ending}" for stem in _STEMS for ending in (".jpg", ".png")]
    given = [PurePosixPath(Path(func(path)).as_posix()) for path in asked]
    folders = {path.parent for path in given}
    suffixes = {mask.stem.removeprefix(path.stem) for path, mask in zip(asked, given, strict=True)}
    keeps = all(mask.stem.startswith(path.stem) for path, mask in zip(asked, given, strict=True))
    endings = [path.suffix for path in given]
    keeps_ending = endings == [path.suffix for path in asked]
    if len(folders) != 1 or len(suffixes) != 1 or not keeps or not (keeps_ending or len(set(endings)) == 1):
        raise ValueError(
            f"the mask of {asked[0]} is {given[0]}, and that of {asked[3]} is {given[3]}: over the service a mask has"
            " the name of its picture, with the same ending added to all, in one folder. For other rules give the"
            " names: SegmentationItemList(names, path)"
        )
    masks = folders.pop()
    root = (
        os.path.commonpath([pictures.as_posix(), str(masks)]) if pictures.is_absolute() == masks.is_absolute() else ""
    )
    if root in ("", "/"):
        raise ValueError(f"the pictures are in {pictures} and the masks in {masks}: they must be below one folder")
    return MaskRule(
        root,
        _below(PurePosixPath(pictures.as_posix()), root),
        _below(masks, root),
        suffixes.pop(),
        "" if keeps_ending else endings[0],
    )


def _below(path: PurePosixPath, root: str) -> str:
    return str(path.relative_to(root))


def pattern_in_name(pattern: str) -> str:
    """A pattern that is searched in a path and finds what `pattern` finds in the file's name."""
    if pattern.startswith("^"):
        return rf"(?:^|(?<=/))(?=[^/]*$)(?:{pattern[1:]})"
    return rf"(?=[^/]*$)(?:{pattern})"
