"""What a data set holds, for a person who looks at it: classes, pictures, and what is wrong with them.

Run as a process of its own (`python -m learnfleet.server.data.summary FOLDER MANIFEST`), which prints the summary as
JSON: decoders of pictures that strangers made have no place in the control server.
"""

from __future__ import annotations

import io
import json
import os
import sys
import warnings
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from statistics import median_low

from PIL import Image

from learnfleet.server.data.manifest import Manifest
from learnfleet.trainer.data_spec import DataSpec
from learnfleet.trainer.files import RefusedFile, read_file
from learnfleet.trainer.folder import FolderScan
from learnfleet.trainer.images import FORMATS, MAX_BYTES, BadImage, decode_pixels
from learnfleet.trainer.listing import Found, Refused

MOST_TOLD = 100  # broken pictures, and groups of duplicates, that are named; the counts are of all
_PARTS = {"train": ("train", "training"), "valid": ("valid", "val", "validation"), "test": ("test", "testing")}
_DECODING_THREADS = 2
_AT_A_TIME = 200
_MIN_SIDE = 224  # large JPEGs are looked at as training would: at a reduced scale, but to their end


@dataclass(frozen=True)
class Spread:
    """Of the pictures' widths or heights, in pixels."""

    least: int
    median: int
    most: int


@dataclass(frozen=True)
class Part:
    """A folder of class folders: that which trains, validates or tests; of a set without such folders, all of it."""

    name: str  # train, valid, test; empty: all
    folder: str  # relative; empty: the data set's own
    counts: dict[str, int]  # pictures of each class, by its name


@dataclass(frozen=True)
class BrokenFile:
    """A picture that training would skip, or fail on."""

    path: str
    reason: str


@dataclass(frozen=True)
class Summary:
    """What `summarise` finds."""

    pictures: int  # files with the ending of a picture, broken ones included
    other_files: int
    size_bytes: int
    parts: tuple[Part, ...]
    classes: tuple[str, ...]  # of the part that trains
    widths: Spread | None  # None: no picture can be read
    heights: Spread | None
    formats: dict[str, int]
    modes: dict[str, int]
    broken: tuple[BrokenFile, ...]
    broken_count: int
    duplicates: tuple[tuple[str, ...], ...]  # pictures with the same bytes
    duplicate_count: int  # pictures that are a repeat of another one


@dataclass(frozen=True)
class _Look:
    """At one picture."""

    path: str
    size: tuple[int, int] | None = None  # width, height; None: unreadable
    format: str = ""
    mode: str = ""
    broken: str = ""


def summarise(folder: Path, manifest: Manifest) -> Summary:
    """Decode every picture below the folder, a few at a time. Blocks. Raises OSError of the machine."""
    root = folder.resolve(strict=True)
    scan = FolderScan(root)
    found = scan.pictures(root)
    refused = scan.listing(DataSpec(str(root), classes=()), (), (), ()).refused
    widths, heights, formats, modes = Counter[int](), Counter[int](), Counter[str](), Counter[str]()
    broken = [_refusal(root, item) for item in refused]
    broken_count = len(broken)
    for look in _looks(root, found):
        if look.size is not None:
            widths[look.size[0]] += 1
            heights[look.size[1]] += 1
            formats[look.format] += 1
            modes[look.mode] += 1
        if look.broken:
            broken_count += 1
            broken += [BrokenFile(look.path, look.broken)] * (len(broken) < MOST_TOLD)
    parts = tuple(_parts(root))
    names = {os.fspath(item.path.relative_to(root)) for item in found}
    duplicates = _duplicates(manifest, names)
    return Summary(
        pictures=len(found) + len(refused),
        other_files=sum(entry.path not in names for entry in manifest.files),
        size_bytes=manifest.size_bytes,
        parts=parts,
        classes=tuple(sorted(parts[0].counts)) if parts else (),
        widths=_spread(widths),
        heights=_spread(heights),
        formats=dict(formats.most_common()),
        modes=dict(modes.most_common()),
        broken=tuple(broken[:MOST_TOLD]),
        broken_count=broken_count,
        duplicates=tuple(duplicates[:MOST_TOLD]),
        duplicate_count=sum(len(group) - 1 for group in duplicates),
    )


