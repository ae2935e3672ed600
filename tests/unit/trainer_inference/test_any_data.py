"""Inference on data bunches of any dataset, which have neither files nor pictures."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from support.labelled_data import body_and_head
from torch.utils.data import TensorDataset

from learnfleet.trainer.data_bunch import DataBunch
from learnfleet.trainer.dataset import DatasetType
from learnfleet.trainer.errors import LearnerError
from learnfleet.trainer.learner import Learner


def a_bunch(path: Path) -> DataBunch:
    generator = torch.Generator().manual_seed(0)
    parts = [TensorDataset(torch.rand(n, 3, 16, 16, generator=generator), torch.arange(n) % 3) for n in (10, 7)]
    return DataBunch.create(*parts, path=path, bs=4, num_workers=0)


def test_f097_f100_items_and_data_sets_of_any_dataset_are_predicted(tmp_path: Path) -> None:
    data = a_bunch(tmp_path)
    learner = Learner(data, body_and_head(3), silent=True)
    preds, targets, losses = learner.get_preds(with_loss=True)
    assert targets.tolist() == [0, 1, 2, 0, 1, 2, 0]
    assert torch.allclose(losses, -preds[range(7), targets].log(), atol=1e-5)
    assert learner.get_preds(DatasetType.Train)[1].tolist() == [index % 3 for index in range(10)]
    category, index, probabilities = learner.predict(torch.rand(3, 16, 16))
    assert str(category) == str(int(index))
    assert probabilities.shape == (3,)
    with pytest.raises(LearnerError, match="give a tensor"):
        learner.predict("picture.jpg")


def test_f104_f105_f111_what_can_be_seen_of_any_dataset_is_shown(tmp_path: Path) -> None:
    learner = Learner(a_bunch(tmp_path), body_and_head(3), silent=True)
    found = learner.interpret()
    assert len(found.plot_top_losses(4, heatmap=True).axes) == 4
    assert found.confusion_matrix().sum() == 7  # type: ignore[attr-defined]
    assert len(learner.show_results(rows=2).axes) == 4
