"""Learners of points: what they predict, average and show."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from support.dots import DOTS, dot_of, dotted_pictures
from support.labelled_data import quiet
from support.ranks import run_ranks
from torch import Tensor, nn

from learnfleet.trainer.data import DatasetType, ImageDataBunch
from learnfleet.trainer.data_options import Transforms
from learnfleet.trainer.errors import LearnerError
from learnfleet.trainer.interpret import Interpretation
from learnfleet.trainer.item_list import PointsItemList
from learnfleet.trainer.label_items import ImagePoints
from learnfleet.trainer.learner import Learner
from learnfleet.trainer.transform_components import rand_resize_crop
from learnfleet.trainer.transforms import get_transforms

SIDE = 64


class BrightestPlace(nn.Module):
    """Where a picture is bright, moved by a weight for each coordinate that is to become 0."""

    def __init__(self, start: float = 0.0) -> None:
        super().__init__()
        self.offset = nn.Parameter(torch.full((2,), start))

    def forward(self, x: Tensor) -> Tensor:
        share = torch.softmax(x.mean(dim=1).flatten(1) * 200, dim=1).view(len(x), x.shape[2], x.shape[3])
        y, x_ = (torch.linspace(-1, 1, side) for side in share.shape[1:])
        return torch.stack((share.sum(2) @ y, share.sum(1) @ x_), dim=1) + self.offset


def dots(root: Path, tfms: Transforms = None, bs: int = 2) -> ImageDataBunch:
    root.mkdir(parents=True, exist_ok=True)
    everything = range(len(DOTS))
    split = PointsItemList.from_folder(dotted_pictures(root)).split_by_idxs(everything, everything)
    return split.label_from_func(dot_of).transform(tfms, size=(SIDE, SIDE)).databunch(bs=bs)


@pytest.fixture
def learner(tmp_path: Path) -> Learner:
    return quiet(dots(tmp_path), BrightestPlace())


def test_f097_predict_of_points_gives_places_that_are_pixels_of_any_picture(learner: Learner, tmp_path: Path) -> None:
    item, points, raw = learner.predict(tmp_path / "square.png")
    assert isinstance(item, ImagePoints)
    assert (points.shape, raw.shape) == ((1, 2), (2,))
    assert torch.allclose(item.pixels((128, 128)), torch.tensor([dot_of(tmp_path / "square.png")]).float(), atol=0.7)
    (first, *_) = learner.pred_batch(reconstruct=True)
    assert isinstance(first, ImagePoints)


def test_f040_training_on_points_finds_the_weights_that_put_them_under_their_dots(tmp_path: Path) -> None:
    learner = quiet(dots(tmp_path, get_transforms(max_lighting=0, max_rotate=20)), BrightestPlace(0.3), wd=0)
    learner.fit(60, 0.03)
    assert learner.model.offset.abs().max() < 0.05  # type: ignore[operator, union-attr]
    assert float(learner.validate()[0]) < 2e-3


def test_f100_predictions_of_points_come_with_targets_and_losses(learner: Learner) -> None:
    preds, targets, losses = learner.get_preds(with_loss=True)
    assert (preds.shape, targets.shape) == ((4, 2), (4, 1, 2))
    assert torch.allclose(losses, (preds - targets[:, 0]).square().mean(dim=1), atol=1e-7)


def test_f101_variants_of_points_are_turned_back_before_they_are_averaged(tmp_path: Path) -> None:
    learner = quiet(dots(tmp_path, get_transforms(max_lighting=0)), BrightestPlace())
    plain, mean, _ = learner.TTA(beta=None, scale=1.1)
    assert (plain - mean).abs().max() < 0.02
    assert (learner.tta(n=3)[0] - plain).abs().max() < 0.02
    window = quiet(dots(tmp_path, ([rand_resize_crop(SIDE)], [])), BrightestPlace())
    with pytest.raises(LearnerError, match="cannot be turned back"):
        window.tta()


def test_f104_results_of_points_show_true_and_predicted_ones(learner: Learner) -> None:
    figure = learner.show_results(rows=2)
    assert [len(axes.collections) for axes in figure.axes] == [2] * 4
    true, predicted = (part.get_offsets()[0] for part in figure.axes[0].collections)
    assert abs(true - predicted).max() < 1
    assert figure.axes[0].get_xlim() == (-0.5, SIDE - 0.5)


def test_f104_results_of_test_pictures_show_predicted_points_alone(learner: Learner) -> None:
    learner.data.add_test([learner.data.train_ds.path(0)])  # type: ignore[attr-defined]
    figure = learner.show_results(DatasetType.Test, rows=1)
    assert len(figure.axes[0].collections) == 1


def test_f110_an_interpretation_of_points_lists_the_greatest_losses(learner: Learner) -> None:
    found = learner.interpret()
    assert type(found) is Interpretation
    worst = found.describe_top_losses(1)[0]
    assert worst.loss == pytest.approx(float(found.losses.max()))


def predict_dots(rank: int, folder: Path) -> dict[str, Any]:
    learner = quiet(dots(folder / f"dots{rank}", get_transforms(), bs=3), BrightestPlace(0.1))
    learner.fit(2, 0.01)
    return {"preds": [part.tolist() for part in learner.get_preds(with_loss=True)], "batches": learner.global_step}


def test_f100_two_ranks_predict_all_points_in_the_same_order(tmp_path: Path) -> None:
    first, second = run_ranks([predict_dots], tmp_path)["predict_dots"]
    assert first == second
    alone = predict_dots(0, tmp_path / "alone")
    for mine, theirs in zip(first["preds"], alone["preds"], strict=True):
        assert torch.allclose(torch.tensor(mine), torch.tensor(theirs), atol=1e-5)
