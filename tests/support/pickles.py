"""Finding pickles, whatever their files are called."""

from __future__ import annotations

import zipfile
from pathlib import Path

_SUFFIXES = {".pkl", ".pickle", ".pt", ".pth", ".pt2", ".joblib", ".bin", ".ckpt"}
_PROTOCOLS = range(2, 6)


def pickles_in(folder: Path) -> list[Path]:
    """Files that are, or hold, what `pickle.load` or `torch.load` reads; and those that are called as if."""
    return [path for path in folder.rglob("*") if path.is_file() and (path.suffix in _SUFFIXES or _is_pickle(path))]


def _is_pickle(path: Path) -> bool:
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            return any(_starts_as_pickle(archive.read(name)) for name in archive.namelist())
    return _starts_as_pickle(path.read_bytes())


def _starts_as_pickle(content: bytes) -> bool:
    """By the opcode PROTO at its start and STOP at its end; protocols 0 and 1 have no mark and nobody writes them."""
    return len(content) > 2 and content[0] == 0x80 and content[1] in _PROTOCOLS and content.endswith(b".")
