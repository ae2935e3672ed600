"""Transforms beyond `get_transforms`' seven, for its `xtra_tfms` (fastai v1's names).

Each is a Component by name; where an argument may be a range, [low, high], a value is drawn for each picture. Geometric
ones join the one homography of a picture, so there is still one resampling.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from learnfleet.trainer import geometry
from learnfleet.trainer.errors import LearnerError
from learnfleet.trainer.spec_base import Component

STREAMS = 12  # random numbers a picture has for each extra transform
_P = 0  # the first decides whether the transform is done at all

Range = float | Sequence[float]


def dihedral(p: float = 1.0) -> Component:
    """One of the eight symmetries of a square."""
    return Component("dihedral", {"p": p})


def squish(scale: Range = 1.0, row_pct: Range = 0.5, col_pct: Range = 0.5, p: float = 1.0) -> Component:
    """Narrower (scale < 1: the picture is squeezed across; > 1: down)."""
    return Component("squish", {"scale": scale, "row_pct": row_pct, "col_pct": col_pct, "p": p})


def skew(direction: Range = (0, 7), magnitude: Range = 0.2, p: float = 1.0) -> Component:
    """One corner is pulled along one of its two edges: eight directions."""
    return Component("skew", {"direction": direction, "magnitude": magnitude, "p": p})


def tilt(direction: Range = (0, 3), magnitude: Range = 0.2, p: float = 1.0) -> Component:
    """As if leaned back over one of the four edges."""
    return Component("tilt", {"direction": direction, "magnitude": magnitude, "p": p})


def perspective_warp(magnitude: Range = (-0.2, 0.2), p: float = 1.0) -> Component:
    """Each corner moves by itself, across and down."""
    return Component("perspective_warp", {"magnitude": magnitude, "p": p})


def jitter(magnitude: Range = 0.02, p: float = 1.0) -> Component:
    """Each pixel is taken from a place up to `magnitude` of the picture away."""
    return Component("jitter", {"magnitude": magnitude, "p": p})


def cutout(n_holes: Range = 1, length: Range = 40, p: float = 1.0) -> Component:
    """Square holes of `length` pixels, black. Source: DeVries & Taylor 2017, arXiv:1708.04552."""
    return Component("cutout", {"n_holes": n_holes, "length": length, "p": p})


def rgb_randomize(channel: Range = (0, 2), thresh: Range = 0.3, p: float = 1.0) -> Component:
    """One channel becomes noise in [0, thresh)."""
    return Component("rgb_randomize", {"channel": channel, "thresh": thresh, "p": p})


def rand_resize_crop(max_scale: float = 2.0, ratios: Sequence[float] = (0.75, 1.33), p: float = 1.0) -> Component:
    """A window of at least 1 / max_scale of each side and of a ratio (width / height) in `ratios`, scaled to the size.

    With max_scale 3.54 and ratios (3/4, 4/3) it is the crop that ImageNet models are trained with.
    """
    return Component("rand_resize_crop", {"max_scale": max_scale, "ratios": ratios, "p": p})


_DEFAULTS: dict[str, Callable[[], Component]] = {
    make.__name__: make
    for make in (
        cutout,
        dihedral,
        jitter,
        perspective_warp,
        rand_resize_crop,
        rgb_randomize,
        skew,
        squish,
        tilt,
    )
}
# Matrix [N, 3, 3] of the arguments' draws and of the further random numbers.
_Matrices = Callable[["Draws", Tensor], Tensor]


@dataclass(frozen=True)
class Draws:
    """The arguments of a transform for N pictures, and whether it is done to each."""

    values: Mapping[str, Tensor]  # float64 [N]
    done: Tensor  # bool [N]
    rest: Tensor  # float64 [N, ...]: random numbers that no argument took

    def __getitem__(self, name: str) -> Tensor:
        return self.values[name]


@dataclass(frozen=True)
class ExtraTransform:
    """A transform with its arguments checked."""

    name: str
    arguments: Mapping[str, Any]

    def draw(self, u: Tensor) -> Draws:
        """From uniform numbers float64 [N, STREAMS]."""
        taken, values = 1, {}
        for name, value in self.arguments.items():
            if name in ("p", "ratios", "max_scale"):
                continue
            values[name] = _drawn(name, value, u[:, taken])
            taken += 1
        return Draws(values, u[:, _P] < self.arguments["p"], u[:, taken:])

    def matrices(self, u: Tensor) -> Tensor | None:
        """Float64 [N, 3, 3] of a geometric transform, None of another."""
        make = _MATRICES.get(self.name)
        if make is None:
            return None
        draws = self.draw(u)
        found = make(draws, u)
        return torch.where(draws.done.view(-1, 1, 1), found, geometry.identity(len(u)))

    def move(self, places: Tensor, u: Tensor) -> Tensor:
        """Jitter moves the places that pixels are taken from, float32 [N, H, W, 2]; others do not."""
        if self.name != "jitter":
            return places
        draws = self.draw(u)
        noise = torch.stack([_noise(seed, places.shape[1:]) for seed in draws.rest[:, 0].tolist()]).to(places.device)
        magnitude = (draws["magnitude"] * draws.done).float().to(places.device).view(-1, 1, 1, 1)
        return places + (noise * 2 - 1) * magnitude * 2

    def paint(self, x: Tensor, u: Tensor, black: Tensor, white: Tensor) -> Tensor:
        """Change float pictures [N, 3, H, W] in place. `black`, `white`: float [3], of the normalised values."""
        if self.name == "cutout":
            _cut_out(x, self.draw(u), black)
        if self.name == "rgb_randomize":
            _randomize(x, self.draw(u), black, white)
        return x


def build_extra(component: Component, field: str) -> ExtraTransform:
    """Raises LearnerError for a name or an argument that is not known, or a value of the wrong kind."""
    make = _DEFAULTS.get(component.name)
    if make is None:
        raise LearnerError(field, f"there is no transform {component.name!r}; known: {', '.join(_DEFAULTS)}")
    defaults = make().arguments
    unknown = sorted(set(component.arguments) - set(defaults))
    if unknown:
        raise LearnerError(
            field, f"{component.name} has no argument {', '.join(unknown)}; it has {', '.join(defaults)}"
        )
    arguments = {**defaults, **component.arguments}
    for name, value in arguments.items():
        numbers = [value] if isinstance(value, int | float) else value
        is_right = isinstance(numbers, Sequence) and len(numbers) in (1, 2) and all(_is_finite(n) for n in numbers)
        if not is_right or isinstance(value, str):
            raise LearnerError(f"{field}.{name}", f"{value!r} is neither a number nor [low, high]")
    if not 0 <= arguments["p"] <= 1:
        raise LearnerError(f"{field}.p", f"{arguments['p']} is not a probability in [0, 1]")
    return ExtraTransform(component.name, arguments)


def _is_finite(value: object) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)


_WHOLE = ("direction", "channel", "n_holes", "length")


def _drawn(name: str, value: Range, u: Tensor) -> Tensor:
    """Whole numbers include both ends of their range."""
    low, high = (value, value) if isinstance(value, int | float) else (value[0], value[-1])
    if name in _WHOLE:
        return (low + (u * (high - low + 1)).floor()).clamp(low, high)
    return low + u * (high - low)


def _noise(seed: float, shape: Sequence[int]) -> Tensor:
    generator = torch.Generator().manual_seed(int(seed * 2**53))
    return torch.rand(tuple(shape), generator=generator)


def _dihedral(draws: Draws, u: Tensor) -> Tensor:
    return geometry.dihedral((draws.rest[:, 0] * 8).long())


def _squish(draws: Draws, u: Tensor) -> Tensor:
    scale = draws["scale"].clamp_min(1e-3)
    matrix = geometry.identity(len(u))
    across, down = torch.where(scale <= 1, scale, 1.0), torch.where(scale > 1, 1 / scale, 1.0)
    matrix[:, 0, 0], matrix[:, 1, 1] = across, down
    matrix[:, 0, 2] = (1 - across) * (2 * draws["col_pct"] - 1)
    matrix[:, 1, 2] = (1 - down) * (2 * draws["row_pct"] - 1)
    return matrix


def _corners(moves: Tensor) -> Tensor:
    """The map of the four corners to themselves moved by float64 [N, 4, 2]."""
    corners = torch.tensor([[-1.0, -1.0], [1.0, -1.0], [-1.0, 1.0], [1.0, 1.0]], dtype=torch.float64) + moves
    return geometry.homography(corners[..., 0], corners[..., 1])


def _perspective(draws: Draws, u: Tensor) -> Tensor:
    # The eight coordinates are drawn apart, each in the range of the one magnitude.
    spread = draws["magnitude"].abs().view(-1, 1)
    return _corners(((draws.rest[:, :8] * 2 - 1) * spread).view(-1, 4, 2))


def _skew(draws: Draws, u: Tensor) -> Tensor:
    moves = torch.zeros(len(u), 8, dtype=torch.float64)
    moves.scatter_(1, draws["direction"].long().clamp(0, 7).view(-1, 1), draws["magnitude"].view(-1, 1) * 2)
    return _corners(moves.view(-1, 4, 2))


def _tilt(draws: Draws, u: Tensor) -> Tensor:
    magnitude = torch.zeros(len(u), 4, dtype=torch.float64)
    magnitude.scatter_(1, draws["direction"].long().clamp(0, 3).view(-1, 1), draws["magnitude"].view(-1, 1))
    return geometry.symmetric_warp(magnitude)


_MATRICES: dict[str, _Matrices] = {
    "dihedral": _dihedral,
    "squish": _squish,
    "perspective_warp": _perspective,
    "skew": _skew,
    "tilt": _tilt,
}


def _cut_out(x: Tensor, draws: Draws, black: Tensor) -> None:
    rows, columns = x.shape[-2:]
    holes = int(draws["n_holes"].max()) if len(x) else 0
    for picture in torch.nonzero(draws.done).flatten().tolist():
        length = int(draws["length"][picture])
        noise = _noise(float(draws.rest[picture, 0]), (holes, 2))
        for number in range(int(draws["n_holes"][picture])):
            top = int(noise[number, 0] * rows) - length // 2
            left = int(noise[number, 1] * columns) - length // 2
            window = x[picture, :, max(top, 0) : max(top + length, 0), max(left, 0) : max(left + length, 0)]
            window.copy_(black.view(3, 1, 1).expand_as(window))


def _randomize(x: Tensor, draws: Draws, black: Tensor, white: Tensor) -> None:
    for picture in torch.nonzero(draws.done).flatten().tolist():
        channel = int(draws["channel"][picture].clamp(0, 2))
        noise = _noise(float(draws.rest[picture, 0]), x.shape[-2:]).to(x.device) * float(draws["thresh"][picture])
        x[picture, channel] = black[channel] + noise * (white[channel] - black[channel])
