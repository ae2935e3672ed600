"""In which floating-point format a model computes. Weights, gradients and the optimiser's state stay float32."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

from learnfleet.trainer.batch import as_arguments
from learnfleet.trainer.errors import LearnerError

_DTYPES = {"fp32": None, "fp16": torch.float16, "bf16": torch.bfloat16}
_PLAIN = nullcontext()  # shared: the loop enters it at every step


@dataclass(frozen=True)
class Precision:
    """float32 where nothing is said, else torch's autocast: each operation in the format that it can bear.

    Args:
        dtype: torch.float16 or torch.bfloat16; None: float32 throughout.
        loss_fp32: outputs are made float32 before the loss, which is then computed in float32.
    """

    dtype: torch.dtype | None = None
    device_type: str = "cpu"
    loss_fp32: bool = True

    @property
    def name(self) -> Literal["fp32", "fp16", "bf16"]:
        """As a spec has it."""
        if self.dtype is None:
            return "fp32"
        return "fp16" if self.dtype is torch.float16 else "bf16"

    @classmethod
    def named(cls, name: str, device_type: str = "cpu") -> Precision:
        """By its name in a spec. Raises LearnerError for another."""
        if name not in _DTYPES:
            raise LearnerError("precision", f"{name!r} is none of {', '.join(_DTYPES)}")
        return cls(_DTYPES[name], device_type)

    def autocast(self) -> AbstractContextManager[object]:
        """What a model is called in."""
        return _PLAIN if self.dtype is None else torch.autocast(self.device_type, self.dtype)

    def autocast_loss(self) -> AbstractContextManager[object]:
        """What a loss is computed in."""
        return _PLAIN if self.loss_fp32 else self.autocast()

    def run(self, model: nn.Module, inputs: Any) -> Any:
        """The model's outputs for a batch's inputs."""
        if self.dtype is None:
            return model(*as_arguments(inputs))
        with torch.autocast(self.device_type, self.dtype):
            output = model(*as_arguments(inputs))
        return to_float(output) if self.loss_fp32 else output


def to_float(values: Any) -> Any:
    """Floating-point tensors in tuples and lists as float32; anything else as it is."""
    if isinstance(values, Tensor):
        return values.float() if values.is_floating_point() else values
    if isinstance(values, tuple | list):
        return type(values)(to_float(value) for value in values)
    return values
