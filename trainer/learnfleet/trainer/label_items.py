"""What a prediction or a label is called, by its kind (fastai v1's item classes)."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from learnfleet.trainer.points import scaled_to_pixels


@dataclass(frozen=True)
class Category:
    """A class: its number, and its name as text."""

    data: int
    obj: str

    def __str__(self) -> str:
        return self.obj


@dataclass(frozen=True, eq=False)
class MultiCategory:
    """Any number of classes: float [C] of zeros and ones, and their names; as text joined by ";"."""

    data: Tensor
    obj: tuple[str, ...]

    def __str__(self) -> str:
        return ";".join(self.obj)


@dataclass(frozen=True, eq=False)
class CategorySequence:
    """One class a place, as of a text: int64 [T], and their names; as text joined by blanks."""

    data: Tensor
    obj: tuple[str, ...]

    def __str__(self) -> str:
        return " ".join(self.obj)


@dataclass(frozen=True, eq=False)
class FloatItem:
    """One or several numbers, float [K]."""

    data: Tensor

    @property
    def obj(self) -> float | list[float]:
        values: list[float] = self.data.reshape(-1).tolist()
        return values[0] if len(values) == 1 else values

    def __str__(self) -> str:
        return " ".join(f"{value:.4g}" for value in self.data.reshape(-1).tolist())


@dataclass(frozen=True, eq=False)
class _Raster:
    """Something for every pixel: [channels, H, W]."""

    data: Tensor

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self.data.shape)

    @property
    def size(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.data.shape[-2], self.data.shape[-1]


@dataclass(frozen=True, eq=False)
class ImageSegment(_Raster):
    """A class for every pixel: int64 [1, H, W]."""

    def __str__(self) -> str:
        return f"ImageSegment {tuple(self.data.shape)}"


@dataclass(frozen=True, eq=False)
class ImagePoints:
    """Places in a picture: float [K, 2] of (y, x) in [-1, 1], the middles of the outermost pixels."""

    data: Tensor

    def pixels(self, size: tuple[int, int]) -> Tensor:
        """(y, x) in pixels of a picture of (rows, columns), float [K, 2]."""
        return scaled_to_pixels(self.data, size)

    def __str__(self) -> str:
        return "; ".join(f"{y:.3g}, {x:.3g}" for y, x in self.data.tolist())


@dataclass(frozen=True, eq=False)
class ImageItem(_Raster):
    """A picture: float [3, H, W] in [0, 1] (fastai's Image)."""

    def __str__(self) -> str:
        return f"Image {self.shape}"


Item = Category | MultiCategory | CategorySequence | FloatItem | ImageSegment | ImagePoints | ImageItem
