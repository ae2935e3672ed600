"""One run of a model over a data set, from which everything of an examination is read."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from learnfleet.trainer import dataset_items
from learnfleet.trainer.dataset import DatasetType
from learnfleet.trainer.embeddings import body_of
from learnfleet.trainer.errors import LearnerError
from learnfleet.trainer.inference import Predictions, plain_type, predict_loader
from learnfleet.trainer.kept_predictions import KeptPredictions, origin_of
from learnfleet.trainer.tta import predict_tta

if TYPE_CHECKING:
    from learnfleet.trainer.learner import Learner


def one_pass(
    learner: Learner, ds_type: DatasetType, *, tta: bool = False, embed: bool = False, cache: Path | None = None
) -> Predictions:
    """Predictions with losses; of masks the most probable class alone. Every rank must call.

    Args:
        tta: average over test-time augmentations; there are no embeddings of these.
        embed: embeddings too, where the model has a body.
        cache: a folder that all ranks see, with predictions that need not be made again. None: none are kept.

    Raises LearnerError for data without labels or items, and Interrupted.
    """
    ds_type = plain_type(ds_type)
    dataset_items.require_labels(ds_type)
    kept = None if cache is None else KeptPredictions(cache)
    embed = embed and not tta and body_of(learner.model) is not None
    origin = None if kept is None else origin_of(learner, ds_type, tta=tta)
    needs = ("losses", "embeddings") if embed else ("losses",)
    found = None if kept is None else kept.get(learner, origin, needs)
    if found is not None:
        return found
    loader = learner.data.dl(ds_type)
    if tta:
        found = predict_tta(learner, ds_type, with_loss=True, masks_only=True)
    else:
        found = predict_loader(learner, loader, with_loss=True, masks_only=True, embed=embed)
    if not len(found.indices):
        raise LearnerError("ds_type", f"the {ds_type.name} data has no item that can be read")
    if kept is not None:
        kept.put(learner, origin, found, len(getattr(loader, "dataset", ())))
    return found
