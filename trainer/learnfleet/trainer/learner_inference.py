"""Inference: what a Learner says of pictures and data sets."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader

from learnfleet.trainer import inputs
from learnfleet.trainer.batch import Batch, Loader, as_arguments
from learnfleet.trainer.dataset import DatasetType
from learnfleet.trainer.dataset_loader import loader_of
from learnfleet.trainer.decoding import checked_thresh, decode, target_stats, thresh_of
from learnfleet.trainer.errors import LearnerError
from learnfleet.trainer.inference import (
    Predictions,
    Progress,
    kind_of,
    plain_type,
    predict_loader,
    run_without_grad,
    tell_missing,
)
from learnfleet.trainer.label_items import Item
from learnfleet.trainer.learner_core import LearnerCore
from learnfleet.trainer.losses import Activation, activation_of, chosen_activation

Prediction = tuple[Item, Tensor, Tensor]
PredictionWithInput = tuple[Tensor, Item, Tensor, Tensor]


class LearnerInference(LearnerCore):
    """The part of `Learner` that predicts."""

    def dl(self, ds_type: DatasetType = DatasetType.Valid) -> Loader:
        """The loader of that part of the data. Raises LearnerError if there is none."""
        return self.data.dl(ds_type)

    # --- single items

    def predict(
        self,
        item: object,
        return_x: bool = False,
        batch_first: bool = True,
        with_dropout: bool = False,
        thresh: float | None = None,
    ) -> Prediction | PredictionWithInput:
        """(what is predicted, the same as a tensor, probabilities) of one item.

        Of one class: (Category, its index as 0-d int64, [C]); of several labels: (MultiCategory, zeros and ones [C],
        [C]); of numbers: (FloatItem, the numbers, the same); of points: (ImagePoints, (y, x) in [-1, 1] as [K, 2], the
        same as [2 K]); of masks: (ImageSegment, int64 [1, H, W], [C, H, W]); of pictures:
        (ImageItem, [3, H, W], the same).

        Args:
            item: a path, the bytes of a picture file, a PIL image, or uint8 pixels (tensor [C, H, W] or array
                [H, W, C]): these get the validation transforms. A float tensor is the model's input, taken as it is;
                a tuple of tensors is that of a model with several inputs.
            return_x: put the item as the model sees it before the three: pixels in [0, 1] of a picture.
            batch_first: False: the outputs have their items in dimension 1.
            with_dropout: dropout stays on.
            thresh: of several labels, those at least so probable. None: the loss's own, 0.5 unless it has another.

        Raises BadImage or LearnerError.
        """
        x = inputs.input_of(self.whole, item)
        activation = activation_of(self.loss_func)
        activated = run_without_grad(self.model, x, activation, self.precision, with_dropout=with_dropout)
        row = inputs.first_item(activated, batch_first=batch_first)
        thresh = thresh_of(self.loss_func) if thresh is None else checked_thresh(thresh)
        kind = kind_of(self.whole, activated if batch_first else activated.transpose(0, 1))
        found, prediction = decode(kind, row, self.data.classes, thresh, target_stats(self.data))
        if return_x:
            return inputs.as_pictures(self.data, inputs.first_item(x)).cpu(), found, prediction, row
        return found, prediction, row

    def predict_with_mc_dropout(self, item: object, n_times: int = 10) -> list[Prediction | PredictionWithInput]:
        """`predict` so many times with dropout on: how far the answers differ tells how sure the model is.

        Source: Gal & Ghahramani, "Dropout as a Bayesian approximation", 2016, arXiv:1506.02142.
        """
        return [self.predict(item, with_dropout=True) for _ in range(n_times)]

    def pred_batch(
        self,
        ds_type: DatasetType = DatasetType.Valid,
        batch: Batch | tuple[Any, Any] | Tensor | None = None,
        reconstruct: bool = False,
        with_dropout: bool = False,
        activ: Activation | str | None = None,
    ) -> Tensor | list[Item]:
        """Activated outputs [N, ...] of a batch: the one given, or the first of a dataset (every rank must call then).

        Args:
            ds_type: Train means Fix.
            batch: a Batch, a pair (x, y), or the inputs alone.
            reconstruct: the items that are predicted instead of tensors.
            activ: as of `get_preds`.
        """
        if batch is None:
            loader, activation = self.data.dl(plain_type(ds_type)), chosen_activation(activ)
            found = predict_loader(self.whole, loader, n_batch=1, activ=activation, with_dropout=with_dropout)
            outputs = found.outputs
        else:
            x = _inputs_of(batch)
            moved = tuple(part.to(self.device) for part in as_arguments(x))
            activation = chosen_activation(activ) or activation_of(self.loss_func)
            outputs = run_without_grad(self.model, moved, activation, self.precision, with_dropout=with_dropout)
        if not reconstruct:
            return outputs
        kind, thresh = kind_of(self.whole, outputs), thresh_of(self.loss_func)
        stats = target_stats(self.data)
        return [decode(kind, row, self.data.classes, thresh, stats)[0] for row in outputs]

    def backward(self, item: object, target: Tensor | int | None = None) -> Tensor:
        """Send the gradient of an item's loss through the model, for hooks; its weights are not changed.

        The gradients stay in the parameters until the next fit begins. Returns the loss.

        Args:
            item: as in `predict`.
            target: None: what the model predicts. (fastai v1: class 0 whatever the item.)
        """
        x = inputs.input_of(self.whole, item)
        self.model.eval().zero_grad()
        with torch.enable_grad():
            raw = as_arguments(self.model(*as_arguments(x)))[0]
            loss = self.loss_func(raw, self._target_of(raw, target))
            torch.autograd.backward(loss)
        return loss.detach().cpu()

    def _target_of(self, raw: Tensor, target: Tensor | int | None) -> Tensor:
        if target is not None:
            return torch.as_tensor(target, device=raw.device).unsqueeze(0)
        activated = activation_of(self.loss_func)(raw.detach())
        _, prediction = decode(kind_of(self.whole, raw), activated[0], self.data.classes, thresh_of(self.loss_func))
        return prediction.unsqueeze(0)

    # --- data sets

    def get_preds(
        self,
        ds_type: DatasetType = DatasetType.Valid,
        activ: Activation | str | None = None,
        with_loss: bool = False,
        n_batch: int | None = None,
        pbar: Progress | None = None,
        *,
        dl: Loader | DataLoader[Any] | None = None,
    ) -> list[Any]:
        """[predictions [N, ...], targets [N, ...]], and losses [N] if asked for: in the dataset's order, on the CPU.

        Every rank must call; all get everything. Items that cannot be read have no row, and are told of as a warning
        with their positions. Several outputs or targets are tuples of tensors. Losses are of the
        raw outputs, one an item: of masks the mean over the pixels.

        Args:
            ds_type: Train means Fix: the same items whole, plain and in order. (In fastai v1 they come shuffled,
                augmented and without the last partial batch.) The targets of Test are 0.
            activ: replaces the activation that suits the loss (softmax for cross entropy): a function, or "none" (raw
                outputs), "softmax" or "sigmoid".
            n_batch: run only so many batches.
            pbar: called with (batches done, of how many) after each.
            dl: any loader instead, such as `data.train_dl` for augmented training items, or a torch DataLoader, whose
                items are taken in their order.
        """
        loader = self.data.dl(plain_type(ds_type)) if dl is None else loader_of(dl, self.device)
        activation = chosen_activation(activ)
        found = predict_loader(
            self.whole, loader, with_loss=with_loss, n_batch=n_batch, activ=activation, progress=pbar
        )
        if dl is None:
            tell_missing(loader, found, n_batch)
        return _as_list(found)

    def TTA(  # noqa: N802  # fastai's name
        self,
        beta: float | None = 0.4,
        scale: float = 1.35,
        ds_type: DatasetType = DatasetType.Valid,
        activ: Activation | str | None = None,
        with_loss: bool = False,
    ) -> list[Tensor]:
        """As `get_preds`, averaged over eight zoomed and mirrored variants: preds * beta + mean * (1 - beta).

        Every rank must call; Train means Fix. Masks are turned back before they are averaged.

        Args:
            beta: None gives [plain predictions, mean of the variants, targets] instead.
            scale: of the zoom into each corner. The training transforms are applied too, but for crop, flip,
                symmetries and zoom; what they draw depends on the seed, the item and the variant alone.
            with_loss: losses of the averaged probabilities. (fastai v1 takes these for raw outputs, and gives 0.709
                where 0.256 is right.)

        Source: fastai v1 `TTA`.
        """
        from learnfleet.trainer import tta

        ds_type = plain_type(ds_type)
        if beta is None:
            if with_loss:
                raise LearnerError(
                    "with_loss",
                    "beta=None gives two predictions, and losses belong to one: give a beta, or take the losses of the"
                    " plain predictions from get_preds(with_loss=True)",
                )
            plain, mean = tta.plain_and_mean(self.whole, ds_type, scale, chosen_activation(activ))
            tell_missing(self.data.dl(ds_type), plain)
            return [plain.outputs, mean, plain.targets]
        found = tta.predict_tta(
            self.whole, ds_type, beta=beta, scale=scale, activ=chosen_activation(activ), with_loss=with_loss
        )
        tell_missing(self.data.dl(ds_type), found)
        return _as_list(found)

    def tta(
        self,
        ds_type: DatasetType = DatasetType.Valid,
        n: int = 4,
        beta: float = 0.25,
        use_max: bool = False,
        activ: Activation | str | None = None,
    ) -> list[Tensor]:
        """[predictions, targets] averaged over `n` passes with the whole training augmentation (fastai v2 `tta`).

        preds * beta + mean * (1 - beta), or under `use_max` the greater of the two. Every rank must call; Train means
        Fix. Masks are turned back before they are averaged.
        """
        from learnfleet.trainer import tta

        ds_type = plain_type(ds_type)
        found = tta.predict_augmented(
            self.whole, ds_type, n=n, beta=beta, use_max=use_max, activ=chosen_activation(activ)
        )
        tell_missing(self.data.dl(ds_type), found)
        return _as_list(found)


def _inputs_of(batch: Batch | tuple[Any, Any] | Tensor) -> Any:
    if isinstance(batch, Batch):
        return batch.x
    if isinstance(batch, Tensor):
        return batch
    if len(batch) != 2:
        raise LearnerError("batch", f"a pair (inputs, targets) is wanted, not {len(batch)} parts")
    return batch[0]


def _as_list(found: Predictions) -> list[Any]:
    outputs = (found.outputs, *found.more_outputs) if found.more_outputs else found.outputs
    targets = (found.targets, *found.more_targets) if found.more_targets else found.targets
    return [outputs, targets, *([] if found.losses is None else [found.losses])]
