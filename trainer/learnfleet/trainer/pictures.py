"""Decoded and shrunk pictures, kept in memory as far as it goes, so that only the first epoch decodes."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from pathlib import Path

from torch import Tensor

from learnfleet.trainer.files import FolderReader
from learnfleet.trainer.images import BadImage, Chooser, Source
from learnfleet.trainer.resize import Resize

DEFAULT_CACHE_BYTES = 2**30
_NAMED = 10  # broken pictures that warnings name where nobody asked to be told
_log = logging.getLogger(__name__)


class PictureStore:
    """The pictures of one data set, by path. Safe to use from several threads.

    Pictures are kept until `cache_bytes` are full and never dropped: every epoch visits all of them in another order,
    so dropping the least recently used would drop just what is needed next.
    """

    def __init__(self, root: Path, resize: Resize, cache_bytes: int = DEFAULT_CACHE_BYTES) -> None:
        self.resize = resize
        self._on_bad_image: Callable[[BadImage], None] | None = None
        self._untold: list[BadImage] = []
        self._bytes_left, self._keeps = cache_bytes, cache_bytes > 0
        self._reader = FolderReader(root)
        self._kept: dict[Path, Tensor] = {}
        self._bad: dict[Path, str] = {}
        self._sound: dict[Source, int] = {}
        self._lock = threading.Lock()

    @property
    def on_bad_image(self) -> Callable[[BadImage], None] | None:
        """Is told of each broken picture once. One that is set later is told of those that were found before.

        Where nobody is told the first ten are warnings in the log.
        """
        return self._on_bad_image

    @on_bad_image.setter
    def on_bad_image(self, callback: Callable[[BadImage], None] | None) -> None:
        with self._lock:
            self._on_bad_image = callback
            untold = self._untold if callback is not None else []
            self._untold = [] if callback is not None else self._untold
        for error in untold:
            self._tell(error)

    def picture(self, path: Path) -> Tensor:
        """Uint8 [3, H, W], to be cropped and not to be changed. Raises BadImage, always for the same pictures.

        A broken picture is decoded once and told once, from the calling thread, to `on_bad_image`.
        """
        kept = self._kept.get(path)
        if kept is not None:
            return kept
        if path in self._bad:
            raise BadImage(path, self._bad[path])
        try:
            picture = self.resize.prepare(path, self._reader)
        except BadImage as error:
            self.report(error)
            raise
        self._keep(path, picture)
        return picture

    @property
    def keeps(self) -> bool:
        """Whether pictures are kept in memory at all."""
        return self._keeps

    def drawn(self, path: Path, choose: Chooser) -> Tensor:
        """A window of a picture, decoded for it alone: uint8 [3, rows, columns]. Raises BadImage as `picture` does."""
        if path in self._bad:
            raise BadImage(path, self._bad[path])
        try:
            return self.resize.draw(path, choose, self._reader, self._sound)
        except BadImage as error:
            self.report(error)
            raise

    def _keep(self, path: Path, picture: Tensor) -> None:
        with self._lock:
            if picture.nbytes <= self._bytes_left and path not in self._kept:
                self._kept[path] = picture
                self._bytes_left -= picture.nbytes

    def report(self, error: BadImage) -> None:
        """Remember a broken file, and tell of it if it is new. Masks are reported here, too."""
        path = Path(error.path)
        with self._lock:
            is_new = path not in self._bad
            self._bad[path] = error.reason
        if is_new:
            self._tell(error)

    def _tell(self, error: BadImage) -> None:
        if self._on_bad_image is not None:
            self._on_bad_image(error)
            return
        self._untold.append(error)
        if len(self._untold) <= _NAMED:
            _log.warning("%s; it is not used", error)
        if len(self._untold) == _NAMED:
            _log.warning("further pictures that cannot be used are not named; `verify_images` names all")
