"""Items with their pictures as the page needs them: within the page itself."""

from __future__ import annotations

import base64
import io
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from PIL import Image

from learnfleet.trainer.report.format import number
from learnfleet.trainer.report.parts import Item

Json = dict[str, Any]

_MEDIA = {".png": "image/png", ".webp": "image/webp", ".jpg": "image/jpeg", ".jpeg": "image/jpeg"}
_MOST_PIXELS, _QUALITY = 448, 84
_MOST_BYTES = 24 * 2**20  # of pictures on a page: browsers get slow, and e-mail refuses it


@dataclass
class PictureFiles:
    """Pictures of a folder as data: URIs, until the page has enough of them."""

    folder: Path
    _left: int = _MOST_BYTES
    _known: dict[str, str] = field(default_factory=dict)

    def uri(self, name: str | None) -> str:
        """Of a file that is named relative to the folder; "" where there is none, or no more room."""
        if not name:
            return ""
        if name not in self._known:
            self._known[name] = self._read(name)
        return self._known[name]

    def _read(self, name: str) -> str:
        # By its last part: names are the worker's, and nothing outside the folder belongs on the page.
        path = self.folder / Path(name).name
        media = _MEDIA.get(path.suffix.lower())
        if media is None or not path.is_file() or path.stat().st_size > self._left:
            return ""
        content, media = _small(path, media)
        self._left -= len(content)
        return f"data:{media};base64,{base64.b64encode(content).decode()}"


def _small(path: Path, media: str) -> tuple[bytes, str]:
    """A picture file as WebP, no larger than a page shows it; as it is where that is smaller."""
    content, buffer = path.read_bytes(), io.BytesIO()
    try:
        with Image.open(io.BytesIO(content), formats=["PNG", "WEBP", "JPEG"]) as picture:
            picture.thumbnail((_MOST_PIXELS, _MOST_PIXELS))
            picture.save(buffer, "WEBP", quality=_QUALITY)
    except (OSError, ValueError, Image.DecompressionBombError):
        return content, media
    made = buffer.getvalue()
    return (made, "image/webp") if len(made) < len(content) else (content, media)


def item_of(value: Json, pictures: PictureFiles, is_right: bool | None) -> Item:
    """One of the top losses."""
    return Item(
        index=value["index"],
        path=value.get("path", ""),
        actual=value["actual"],
        predicted=value["predicted"],
        is_right=is_right,
        loss=_finite(value.get("loss")),
        probability=value.get("probability"),
        picture=pictures.uri(value.get("picture")),
        heat=pictures.uri(value.get("heat_map")),
    )


def labelled(value: Json, pictures: PictureFiles, note: str = "") -> Item:
    """An item with its label alone."""
    return Item(
        index=value["index"],
        path=value.get("path", ""),
        actual=value.get("label", ""),
        predicted="",
        is_right=None,
        picture=pictures.uri(value.get("picture")),
        note=note,
    )


def suspected(value: Json, pictures: PictureFiles) -> Item:
    """An item whose label is likely wrong."""
    return Item(
        index=value["index"],
        path=value.get("path", ""),
        actual=value["given"],
        predicted=value["suggested"],
        is_right=None,
        picture=pictures.uri(value.get("picture")),
        note=f"label quality {number(value.get('score'), 2)}",
    )


def compared(value: Json, pictures: PictureFiles, is_fixed: bool) -> Item:
    """An item that two versions see differently."""
    item = value.get("item", value)
    return Item(
        index=item["index"],
        path=item.get("path", ""),
        actual=item.get("label", ""),
        predicted=value["candidate"],
        is_right=is_fixed,
        picture=pictures.uri(item.get("picture")),
        note=f"before: {value['baseline']}",
    )


def _finite(value: float | None) -> float | None:
    """Losses that are no numbers come as the greatest one."""
    return None if value is None or not math.isfinite(value) or value > 1e300 else value
