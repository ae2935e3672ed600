"""A few pictures of a batch at a time: what a loader's thread does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from learnfleet.trainer.counter import choice
from learnfleet.trainer.dataset import ImageDataset
from learnfleet.trainer.images import BadImage
from learnfleet.trainer.pictures import PictureStore
from learnfleet.trainer.pixels import Stats, look_up, plain_table
from learnfleet.trainer.resize import CENTRE
from learnfleet.trainer.spec import BadImagePolicy
from learnfleet.trainer.transforms import AugmentParameters, BatchAugment, join_parameters

_REPLACEMENTS = 20


@dataclass(frozen=True)
class Chunk:
    """Pictures of one size, opened or finished."""

    indices: Tensor  # int64 [N], on the CPU: positions in the dataset
    x: Tensor  # [N, 3, H, W]: uint8 when opened (cropped), float32 when finished (normalised, augmented)
    parameters: AugmentParameters | None = None  # of the N opened pictures; None: no augmentation


def join_chunks(chunks: Sequence[Chunk]) -> Chunk:
    """One after the other, as one."""
    if len(chunks) == 1:
        return chunks[0]
    filled = [chunk for chunk in chunks if len(chunk.indices)] or chunks[:1]
    parameters = [chunk.parameters for chunk in filled if chunk.parameters is not None]
    return Chunk(
        torch.cat([chunk.indices for chunk in filled]),
        torch.cat([chunk.x for chunk in filled]),
        join_parameters(parameters) if parameters else None,
    )


@dataclass(frozen=True)
class ChunkMaker:
    """Opens items of a dataset and makes model inputs of them. Each picture's result is independent of its company."""

    dataset: ImageDataset
    pictures: PictureStore
    augment: BatchAugment | None
    seed: int
    bad_image: BadImagePolicy
    replace_bad: bool  # put another picture in the place of a broken one; otherwise it is left out

    def load(self, epoch: int, wanted: Sequence[int]) -> Chunk:
        """Decode and crop the pictures at the positions `wanted`. Raises BadImage as the policy says."""
        found = [pair for index in wanted if (pair := self._open(epoch, index)) is not None]
        indices = torch.tensor([index for index, _ in found], dtype=torch.int64)
        parameters = self.augment.parameters(epoch, indices) if self.augment is not None and found else None
        crops = [[CENTRE, CENTRE]] * len(found) if parameters is None else parameters.crops.tolist()
        resize = self.pictures.resize
        pixels = torch.empty(len(found), 3, resize.rows, resize.columns, dtype=torch.uint8)
        for row, ((_, picture), (row_pct, column_pct)) in enumerate(zip(found, crops, strict=True)):
            pixels[row] = resize.crop(picture, row_pct, column_pct)
        return Chunk(indices, pixels, parameters)

    def finish(self, chunk: Chunk, stats: Stats) -> Chunk:
        """Normalise and augment, on the device of `chunk.x`."""
        if self.augment is not None and chunk.parameters is not None:
            return Chunk(chunk.indices, self.augment.apply(chunk.x, chunk.parameters, stats))
        return Chunk(chunk.indices, look_up(chunk.x, plain_table(stats)))

    def _open(self, epoch: int, index: int) -> tuple[int, Tensor] | None:
        """(position, picture): of the item itself, of its replacement, or None if it is to be left out."""
        try:
            return index, self.pictures.picture(self.dataset.path(index))
        except BadImage as error:
            if self.bad_image is BadImagePolicy.FAIL:
                raise
            return self._replacement(epoch, index, error) if self.replace_bad else None

    def _replacement(self, epoch: int, index: int, error: BadImage) -> tuple[int, Tensor]:
        for attempt in range(_REPLACEMENTS):
            other = choice(self.seed, epoch, index, attempt, len(self.dataset))
            try:
                return other, self.pictures.picture(self.dataset.path(other))
            except BadImage:
                continue
        raise BadImage(error.path, f"{error.reason}; {_REPLACEMENTS} pictures drawn to replace it are broken too")
