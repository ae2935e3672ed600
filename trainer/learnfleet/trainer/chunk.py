"""A few pictures of a batch at a time: what a loader's thread does."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from learnfleet.trainer.counter import choice
from learnfleet.trainer.data_spec import BadImagePolicy, ResizeMethod
from learnfleet.trainer.dataset import ImageDataset
from learnfleet.trainer.errors import LearnerError
from learnfleet.trainer.following import FollowingTargets, Moves
from learnfleet.trainer.heartbeat import HEARTBEAT
from learnfleet.trainer.images import BadImage, Chooser, Window
from learnfleet.trainer.pictures import PictureStore
from learnfleet.trainer.pixels import Stats, normalized
from learnfleet.trainer.random_window import RandomWindow
from learnfleet.trainer.resize import CENTRE
from learnfleet.trainer.transforms import AugmentParameters, BatchAugment, join_parameters

_REPLACEMENTS = 20


@dataclass(frozen=True)
class Chunk:
    """Pictures of one size, opened or finished."""

    indices: Tensor  # int64 [N], on the CPU: positions in the dataset
    x: Tensor  # [N, 3, H, W]: uint8 when opened (cropped), float32 when finished (normalised, augmented)
    targets: Tensor | None = None  # [N, ...], see `FollowingTargets`; None: they do not follow their pictures
    parameters: AugmentParameters | None = None  # of the N opened pictures; None: no augmentation


@dataclass(frozen=True)
class Opened:
    """A picture that is in memory."""

    index: int  # its position in the dataset
    key: int  # of what is drawn for it
    picture: Tensor  # uint8 [3, H, W]; where windows are decoded each for itself: the window


def join_chunks(chunks: Sequence[Chunk], x: Tensor | None = None) -> Chunk:
    """One after the other, as one.

    Args:
        x: all their pictures, where they are together already.
    """
    if len(chunks) == 1:
        return chunks[0]
    filled = [chunk for chunk in chunks if len(chunk.indices)] or list(chunks[:1])
    shapes = {tuple(chunk.x.shape[1:]) for chunk in filled}
    if len(shapes) > 1:
        raise _different_sizes(shapes)
    parameters = [chunk.parameters for chunk in filled if chunk.parameters is not None]
    targets = [chunk.targets for chunk in filled if chunk.targets is not None]
    return Chunk(
        torch.cat([chunk.indices for chunk in filled]),
        torch.cat([chunk.x for chunk in filled]) if x is None else x,
        torch.cat(targets) if targets else None,
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
    targets: FollowingTargets | None
    augment: BatchAugment | None
    seed: int
    bad_image: BadImagePolicy
    replace_bad: bool  # put another picture in the place of a broken one; otherwise it is left out

    def draw(self, epoch: int, keys: Sequence[int]) -> AugmentParameters | None:
        """What is done to pictures in `epoch`; None where nothing is, or where it depends on their shape."""
        if self.augment is None or self._unsized or not keys:
            return None
        return self.augment.parameters(epoch, _numbers(keys))

    def load(
        self, epoch: int, wanted: Sequence[int], keys: Sequence[int], drawn: AugmentParameters | None = None
    ) -> Chunk:
        """Decode and crop the pictures at the positions `wanted`. Raises BadImage as the policy says.

        Args:
            keys: what is drawn for each is a function of (seed, epoch, key).
            drawn: what `draw` gives for these keys, if it is there already.
        """
        HEARTBEAT.beat()
        drawn = self.draw(epoch, keys) if drawn is None else drawn
        choosers = self._choosers(drawn, len(keys))
        opened = (self._open(epoch, *one) for one in zip(wanted, keys, choosers, strict=True))
        found = [one for one in opened if one is not None]
        keys_found = [one.key for one in found]
        if keys_found != list(keys):  # some are replaced or left out
            drawn = self.draw(epoch, keys_found)
            choosers = self._choosers(drawn, len(found))
        return self._chunk(found, choosers, self._of_shape(epoch, found) if self._unsized else drawn)

    def _chunk(
        self, found: Sequence[Opened], choosers: Sequence[Chooser], parameters: AugmentParameters | None
    ) -> Chunk:
        indices = _numbers([one.index for one in found])
        if self._draws_directly:
            return Chunk(indices, self._stacked([one.picture for one in found]), None, parameters)
        shapes = [(one.picture.shape[1], one.picture.shape[2]) for one in found]
        windows = [choose(shape) for choose, shape in zip(choosers, shapes, strict=True)]
        pixels, targets = self._cropped([one.picture for one in found], windows), None
        if self.targets is not None:
            items = [self.dataset[one.index] for one in found]
            targets = self._stacked([self.targets.cut(*place) for place in zip(items, shapes, windows, strict=True)])
        return Chunk(indices, pixels, targets, parameters)

    @property
    def sizes(self) -> tuple[int, int] | None:
        """Rows and columns of all pictures, where they are known before."""
        resize = self.pictures.resize
        return None if self._unsized else (resize.rows, resize.columns)

    @property
    def _unsized(self) -> bool:
        return self.pictures.resize.method is ResizeMethod.NO

    @property
    def _draws_directly(self) -> bool:
        """Whether random windows are decoded each for itself: where nothing is kept, and no target must follow."""
        has_window = self.augment is not None and self.augment.window is not None
        return has_window and self.targets is None and not self.pictures.keeps and self.pictures.resize.cuts_windows

    def _choosers(self, parameters: AugmentParameters | None, n: int) -> list[Chooser]:
        """For each of `n` pictures, which window to take of it when its shape is known."""
        plain = self.pictures.resize.window
        if parameters is None or self.augment is None:
            return [lambda shape: plain(shape, CENTRE, CENTRE)] * n
        crops, random = parameters.crops.tolist(), self.augment.window
        if random is None:
            return [partial(plain, row_pct=row, column_pct=column) for row, column in crops]
        draws = self.augment.window_draws(parameters)
        return [
            partial(_random_or_plain, random, u, partial(plain, row_pct=row, column_pct=column))
            for u, (row, column) in zip(draws, crops, strict=True)
        ]

    def _of_shape(self, epoch: int, found: Sequence[Opened]) -> AugmentParameters | None:
        if self.augment is None or not found:
            return None
        rows, columns = found[0].picture.shape[1:]  # all are of one size, or the batch will fail
        return self.augment.parameters(epoch, _numbers([one.key for one in found]), rows / columns)

    def _cropped(self, pictures: Sequence[Tensor], windows: Sequence[Window]) -> Tensor:
        """Their windows at the wanted size, uint8 [N, 3, H, W]."""
        cut = self.pictures.resize.cut
        return self._stacked([cut(picture, window) for picture, window in zip(pictures, windows, strict=True)])

    def _stacked(self, parts: Sequence[Tensor]) -> Tensor:
        if not parts:
            return torch.empty(0, 3, *(self.sizes or (0, 0)), dtype=torch.uint8)
        if len({part.shape for part in parts}) > 1:
            raise _different_sizes({tuple(part.shape) for part in parts})
        return torch.stack(list(parts))

    def finish(self, chunk: Chunk, stats: Stats, out: Tensor | None = None) -> Chunk:
        """Normalise and augment, on the device of `chunk.x`.

        Args:
            out: where the pictures are to be written; None: a new tensor.
        """
        if self.augment is None or chunk.parameters is None:
            return Chunk(chunk.indices, normalized(chunk.x, stats, out), self._finished_targets(chunk, None))
        x = self.augment.apply(chunk.x, chunk.parameters, stats, out)
        targets = self._finished_targets(chunk, (self.augment, chunk.parameters))
        return Chunk(chunk.indices, x if out is None or x is out else out.copy_(x), targets)

    def _finished_targets(self, chunk: Chunk, moves: Moves | None) -> Tensor | None:
        if self.targets is None or chunk.targets is None:
            return None
        return self.targets.finish(chunk.targets, moves, (chunk.x.shape[-2], chunk.x.shape[-1]))

    def _open(self, epoch: int, index: int, key: int, choose: Chooser) -> Opened | None:
        """The item itself, its replacement, or None if it is to be left out."""
        try:
            return Opened(index, key, self._picture(index, choose))
        except BadImage as error:
            if self.bad_image is BadImagePolicy.FAIL:
                raise
            return self._replacement(epoch, index, error) if self.replace_bad else None

    def _picture(self, index: int, choose: Chooser) -> Tensor:
        path = self.dataset.path(index)
        if self._draws_directly:
            return self.pictures.drawn(path, choose)
        picture = self.pictures.picture(path)
        if self.targets is not None:
            try:
                # A picture whose target is broken is of no more use than a broken one.
                self.targets.check(self.dataset[index], (picture.shape[1], picture.shape[2]))
            except BadImage as error:
                self.pictures.report(error)
                raise
        return picture

    def _replacement(self, epoch: int, index: int, error: BadImage) -> Opened:
        for attempt in range(_REPLACEMENTS):
            other = choice(self.seed, epoch, index, attempt, len(self.dataset))
            try:
                return Opened(other, other, self._picture(other, self._choosers(self.draw(epoch, [other]), 1)[0]))
            except BadImage:
                continue
        raise BadImage(error.path, f"{error.reason}; {_REPLACEMENTS} pictures drawn to replace it are broken too")


def _numbers(values: Sequence[int]) -> Tensor:
    return torch.tensor(list(values), dtype=torch.int64)


def _random_or_plain(random: RandomWindow, u: Sequence[float], plain: Chooser, shape: tuple[int, int]) -> Window:
    return random.of(shape, u) or plain(shape)
