"""The names and shapes in a safetensors file, from its first bytes. Imports no torch.

Source of the layout: https://github.com/huggingface/safetensors#format.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from learnfleet.trainer.errors import LearnerError
from learnfleet.trainer.tensor_names import Shape

_LENGTH_BYTES = 8
_MAX_HEADER_BYTES = 16 * 1024 * 1024  # thousands of tensors take one; the format allows 100 MB
_METADATA = "__metadata__"


def read_shapes(path: Path) -> dict[str, Shape]:
    """Shapes by name. Raises LearnerError for a file that is no safetensors, or that ends before its tensors do."""
    try:
        return _read(path)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError) as error:
        raise LearnerError("weights.path", f"{path.name} is not a file of plain tensors ({error})") from error


def _read(path: Path) -> dict[str, Shape]:
    size = path.stat().st_size
    with path.open("rb") as file:
        length = int.from_bytes(file.read(_LENGTH_BYTES), "little")
        if not 0 < length <= min(size - _LENGTH_BYTES, _MAX_HEADER_BYTES):
            raise ValueError(f"a header of {length} bytes in a file of {size}")
        entries: dict[str, Any] = json.loads(file.read(length))
    entries.pop(_METADATA, None)
    end = max((int(entry["data_offsets"][1]) for entry in entries.values()), default=0)
    if _LENGTH_BYTES + length + end > size:
        raise ValueError(f"it has {size} of {_LENGTH_BYTES + length + end} bytes; copy it again")
    return {name: tuple(int(side) for side in entry["shape"]) for name, entry in entries.items()}
