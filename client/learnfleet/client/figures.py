"""The pictures that jobs draw."""

from __future__ import annotations

import mimetypes
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeAlias

from learnfleet.v1 import job_pb2

Figsize: TypeAlias = "tuple[float, float] | None"

_POINTS_AN_INCH = 72


@dataclass(frozen=True)
class Picture:
    """A picture; notebooks show it."""

    name: str
    media_type: str
    content: bytes = field(repr=False)
    figsize: Figsize = None  # inches that a notebook shows it in

    @classmethod
    def from_proto(cls, message: job_pb2.Picture) -> Picture:
        return cls(message.name, message.media_type, message.content)

    def sized(self, figsize: Figsize) -> Picture:
        """The same, shown in this size. None: as it is."""
        return self if figsize is None else replace(self, figsize=figsize)

    def save(self, path: str | Path) -> Path:
        """Write it, and return the path."""
        Path(path).write_bytes(self.content)
        return Path(path)

    def _repr_jpeg_(self) -> bytes | None:
        return self.content if self.media_type == "image/jpeg" else None

    def _repr_png_(self) -> bytes | tuple[bytes, dict[str, int]] | None:
        if self.media_type != "image/png":
            return None
        if self.figsize is None:
            return self.content
        width, height = (round(inches * _POINTS_AN_INCH) for inches in self.figsize)
        return self.content, {"width": width, "height": height}


def open_image(path: str | Path) -> Picture:
    """A picture file that is here, to show and to predict."""
    kind = mimetypes.guess_type(str(path))[0] or "application/octet-stream"
    return Picture(Path(path).name, kind, Path(path).read_bytes())
