"""Explanations of what a learner says as it is, without an export. See `explain`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from learnfleet.trainer import explain as explaining
from learnfleet.trainer.data_spec import LabelKind
from learnfleet.trainer.decoding import decode, target_stats, thresh_of
from learnfleet.trainer.errors import LearnerError
from learnfleet.trainer.eval_transform import EvalTransform
from learnfleet.trainer.inference import run_without_grad
from learnfleet.trainer.losses import activation_of
from learnfleet.trainer.pixels import normalized
from learnfleet.trainer.precision import Precision
from learnfleet.trainer.prediction import Prediction

if TYPE_CHECKING:
    from learnfleet.trainer.learner import Learner


@runtime_checkable
class _PictureData(Protocol):
    @property
    def eval_transform(self) -> EvalTransform: ...


@dataclass(frozen=True)
class _AsPredictor:
    """A learner that answers for pictures as its export would. Its model is neither copied nor changed."""

    learner: Learner
    transform: EvalTransform
    kind: LabelKind

    @property
    def model(self) -> nn.Module:
        return self.learner.model

    @property
    def classes(self) -> tuple[str, ...]:
        return tuple(str(name) for name in self.learner.data.classes)

    @property
    def device(self) -> torch.device:
        return self.learner.device

    @property
    def precision(self) -> Precision:
        return self.learner.precision

    def predict_pixels(self, pixels: Tensor) -> Prediction:
        learner, stats = self.learner, (self.transform.mean, self.transform.std)
        x = normalized(pixels.unsqueeze(0), stats).to(learner.device)
        row = run_without_grad(learner.model, x, activation_of(learner.loss_func), learner.precision)[0]
        found = decode(self.kind, row, learner.data.classes, thresh_of(learner.loss_func), target_stats(learner.data))
        return Prediction(self.kind, *found, row)


def explain(learner: Learner, item: object, method: str, class_name: str) -> explaining.Explanation:
    """See `Learner.explain`. Each rank may call, for itself."""
    if not isinstance(learner.data, _PictureData):
        raise LearnerError("data", "it has no transform of its own for pictures: only `ImageDataBunch` has")
    kind = getattr(learner.data, "kind", LabelKind.CATEGORY)
    return explaining.explain(
        _AsPredictor(learner, learner.data.eval_transform, kind), item, method, class_name or None
    )
