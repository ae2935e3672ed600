"""Numbers in rows and columns, for a client that needs neither torch nor NumPy."""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator, Sequence
from importlib import import_module
from typing import Any, TypeAlias

_BYTES = {"f": 4, "d": 8, "q": 8}
_DTYPES = {"f": "float32", "d": "float64", "q": "int64"}

Nested: TypeAlias = "float | int | list[Any]"


class Array:
    """A table of numbers of any dimensions that cannot be changed.

    `array[3]`, `array[3, 1]`, `array[2:5]`, `len(array)`, loops and `.tolist()` work as NumPy's and torch's do, and
    `numpy.asarray(array)` copies nothing.
    """

    def __init__(self, content: bytes | bytearray | memoryview, code: str, shape: Sequence[int]) -> None:
        """Args:
        content: native numbers, row after row.
        code: "f" (float32), "d" (float64) or "q" (int64).
        """
        self._flat: memoryview[Any] = memoryview(content).cast("B").cast(code)  # type: ignore[call-overload]
        self._code, self.shape = code, tuple(shape)
        if math.prod(self.shape) != len(self._flat):
            raise ValueError(f"{len(self._flat)} numbers do not fill the shape {self.shape}")

    @classmethod
    def of(cls, values: Sequence[float], code: str = "d") -> Array:
        """One row of numbers."""
        return cls(struct.pack(f"={len(values)}{code}", *values), code, (len(values),))

    @classmethod
    def little_endian(cls, content: bytes | bytearray, shape: Sequence[int]) -> Array:
        """Of float32 as they travel."""
        count = len(content) // _BYTES["f"]
        is_native = struct.pack("=f", 1.0) == struct.pack("<f", 1.0)
        return cls(
            content if is_native else struct.pack(f"={count}f", *struct.unpack(f"<{count}f", content)), "f", shape
        )

    def whole(self) -> Array:
        """The same as int64."""
        return Array(struct.pack(f"={len(self._flat)}q", *(round(value) for value in self._flat)), "q", self.shape)

    def reshaped(self, shape: Sequence[int]) -> Array:
        """The same numbers in another shape. Raises ValueError where they do not fill it."""
        return Array(bytes(self._flat), self._code, shape)

    @property
    def dtype(self) -> str:
        return _DTYPES[self._code]

    @property
    def ndim(self) -> int:
        return len(self.shape)

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError("a single number has no length")
        return self.shape[0]

    def __getitem__(self, key: int | slice | tuple[int | slice, ...]) -> Any:
        first, *rest = key if isinstance(key, tuple) else (key,)
        if isinstance(first, slice):
            rows = [self[row] for row in range(*first.indices(len(self)))]
            return self._joined([row[tuple(rest)] for row in rows] if rest else rows)
        row = self._row(int(first))
        return row[tuple(rest)] if rest else row

    def _row(self, number: int) -> Any:
        count = len(self)
        if not -count <= number < count:
            raise IndexError(f"there is no row {number}: there are {count}")
        width = math.prod(self.shape[1:])
        start = number % count * width
        if len(self.shape) == 1:
            return self._flat[start]
        return Array(self._flat[start : start + width], self._code, self.shape[1:])

    def _joined(self, rows: Sequence[Any]) -> Array:
        """Rows, which are arrays or numbers, as one array."""
        if rows and isinstance(rows[0], Array):
            return Array(b"".join(bytes(row._flat) for row in rows), self._code, (len(rows), *rows[0].shape))
        if not rows and self.ndim > 1:
            return Array(b"", self._code, (0, *self.shape[1:]))
        return Array.of(rows, self._code)

    def __iter__(self) -> Iterator[Any]:
        return (self._row(number) for number in range(len(self)))

    def tolist(self) -> Any:
        """Nested lists of Python's numbers."""
        return self._flat.tolist() if self.ndim == 1 else [row.tolist() for row in self]

    def argmax(self, dim: int | None = None) -> Any:
        """Where the greatest number is: over all, or the last dimension of two (`dim=1` or -1) as an Array."""
        if dim is None or self.ndim == 1:
            return max(range(len(self._flat)), key=self._flat.__getitem__)
        if self.ndim != 2 or dim not in (1, -1):
            raise ValueError(f"argmax of {self.ndim} dimensions over {dim} is not possible here: numpy.asarray(it) is")
        return Array.of([row.argmax() for row in self], "q")

    def max(self) -> Any:
        return max(self._flat)

    def min(self) -> Any:
        return min(self._flat)

    def sum(self) -> Any:
        return math.fsum(self._flat) if self._code != "q" else sum(self._flat)

    def mean(self) -> float:
        return float(self.sum() / len(self._flat))

    def numpy(self) -> Any:
        """As a NumPy array, where that is installed."""
        return import_module("numpy").asarray(self)  # whoever asks has it; this package does without

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        made = import_module("numpy").asarray(self._flat).reshape(self.shape)
        return made if dtype is None else made.astype(dtype)

    def __repr__(self) -> str:
        if len(self._flat) > 1000:
            return f"Array({self.dtype} {list(self.shape)})"
        return f"Array({self.tolist()})"
