"""The folders that clients may name paths beneath."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from learnfleet.server.errors import FieldViolation, InvalidArgument

_MAX_CHARACTERS = 4096


class DataRoots:
    """Resolves what clients call a path. Nothing outside the declared roots is ever looked at."""

    def __init__(self, roots: Sequence[Path]) -> None:
        self._roots = tuple(Path(root).resolve() for root in roots)

    def resolve(self, path: str, field: str) -> Path:
        """The real path of an existing file or folder beneath a root; relative ones are tried below each root.

        Symbolic links are followed first: one that leads out of the roots is refused. The answer for a path outside
        does not tell whether it exists. Raises InvalidArgument naming `field`.
        """
        if not path:
            raise _refuse(field, f"is empty; must be a path beneath one of the data roots: {self._shown()}")
        if "\0" in path or len(path) > _MAX_CHARACTERS:
            raise _refuse(field, f"'{path[:80]}' can be no path: it holds a zero byte or is too long")
        candidates = [Path(path)] if Path(path).is_absolute() else [root / path for root in self._roots]
        inside = [real for candidate in candidates if self._holds(real := _real(candidate))]
        if not inside:
            raise _refuse(
                field, f"'{path}' is not beneath a data root of the server; the data roots are {self._shown()}"
            )
        for real in inside:
            if os.path.exists(real):  # noqa: PTH110  # Path.exists raises where a part is too long or forbidden
                return real
        raise _refuse(field, f"'{path}' does not exist beneath the data roots {self._shown()}")

    def _holds(self, real: Path) -> bool:
        return any(real == root or root in real.parents for root in self._roots)

    def _shown(self) -> str:
        return ", ".join(str(root) for root in self._roots) or "(none: start the server with --data-root)"


def _real(path: Path) -> Path:
    try:
        return path.resolve()
    except (OSError, RuntimeError):  # a loop of links
        return Path("/")


def _refuse(field: str, description: str) -> InvalidArgument:
    return InvalidArgument([FieldViolation(field, description)])
