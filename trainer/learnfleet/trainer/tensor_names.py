"""Tensors by name, held against the tensors of a model: what is missing, unknown or of another shape.

Imports no torch: shapes are compared, which a file tells without its tensors.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from torch import Tensor

Shape: TypeAlias = tuple[int, ...]
NAMES_SHOWN = 5
_WRAPPER = "module."  # what DataParallel and DistributedDataParallel put before every name


@dataclass(frozen=True)
class Mismatch:
    """How the tensors of a file differ from those of a model."""

    missing: tuple[str, ...]  # in the model only
    unknown: tuple[str, ...]  # in the file only
    misshapen: tuple[str, ...]  # "<name> is [4, 8] instead of [3, 8]"

    def describe(self) -> str:
        """The first names of each kind, and how many there are; empty where nothing differs."""
        parts = (("of another shape", self.misshapen), ("missing", self.missing), ("unknown", self.unknown))
        return " ".join(f"{list_names(what, names)}." for what, names in parts if names)


def shapes_of(tensors: Mapping[str, Tensor]) -> dict[str, Shape]:
    return {name: tuple(value.shape) for name, value in tensors.items()}


def compare(expected: Mapping[str, Shape], found: Mapping[str, Shape]) -> Mismatch:
    """How `found` differs from `expected`."""
    return Mismatch(
        tuple(name for name in expected if name not in found),
        tuple(sorted(name for name in found if name not in expected)),
        tuple(
            f"{name} is {list(found[name])} instead of {list(shape)}"
            for name, shape in expected.items()
            if name in found and found[name] != shape
        ),
    )


def list_names(what: str, names: Sequence[str]) -> str:
    """`7 missing: a, b, c, d, e and 2 more`."""
    more = f" and {len(names) - NAMES_SHOWN} more" if len(names) > NAMES_SHOWN else ""
    return f"{len(names)} {what}: {', '.join(names[:NAMES_SHOWN])}{more}"


def without_wrapper(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Names without the `module.` of a parallel wrapper, where they have it (fastai v1 cut seven letters off all)."""
    return {name.removeprefix(_WRAPPER): value for name, value in tensors.items()}


def has_wrapper(tensors: Mapping[str, Tensor]) -> bool:
    return bool(tensors) and all(name.startswith(_WRAPPER) for name in tensors)
