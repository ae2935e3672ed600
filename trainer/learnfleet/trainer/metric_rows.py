"""What metrics of whole data sets note of each item: a row of numbers."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from learnfleet.trainer.callback import snake_case
from learnfleet.trainer.errors import LearnerError
from learnfleet.trainer.metrics import misfit


class Rows:
    """Notes rows of numbers."""

    def __init__(self) -> None:
        self.reset()

    @property
    def name(self) -> str:
        """The class's name in snake case, as fastai has it."""
        return snake_case(type(self).__name__)

    def reset(self) -> None:
        self._noted: list[Tensor] = []

    def update(self, output: Any, target: Any) -> None:
        try:
            noted = self.note(output, target)
        except (RuntimeError, IndexError, ValueError) as error:
            raise misfit(self.name, output, target) from error
        self._noted.append(noted.detach().cpu().double().reshape(len(noted), -1))

    def note(self, output: Tensor, target: Tensor) -> Tensor:
        """A row an item."""
        raise LearnerError("metrics", f"{type(self).__name__} notes nothing")

    def rows(self) -> Tensor:
        return torch.cat(self._noted) if self._noted else torch.empty(0, 0, dtype=torch.float64)


class ClassRows(Rows):
    """Notes (predicted class, true class, number of classes) of items with outputs [..., C]."""

    def note(self, output: Tensor, target: Tensor) -> Tensor:
        if output.shape[:-1].numel() != target.numel():
            raise misfit(self.name, output, target)
        predicted, true = output.argmax(dim=-1).reshape(-1), target.reshape(-1)
        return torch.stack([predicted, true, torch.full_like(true, output.shape[-1])], dim=1)

    def of_rows(self, rows: Tensor) -> float:
        return self.of_classes(rows[:, 0].long(), rows[:, 1].long(), int(rows[0, 2]))

    def of_classes(self, predicted: Tensor, true: Tensor, n: int) -> float:
        """The value from the classes of all items."""
        raise LearnerError("metrics", f"{type(self).__name__} gives nothing")


class ProbabilityRows(Rows):
    """Notes (probabilities of all classes, true class) of items with outputs [..., C]."""

    def note(self, output: Tensor, target: Tensor) -> Tensor:
        p = F.softmax(output.double(), dim=-1).reshape(-1, output.shape[-1])
        if len(p) != target.numel():
            raise misfit(self.name, output, target)
        return torch.cat([p, target.reshape(-1, 1).double()], dim=1)


class NumberRows(Rows):
    """Notes (output, target) of every number."""

    def note(self, output: Tensor, target: Tensor) -> Tensor:
        if output.numel() != target.numel():
            raise misfit(self.name, output, target)
        return torch.stack([output.reshape(-1).double(), target.reshape(-1).double()], dim=1)

    def of_rows(self, rows: Tensor) -> float:
        return self.of_numbers(rows[:, 0], rows[:, 1])

    def of_numbers(self, p: Tensor, t: Tensor) -> float:
        """The value from all outputs and targets."""
        raise LearnerError("metrics", f"{type(self).__name__} gives nothing")
