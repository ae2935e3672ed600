"""Inference: what a Learner says of pictures and data sets."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from learnfleet.trainer import learner_files
from learnfleet.trainer.data import DatasetType
from learnfleet.trainer.inference import Category, predict_loader, run_without_grad
from learnfleet.trainer.learner_core import LearnerCore
from learnfleet.trainer.losses import Activation, activation_of

if TYPE_CHECKING:
    from learnfleet.trainer.interpret import ClassificationInterpretation


class LearnerInference(LearnerCore):
    """The part of `Learner` that predicts."""

    def get_preds(
        self,
        ds_type: DatasetType = DatasetType.Valid,
        activ: Activation | None = None,
        with_loss: bool = False,
        n_batch: int | None = None,
    ) -> list[Tensor]:
        """[predictions [N, C], targets [N]], and losses [N] if asked for: in the dataset's order, on the CPU.

        Train is shuffled, augmented and without its last partial batch; Fix is the same pictures whole and plain.

        Args:
            activ: replaces the activation that suits the loss (softmax for cross entropy).
            n_batch: run only so many batches.
        """
        found = predict_loader(self.whole, self.data.dl(ds_type), with_loss=with_loss, n_batch=n_batch, activ=activ)
        losses = [found.losses] if found.losses is not None else []
        return [found.outputs, found.targets, *losses]

    def TTA(  # noqa: N802  # fastai's name
        self,
        beta: float | None = 0.4,
        scale: float = 1.35,
        ds_type: DatasetType = DatasetType.Valid,
        with_loss: bool = False,
    ) -> list[Tensor]:
        """As `get_preds`, averaged over eight zoomed and mirrored variants: preds * beta + mean * (1 - beta).

        beta None gives [plain predictions, mean of the variants, targets] instead. Train is taken as Fix. Every rank
        must call. Source: fastai v1 `TTA`; its losses were those of probabilities taken for raw outputs.
        """
        from learnfleet.trainer import tta

        ds_type = DatasetType.Fix if ds_type is DatasetType.Train else ds_type
        if beta is None:
            plain = predict_loader(self.whole, self.data.dl(ds_type))
            return [plain.outputs, tta.predict_variants(self.whole, ds_type, scale), plain.targets]
        found = tta.predict_tta(self.whole, ds_type, beta=beta, scale=scale, with_loss=with_loss)
        losses = [found.losses] if found.losses is not None else []
        return [found.outputs, found.targets, *losses]

    def pred_batch(self, ds_type: DatasetType = DatasetType.Valid, batch: Tensor | None = None) -> Tensor:
        """Probabilities [N, C] for inputs given, or for the first batch of a loader."""
        x = batch if batch is not None else next(iter(self.data.dl(ds_type).epoch(0))).x
        return run_without_grad(self.model, x.to(self.device), activation_of(self.loss_func))

    def predict(self, item: object) -> tuple[Category, Tensor, Tensor]:
        """(class, its index as 0-d int64, probabilities [C]) of a picture: a path, bytes, or a tensor [C, H, W].

        Files and bytes get the validation transforms; a tensor is taken as it is.
        """
        x = item.unsqueeze(0) if isinstance(item, Tensor) else learner_files.single_batch(self.whole, item)
        probabilities = self.pred_batch(batch=x)[0]
        index = int(probabilities.argmax())
        return Category(index, str(self.data.classes[index])), torch.tensor(index), probabilities

    def summary(self) -> str:
        """The model as a table: layers, shapes for one batch, parameters, what is trained."""
        from learnfleet.trainer.summary import summary

        return summary(self.whole)

    def interpret(self, ds_type: DatasetType = DatasetType.Valid) -> ClassificationInterpretation:
        """What the model gets wrong. Every rank must call."""
        from learnfleet.trainer.interpret import ClassificationInterpretation

        return ClassificationInterpretation.from_learner(self.whole, ds_type)
