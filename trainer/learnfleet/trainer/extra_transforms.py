"""What the transforms of `transform_components` do to a batch, beside those that `get_transforms` asks for.

Geometric ones join the one homography of a picture, so there is still one resampling.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from learnfleet.trainer import geometry
from learnfleet.trainer.spec_base import Component
from learnfleet.trainer.transform_components import Range, checked

STREAMS = 12  # random numbers a picture has for each extra transform
_P = 0  # the first decides whether the transform is done at all
_NOT_DRAWN = ("p", "ratios", "max_scale", "size", "padding")
_WHOLE = ("direction", "channel", "n_holes", "length")
_UNMOVED = ("brightness", "contrast", "cutout", "rgb_randomize", "rand_resize_crop")


@dataclass(frozen=True)
class Draws:
    """The arguments of a transform for N pictures, and whether it is done to each."""

    arguments: Mapping[str, Any]
    values: Mapping[str, Tensor]  # float64 [N]
    done: Tensor  # bool [N]
    rest: Tensor  # float64 [N, ...]: random numbers that no argument took
    aspect: float  # rows / columns

    def __getitem__(self, name: str) -> Tensor:
        return self.values[name]

    def several(self, name: str, count: int) -> Tensor:
        """Float64 [N, count], each drawn by itself from the range of an argument."""
        return _drawn(name, self.arguments[name], self.rest[:, :count])


@dataclass(frozen=True)
class ExtraTransform:
    """A transform with its arguments checked."""

    name: str
    arguments: Mapping[str, Any]

    @property
    def moves(self) -> bool:
        """Whether it changes where pixels are taken from."""
        return self.name not in _UNMOVED

    @property
    def paints(self) -> bool:
        """Whether it changes values of pixels, other than by lighting."""
        return self.name in ("cutout", "rgb_randomize")

    def draw(self, u: Tensor, aspect: float = 1.0) -> Draws:
        """From uniform numbers float64 [N, STREAMS]."""
        drawn = [name for name in self.arguments if name not in _NOT_DRAWN]
        values = {name: _drawn(name, self.arguments[name], u[:, 1 + place]) for place, name in enumerate(drawn)}
        return Draws(self.arguments, values, u[:, _P] < self.arguments["p"], u[:, 1 + len(drawn) :], aspect)

    def matrices(self, u: Tensor, aspect: float) -> Tensor | None:
        """Float64 [N, 3, 3] of a geometric transform, None of another."""
        make = _MATRICES.get(self.name)
        if make is None:
            return None
        draws = self.draw(u, aspect)
        return torch.where(draws.done.view(-1, 1, 1), make(draws), geometry.identity(len(u)))

    def move(self, places: Tensor, u: Tensor) -> Tensor:
        """Change the places that pixels are taken from, float32 [N, H, W, 2], where it is no homography."""
        if self.name == "jitter":
            return _jittered(places, self.draw(u))
        shift = self.shift(u, (places.shape[1], places.shape[2]))
        return places if shift is None else places + shift.to(places.device).view(-1, 1, 1, 2)

    def shift(self, u: Tensor, size: tuple[int, int]) -> Tensor | None:
        """By how much all places of pictures of (rows, columns) are changed alike, float32 [N, 2] of (x, y); None where
        they are not.
        """
        if self.name != "rand_pad":
            return None
        return _whole_pixels(self.draw(u), int(self.arguments["padding"]), size)

    def light(self, u: Tensor) -> tuple[Tensor, Tensor] | None:
        """(what is added to a pixel's logit, what it is multiplied by then), float64 [N] each; None if neither."""
        draws = self.draw(u)
        nothing = torch.zeros(len(u), dtype=torch.float64)
        if self.name == "brightness":
            return torch.where(draws.done, torch.logit(draws["change"]), nothing), nothing + 1
        if self.name == "contrast":
            return nothing, torch.where(draws.done, _log_uniform(self.arguments["scale"], u[:, 1]), nothing + 1)
        return None

    def paint(self, x: Tensor, u: Tensor, black: Tensor, white: Tensor) -> Tensor:
        """Change float pictures [N, 3, H, W] in place. `black`, `white`: float [3], of the normalised values."""
        if self.name == "cutout":
            _cut_out(x, self.draw(u), black)
        if self.name == "rgb_randomize":
            _randomize(x, self.draw(u), black, white)
        return x


def build_extra(component: Component, field: str) -> ExtraTransform:
    """Raises LearnerError for a name or an argument that is not known, or a value that is not possible."""
    full = checked(component, field)
    return ExtraTransform(full.name, full.arguments)


def _ends(value: Range) -> tuple[float, float]:
    return (value, value) if isinstance(value, int | float) else (value[0], value[-1])


def _drawn(name: str, value: Range, u: Tensor) -> Tensor:
    """Whole numbers include both ends of their range."""
    low, high = _ends(value)
    if name in _WHOLE:
        return (low + (u * (high - low + 1)).floor()).clamp(low, high)
    return low + u * (high - low)


def _log_uniform(value: Range, u: Tensor) -> Tensor:
    low, high = _ends(value)
    return torch.exp(math.log(low) + u * (math.log(high) - math.log(low)))


def _noise(seed: float, shape: Sequence[int]) -> Tensor:
    generator = torch.Generator().manual_seed(int(seed * 2**53))
    return torch.rand(tuple(shape), generator=generator)


# --- geometric ones: float64 [N, 3, 3]


def _flip(draws: Draws) -> Tensor:
    return geometry.dihedral(torch.ones(len(draws.done), dtype=torch.int64))


def _dihedral(draws: Draws) -> Tensor:
    return geometry.dihedral((draws.rest[:, 0] * 8).long())


def _rotate(draws: Draws) -> Tensor:
    return geometry.rotation(draws["degrees"], draws.aspect)


def _zoom(draws: Draws) -> Tensor:
    return geometry.zoom(draws["scale"], draws["row_pct"], draws["col_pct"])


def _symmetric_warp(draws: Draws) -> Tensor:
    return geometry.symmetric_warp(draws.several("magnitude", 4))


def _squish(draws: Draws) -> Tensor:
    scale = draws["scale"]
    matrix = geometry.identity(len(scale))
    across, down = torch.where(scale <= 1, scale, 1.0), torch.where(scale > 1, 1 / scale, 1.0)
    matrix[:, 0, 0], matrix[:, 1, 1] = across, down
    matrix[:, 0, 2] = (1 - across) * (2 * draws["col_pct"] - 1)
    matrix[:, 1, 2] = (1 - down) * (2 * draws["row_pct"] - 1)
    return matrix


def _corners(moves: Tensor) -> Tensor:
    """The map of the four corners to themselves moved by float64 [N, 4, 2]."""
    corners = torch.tensor([[-1.0, -1.0], [1.0, -1.0], [-1.0, 1.0], [1.0, 1.0]], dtype=torch.float64) + moves
    return geometry.homography(corners[..., 0], corners[..., 1])


def _perspective(draws: Draws) -> Tensor:
    return _corners(draws.several("magnitude", 8).view(-1, 4, 2))


def _skew(draws: Draws) -> Tensor:
    moves = torch.zeros(len(draws.done), 8, dtype=torch.float64)
    moves.scatter_(1, draws["direction"].long().view(-1, 1), draws["magnitude"].view(-1, 1))
    return _corners(moves.view(-1, 4, 2))


def _tilt(draws: Draws) -> Tensor:
    magnitude = torch.zeros(len(draws.done), 4, dtype=torch.float64)
    magnitude.scatter_(1, draws["direction"].long().clamp_max(3).view(-1, 1), draws["magnitude"].view(-1, 1))
    return geometry.symmetric_warp(magnitude)


_MATRICES: dict[str, Callable[[Draws], Tensor]] = {
    "flip_lr": _flip,
    "dihedral": _dihedral,
    "rotate": _rotate,
    "zoom": _zoom,
    "symmetric_warp": _symmetric_warp,
    "squish": _squish,
    "perspective_warp": _perspective,
    "skew": _skew,
    "tilt": _tilt,
}


# --- others


def _jittered(places: Tensor, draws: Draws) -> Tensor:
    noise = torch.stack([_noise(seed, places.shape[1:]) for seed in draws.rest[:, 0].tolist()]).to(places.device)
    magnitude = (draws["magnitude"] * draws.done).float().to(places.device).view(-1, 1, 1, 1)
    return places + (noise * 2 - 1) * magnitude


def _whole_pixels(draws: Draws, padding: int, size: tuple[int, int]) -> Tensor:
    """Up to `padding` each way: what a random crop of the padded picture is."""
    pixels = ((draws.rest[:, :2] * (2 * padding + 1)).floor() - padding) * draws.done.unsqueeze(1)
    sides = torch.tensor([size[1], size[0]], dtype=torch.float64)
    return (2 * pixels / (sides - 1).clamp_min(1)).float()


def _cut_out(x: Tensor, draws: Draws, black: Tensor) -> None:
    rows, columns = x.shape[-2:]
    for picture in torch.nonzero(draws.done).flatten().tolist():
        length, holes = int(draws["length"][picture]), int(draws["n_holes"][picture])
        for down, across in _noise(float(draws.rest[picture, 0]), (holes, 2)).tolist():
            top, left = int(down * rows) - length // 2, int(across * columns) - length // 2
            window = x[picture, :, max(top, 0) : max(top + length, 0), max(left, 0) : max(left + length, 0)]
            window.copy_(black.view(3, 1, 1).expand_as(window))


def _randomize(x: Tensor, draws: Draws, black: Tensor, white: Tensor) -> None:
    for picture in torch.nonzero(draws.done).flatten().tolist():
        channel = int(draws["channel"][picture])
        noise = _noise(float(draws.rest[picture, 0]), x.shape[-2:]).to(x.device) * float(draws["thresh"][picture])
        x[picture, channel] = black[channel] + noise * (white[channel] - black[channel])
