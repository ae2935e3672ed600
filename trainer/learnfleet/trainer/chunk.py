"""A few pictures of a batch at a time: what a loader's thread does."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from learnfleet.trainer.counter import choice
from learnfleet.trainer.data_spec import BadImagePolicy, ResizeMethod
from learnfleet.trainer.dataset import ImageDataset
from learnfleet.trainer.errors import LearnerError
from learnfleet.trainer.images import BadImage, Window
from learnfleet.trainer.masks import MaskStore
from learnfleet.trainer.pictures import PictureStore
from learnfleet.trainer.pixels import Stats, look_up, plain_table
from learnfleet.trainer.resize import CENTRE, Chooser
from learnfleet.trainer.transforms import AugmentParameters, BatchAugment, join_parameters

_REPLACEMENTS = 20


@dataclass(frozen=True)
class Chunk:
    """Pictures of one size, opened or finished."""

    indices: Tensor  # int64 [N], on the CPU: positions in the dataset
    x: Tensor  # [N, 3, H, W]: uint8 when opened (cropped), float32 when finished (normalised, augmented)
    masks: Tensor | None = None  # [N, 1, H, W]: uint8 when opened, int64 when finished; None: targets are no masks
    parameters: AugmentParameters | None = None  # of the N opened pictures; None: no augmentation


@dataclass(frozen=True)
class Opened:
    """A picture that is in memory."""

    index: int  # its position in the dataset
    key: int  # of what is drawn for it
    picture: Tensor  # uint8 [3, H, W]


def join_chunks(chunks: Sequence[Chunk]) -> Chunk:
    """One after the other, as one."""
    if len(chunks) == 1:
        return chunks[0]
    filled = [chunk for chunk in chunks if len(chunk.indices)] or list(chunks[:1])
    shapes = {tuple(chunk.x.shape[1:]) for chunk in filled}
    if len(shapes) > 1:
        raise _different_sizes(shapes)
    parameters = [chunk.parameters for chunk in filled if chunk.parameters is not None]
    masks = [chunk.masks for chunk in filled if chunk.masks is not None]
    return Chunk(
        torch.cat([chunk.indices for chunk in filled]),
        torch.cat([chunk.x for chunk in filled]),
        torch.cat(masks) if masks else None,
        join_parameters(parameters) if parameters else None,
    )


def _different_sizes(shapes: Iterable[tuple[int, ...]]) -> LearnerError:
    sizes = ", ".join(sorted(" x ".join(str(side) for side in shape[-2:]) for shape in shapes))
    return LearnerError("data.size", f"pictures of {sizes} pixels cannot share a batch: give a size to resize them to")


@dataclass(frozen=True)
class ChunkMaker:
    """Opens items of a dataset and makes model inputs of them. Each picture's result is independent of its company."""

    dataset: ImageDataset
    pictures: PictureStore
    masks: MaskStore | None
    augment: BatchAugment | None
    seed: int
    bad_image: BadImagePolicy
    replace_bad: bool  # put another picture in the place of a broken one; otherwise it is left out

    def load(self, epoch: int, wanted: Sequence[int], keys: Sequence[int]) -> Chunk:
        """Decode and crop the pictures at the positions `wanted`. Raises BadImage as the policy says.

        Args:
            keys: what is drawn for each is a function of (seed, epoch, key).
        """
        if self._draws_directly:
            return self._drawn(epoch, wanted, keys)
        found = [one for index, key in zip(wanted, keys, strict=True) if (one := self._open(epoch, index, key))]
        parameters = self._parameters(epoch, found)
        windows = self._windows(found, parameters)
        pixels = self._cropped([one.picture for one in found], windows)
        masks = None
        if self.masks is not None:
            masks = self._cropped([self._mask(one.index, one.picture) for one in found], windows, "nearest")
        return Chunk(torch.tensor([one.index for one in found], dtype=torch.int64), pixels, masks, parameters)

    @property
    def _draws_directly(self) -> bool:
        """Whether random windows are decoded each for itself: where nothing is kept, and no mask must follow."""
        has_window = self.augment is not None and self.augment.window is not None
        return has_window and self.masks is None and not self.pictures.keeps and self.pictures.resize.cuts_windows

    def _drawn(self, epoch: int, wanted: Sequence[int], keys: Sequence[int]) -> Chunk:
        assert self.augment is not None
        parameters = self.augment.parameters(epoch, torch.tensor(list(keys), dtype=torch.int64))
        choosers = self._choosers(parameters)
        parts = [self._draw(epoch, *one) for one in zip(wanted, keys, choosers, strict=True)]
        found = [part for part in parts if part is not None]
        opened = [one.key for one in found]
        if opened != list(keys):
            parameters = self.augment.parameters(epoch, torch.tensor(opened, dtype=torch.int64))
        pixels = torch.stack([one.picture for one in found]) if found else self._cropped([], [])
        indices = torch.tensor([one.index for one in found], dtype=torch.int64)
        return Chunk(indices, pixels, None, parameters if found else None)

    def _choosers(self, parameters: AugmentParameters) -> list[Chooser]:
        """For each picture, which window to take of it when its shape is known."""
        assert self.augment is not None
        draws, crops = self.augment.window_draws(parameters), parameters.crops.tolist()
        return [self._chooser(u, pct) for u, pct in zip(draws, crops, strict=True)]

    def _chooser(self, u: Sequence[float], pct: Sequence[float]) -> Chooser:
        random, plain = self.augment.window if self.augment is not None else None, self.pictures.resize.window
        assert random is not None
        return lambda shape: random.of(shape, u) or plain(shape, pct[0], pct[1])

    def _draw(self, epoch: int, index: int, key: int, choose: Chooser) -> Opened | None:
        try:
            return Opened(index, key, self.pictures.drawn(self.dataset.path(index), choose))
        except BadImage as error:
            if self.bad_image is BadImagePolicy.FAIL:
                raise
            return self._replacement(epoch, index, error) if self.replace_bad else None

    def _parameters(self, epoch: int, found: Sequence[Opened]) -> AugmentParameters | None:
        if self.augment is None or not found:
            return None
        resize, (rows, columns) = self.pictures.resize, found[0].picture.shape[1:]
        aspect = rows / columns if resize.method is ResizeMethod.NO else None  # all of one size, or the batch will fail
        return self.augment.parameters(epoch, torch.tensor([one.key for one in found], dtype=torch.int64), aspect)

    def _windows(self, found: Sequence[Opened], parameters: AugmentParameters | None) -> list[Window]:
        resize = self.pictures.resize
        shapes = [(one.picture.shape[1], one.picture.shape[2]) for one in found]
        if parameters is None or self.augment is None:
            return [resize.window(shape, CENTRE, CENTRE) for shape in shapes]
        if self.augment.window is not None:
            return [choose(shape) for choose, shape in zip(self._choosers(parameters), shapes, strict=True)]
        return [resize.window(shape, *pct) for shape, pct in zip(shapes, parameters.crops.tolist(), strict=True)]

    def _cropped(self, pictures: Sequence[Tensor], windows: Sequence[Window], mode: str = "bilinear") -> Tensor:
        """Their windows at the wanted size, uint8 [N, channels, H, W]."""
        resize = self.pictures.resize
        parts = [resize.cut(picture, window, mode) for picture, window in zip(pictures, windows, strict=True)]
        if not parts:
            return torch.empty(0, 3, resize.rows, resize.columns, dtype=torch.uint8)
        if len({part.shape for part in parts}) > 1:
            raise _different_sizes({tuple(part.shape) for part in parts})
        return torch.stack(parts)

    def _mask(self, index: int, picture: Tensor) -> Tensor:
        assert self.masks is not None
        path, shape = self.dataset.mask(index), (picture.shape[1], picture.shape[2])
        # Of a test set nothing is known.
        return torch.zeros(1, *shape, dtype=torch.uint8) if path is None else self.masks.mask(path, shape)

    def finish(self, chunk: Chunk, stats: Stats) -> Chunk:
        """Normalise and augment, on the device of `chunk.x`."""
        if self.augment is not None and chunk.parameters is not None:
            masks = None if chunk.masks is None else self.augment.apply_to_masks(chunk.masks, chunk.parameters)
            return Chunk(chunk.indices, self.augment.apply(chunk.x, chunk.parameters, stats), masks)
        masks = None if chunk.masks is None else chunk.masks.long()
        return Chunk(chunk.indices, look_up(chunk.x, plain_table(stats)), masks)

    def _open(self, epoch: int, index: int, key: int) -> Opened | None:
        """The item itself, its replacement, or None if it is to be left out."""
        try:
            return Opened(index, key, self._picture(index))
        except BadImage as error:
            if self.bad_image is BadImagePolicy.FAIL:
                raise
            return self._replacement(epoch, index, error) if self.replace_bad else None

    def _picture(self, index: int) -> Tensor:
        picture = self.pictures.picture(self.dataset.path(index))
        if self.masks is not None:
            try:
                self._mask(index, picture)  # a picture whose mask is broken is of no more use than a broken one
            except BadImage as error:
                self.pictures.report(error)
                raise
        return picture

    def _other(self, epoch: int, index: int) -> Tensor:
        if not self._draws_directly:
            return self._picture(index)
        assert self.augment is not None
        parameters = self.augment.parameters(epoch, torch.tensor([index], dtype=torch.int64))
        return self.pictures.drawn(self.dataset.path(index), self._choosers(parameters)[0])

    def _replacement(self, epoch: int, index: int, error: BadImage) -> Opened:
        for attempt in range(_REPLACEMENTS):
            other = choice(self.seed, epoch, index, attempt, len(self.dataset))
            try:
                return Opened(other, other, self._other(epoch, other))
            except BadImage:
                continue
        raise BadImage(error.path, f"{error.reason}; {_REPLACEMENTS} pictures drawn to replace it are broken too")
