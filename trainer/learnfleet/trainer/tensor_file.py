"""Tensors as a safetensors file that is on the disk when the call returns."""

from __future__ import annotations

import os
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor


def write(path: Path, tensors: dict[str, Tensor]) -> None:
    """Write a new file and force it to the disk. Equal tensors give equal bytes. Raises OSError.

    To the file at once: making its bytes in memory first would hold the interpreter, and training with it, for 0.2 s.
    """
    try:
        save_file(tensors, path)
    except SafetensorError as error:  # what it says of a full disk, too
        raise OSError(str(error)) from error
    path.chmod(path.parent.stat().st_mode & 0o666)  # the library's is for its owner alone
    with path.open("rb+") as file:
        os.fsync(file.fileno())
