"""Predictions, augmented ones and the interpretation job on two ranks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch.nn.functional as F
from support.labelled_data import body_and_head, category_data, masks_data, pixel_model, quiet
from support.memory_data import MemoryData, MemoryLoader, a_learner
from support.ranks import run_ranks
from torch.utils.data import DataLoader, TensorDataset

from learnfleet.trainer.dataset import DatasetType
from learnfleet.trainer.inference import predict_loader
from learnfleet.trainer.loss_functions import BCEWithLogitsFlat, CrossEntropyFlat
from learnfleet.trainer.run_context import RunContext
from learnfleet.trainer.run_interpret import run_interpret
from learnfleet.trainer.transforms import get_transforms

N_VALID = 11  # batches of 5 are 3+2, 3+2, 1+0 on two ranks


def predict_everything(rank: int, folder: Path) -> dict[str, Any]:
    """Predictions of several kinds; one rank has fewer batches than the other."""
    learner = a_learner(MemoryData(n_valid=N_VALID))
    one_item = a_learner(MemoryData(n_valid=1))
    labels = MemoryData(n_valid=N_VALID)
    hot = F.one_hot(labels.valid_dl.y, 3).float()
    labels.valid_dl = MemoryLoader(labels.valid_dl.x, hot, 5, train=False)
    of_labels = a_learner(labels, loss_func=BCEWithLogitsFlat())
    pictures = masks_data(folder / f"masks{rank}", n=9)
    of_masks = quiet(pictures, pixel_model(), loss_func=CrossEntropyFlat(axis=1, ignore_index=2))
    few = predict_loader(of_masks, pictures.dl(DatasetType.Single), with_loss=True, masks_only=True)
    return {
        "classes": [part.tolist() for part in learner.get_preds(with_loss=True)],
        "two batches": learner.get_preds(n_batch=2)[1].tolist(),
        "first batch": learner.pred_batch().tolist(),
        "train": learner.get_preds(DatasetType.Train)[1].tolist(),
        "one item": [part.tolist() for part in one_item.get_preds(with_loss=True)],
        "labels": [part.tolist() for part in of_labels.get_preds(with_loss=True)],
        "masks": [few.outputs.tolist(), few.targets.tolist(), few.losses.tolist()],  # type: ignore[union-attr]
        "own loader": learner.get_preds(dl=_own_loader(labels))[1].tolist(),
        "validate": learner.validate(_own_loader(labels)),
        "show": len(of_masks.show_results(rows=2).axes),
    }


def _own_loader(data: MemoryData) -> DataLoader[Any]:
    """Of classes that the model knows, as torch makes it."""
    return DataLoader(TensorDataset(data.valid_dl.x, data.valid_dl.y.argmax(dim=1)), 4)


def tta_of_pictures(rank: int, folder: Path) -> dict[str, Any]:
    """TTA of pictures that are augmented at random."""

    learner = quiet(category_data(folder / f"pictures{rank}", tfms=get_transforms()), body_and_head(3))
    return {
        "TTA": [part.tolist() for part in learner.TTA(with_loss=True)],
        "tta": learner.tta(n=2)[0].tolist(),
        "interpret": learner.interpret(tta=True).confusion_matrix().tolist(),  # type: ignore[attr-defined]
    }


@pytest.fixture(scope="module")
def two_ranks(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return run_ranks([predict_everything, tta_of_pictures, interpretation_job], tmp_path_factory.mktemp("ranks"))


def flat(value: Any) -> list[float]:
    return [number for part in value for number in flat(part)] if isinstance(value, list) else [float(value)]


@pytest.mark.parametrize("function", [predict_everything, tta_of_pictures])
def test_f100_f101_f102_two_ranks_give_what_one_process_gives_in_the_same_order(
    function: Any, two_ranks: dict[str, Any], tmp_path: Path
) -> None:
    alone = function(0, tmp_path)
    for seen in two_ranks[function.__name__]:
        for name, value in alone.items():
            assert flat(seen[name]) == pytest.approx(flat(value), rel=1e-4, abs=1e-5), name


def interpretation_job(rank: int, folder: Path) -> dict[str, Any]:
    """The job on one rank, with pictures of its own, one of them broken."""
    data = category_data(folder / f"data{rank}")
    data.valid_ds.path(4).write_bytes(b"broken")
    context = RunContext("job", 1, lambda *event: None, lambda: False, folder / "checkpoints")
    learner = quiet(data, body_and_head(3))
    found = run_interpret(learner, context, top_losses=3, min_confused=1, output_dir=folder)
    return {**found, "pictures": [picture["name"] for picture in found["pictures"]]}


def test_f105_two_ranks_find_what_one_process_finds_and_rank_0_draws_it(
    two_ranks: dict[str, Any], tmp_path: Path
) -> None:
    ranks, alone = two_ranks["interpretation_job"], interpretation_job(0, tmp_path)
    assert ranks[0]["pictures"] == alone["pictures"]
    assert ranks[1]["pictures"] == []
    for seen in ranks:
        assert seen["skipped_images"] == alone["skipped_images"] == 1
        for name in ("examples", "confusion_matrix", "accuracy", "most_confused", "class_report"):
            assert seen[name] == alone[name], name
        assert seen["loss"] == pytest.approx(alone["loss"], rel=1e-5)
        assert [item["path"] for item in seen["top_losses"]] == [item["path"] for item in alone["top_losses"]]
