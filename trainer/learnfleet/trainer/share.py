"""One rank's share of a batch while several threads make it."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import torch
from torch import Tensor

from learnfleet.trainer.chunk import Chunk, ChunkMaker, join_chunks
from learnfleet.trainer.pixels import Stats
from learnfleet.trainer.transforms import AugmentParameters

# A thread takes at least so many pictures at a time, and more of small ones: enough to make the hand-over cheap, few
# enough to share a batch.
_LEAST, _MOST, _PIXELS = 8, 64, 2**17


class Share:
    """Chunks of it are made in any order, by any threads.

    What is drawn for its pictures is drawn once, by the first thread. Finished pictures are written to their place in
    the batch at once: joining chunks would touch them all again.
    """

    def __init__(self, maker: ChunkMaker, epoch: int, places: Tensor, stats: Stats, *, finish: bool) -> None:
        """Args:
        places: int64 [n, 2]: positions in the dataset, and keys of what is drawn.
        finish: normalise and augment here, and not later, on the device.
        """
        self._maker, self._epoch, self._stats, self._finish = maker, epoch, stats, finish
        self._indices, self._keys = places[:, 0].tolist(), places[:, 1].tolist()
        self._drawn: AugmentParameters | None = None
        self._is_drawn, self._lock = False, threading.Lock()
        sizes = maker.sizes
        self._out = torch.empty(len(places), 3, *sizes) if finish and sizes is not None else None

    def spans(self) -> list[tuple[int, int]]:
        """(start, stop) of the chunks it is made in; an empty share is one empty chunk."""
        rows, columns = self._maker.sizes or (_PIXELS, 1)
        step = max(_LEAST, min(_MOST, _PIXELS // (rows * columns)))
        return [(start, min(start + step, len(self._keys))) for start in range(0, max(len(self._keys), 1), step)]

    def make(self, start: int, stop: int) -> Chunk:
        """Raises BadImage as the policy says."""
        drawn = self._draws()
        part = drawn.part(start, stop) if drawn is not None else None
        chunk = self._maker.load(self._epoch, self._indices[start:stop], self._keys[start:stop], part)
        if not self._finish:
            return chunk
        is_whole = self._out is not None and len(chunk.indices) == stop - start
        return self._maker.finish(
            chunk, self._stats, self._out[start:stop] if self._out is not None and is_whole else None
        )

    def _draws(self) -> AugmentParameters | None:
        with self._lock:
            if not self._is_drawn:
                self._drawn, self._is_drawn = self._maker.draw(self._epoch, self._keys), True
            return self._drawn

    def join(self, chunks: Sequence[Chunk]) -> Chunk:
        """All of it, from the chunks of all spans in their order."""
        if self._out is not None and sum(len(chunk.indices) for chunk in chunks) == len(self._keys):
            return join_chunks(chunks, self._out)
        return join_chunks(chunks)