def _refusal(root: Path, item: Refused) -> BrokenFile:
    return BrokenFile(os.fspath(item.path.relative_to(root)), item.reason.replace(os.fspath(root), "the folder"))


# -- classes


def _parts(root: Path) -> Iterator[Part]:
    folders = {name: _folder_of(root, names) for name, names in _PARTS.items()}
    if folders["train"] is None or folders["valid"] is None:
        yield from _part("", root, root)
        return
    for name, folder in folders.items():
        if folder is not None:
            yield from _part(name, root, folder)


def _folder_of(root: Path, names: Sequence[str]) -> Path | None:
    return next((root / name for name in names if (root / name).is_dir() and not (root / name).is_symlink()), None)


def _part(name: str, root: Path, folder: Path) -> Iterator[Part]:
    scan = FolderScan(root)
    found = scan.labelled(folder)
    empty = scan.listing(DataSpec(os.fspath(root), classes=()), (), (), ()).no_pictures
    counts = Counter({item.path.name: 0 for item in empty if item.path.parent == folder})
    counts.update(item.labels[0] for item in found)
    if counts:
        inner = os.fspath(folder.relative_to(root))
        yield Part(name, "" if inner == "." else inner, dict(sorted(counts.items())))


# -- pictures


def _looks(root: Path, found: Sequence[Found]) -> Iterator[_Look]:
    """A few at a time, so that neither pictures nor looks at them pile up."""
    with ThreadPoolExecutor(_DECODING_THREADS) as pool:
        for some in _batches(found, _AT_A_TIME):
            yield from pool.map(lambda item: _look(root, item.path), some)


def _batches(items: Iterable[Found], size: int) -> Iterator[list[Found]]:
    left = iter(items)
    while some := list(islice(left, size)):
        yield some


def _look(root: Path, path: Path) -> _Look:
    name = os.fspath(path.relative_to(root))
    try:
        content = read_file(path, MAX_BYTES, root)
    except RefusedFile as error:
        return _Look(name, broken=str(error))
    header = _header(name, content)
    try:
        decode_pixels(content, min_side=_MIN_SIDE)
    except BadImage as error:
        return _Look(name, header.size, header.format, header.mode, error.reason)
    return header


def _header(name: str, content: bytes) -> _Look:
    """Whatever Pillow raises, `decode_pixels` has words for it."""
    try:
        with Image.open(io.BytesIO(content), formats=FORMATS) as image:
            return _Look(name, image.size, image.format or "", image.mode)
    except Exception:
        return _Look(name)


def _spread(counts: Counter[int]) -> Spread | None:
    if not counts:
        return None
    return Spread(min(counts), median_low(counts.elements()), max(counts))


def _duplicates(manifest: Manifest, pictures: set[str]) -> list[tuple[str, ...]]:
    """Largest groups first. Empty files are all alike, and broken in any case."""
    by_content: dict[str, list[str]] = defaultdict(list)
    for entry in manifest.files:
        if entry.path in pictures and entry.size_bytes:
            by_content[entry.sha256].append(entry.path)
    groups = [tuple(group) for group in by_content.values() if len(group) > 1]
    return sorted(groups, key=lambda group: (-len(group), group))


def main() -> None:
    """Print the summary of a folder."""
    warnings.simplefilter("ignore")  # of Pillow, about files that are named as broken, or are not
    os.nice(10)  # jobs come first
    folder, manifest = sys.argv[1:]
    json.dump(asdict(summarise(Path(folder), Manifest.load(Path(manifest)))), sys.stdout)


if __name__ == "__main__":
    main()
