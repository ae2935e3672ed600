"""Exports and learners, examined on data that they were not made with."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch
from support.labelled_data import category_data

from learnfleet.trainer import cnn_learner
from learnfleet.trainer.dataset import DatasetType
from learnfleet.trainer.examination import examine
from learnfleet.trainer.examined_data import learner_of_export, on_data
from learnfleet.trainer.learner import Learner


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> tuple[Learner, Path]:
    """A learner, and its export."""
    root = tmp_path_factory.mktemp("exported")
    learner = cnn_learner(category_data(root / "data", size=32), "resnet18", pretrained=False, silent=True)
    learner.fit(1, 1e-3)
    learner.path = root
    learner.export("model")
    return learner, root / "model"


def test_an_export_says_of_the_same_data_what_the_learner_said(exported: tuple[Learner, Path]) -> None:
    learner, folder = exported
    own, other = examine(learner), examine(learner_of_export(folder, learner.data.path))
    assert other.interpretation.classes == own.interpretation.classes
    assert torch.allclose(other.predictions.outputs, own.predictions.outputs, rtol=1e-4, atol=1e-5)
    assert torch.allclose(other.predictions.losses, own.predictions.losses, rtol=1e-4, atol=1e-5)  # type: ignore[arg-type]


def test_labels_are_matched_by_name_and_unknown_classes_are_named(
    exported: tuple[Learner, Path], tmp_path: Path
) -> None:
    learner, folder = exported
    for name, new in (("red", "red"), ("blue", "blue"), ("green", "teal")):  # no train and valid: all of it is one part
        shutil.copytree(Path(learner.data.path) / "valid" / name, tmp_path / new)
    with pytest.warns(UserWarning, match=r"3 items have unknown labels \(teal\)"):
        model = learner_of_export(folder, tmp_path)
    found = examine(model, DatasetType.Fix)
    assert found.interpretation.classes == ["blue", "green", "red"]
    assert [found.interpretation.y_true.tolist().count(place) for place in range(3)] == [3, 0, 3]
    assert found.curves[1].auroc is None
    with pytest.warns(UserWarning, match="teal"):
        learner_data = on_data(learner, tmp_path)
    before, learner.data = learner.data, learner_data
    try:
        again = examine(learner, DatasetType.Fix)
    finally:
        learner.data = before
    assert torch.allclose(again.predictions.outputs, found.predictions.outputs, rtol=1e-4, atol=1e-5)
