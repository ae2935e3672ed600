"""Learners that make pictures of pictures: what they predict, average and show."""

from __future__ import annotations

import base64
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from support.dots import DOTS, dotted_pictures
from support.labelled_data import quiet
from support.ranks import run_ranks
from torch import Tensor, nn

from learnfleet.trainer import load_learner, load_predictor, unet_learner
from learnfleet.trainer.data import DatasetType, ImageDataBunch
from learnfleet.trainer.interpret import Interpretation
from learnfleet.trainer.item_list import ImageImageList
from learnfleet.trainer.label_items import ImageItem
from learnfleet.trainer.learner import Learner
from learnfleet.trainer.pixels import IMAGENET
from learnfleet.trainer.transforms import get_transforms

SIDE = 64


class Scaled(nn.Module):
    """Its input, brighter or darker by a weight that is to become 1."""

    def __init__(self, start: float = 1.0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(start))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.weight


def pictures(root: Path, do_y: bool = True, bs: int = 2, tfms: Any = None) -> ImageDataBunch:
    """Pictures that are their own targets."""
    root.mkdir(parents=True, exist_ok=True)
    everything = range(len(DOTS))
    split = ImageImageList.from_folder(dotted_pictures(root)).split_by_idxs(everything, everything)
    labelled = split.label_from_func(lambda file: file).transform(tfms, size=(SIDE, SIDE))
    return labelled.databunch(bs=bs).normalize(IMAGENET, do_y=do_y)


@pytest.fixture
def learner(tmp_path: Path) -> Learner:
    return quiet(pictures(tmp_path), Scaled())


def test_f097_predict_of_a_picture_gives_one_with_pixels_whatever_targets_are_normalised_by(
    learner: Learner, tmp_path: Path
) -> None:
    x, item, prediction, raw = learner.predict(tmp_path / "square.png", return_x=True)  # type: ignore[misc]
    assert isinstance(item, ImageItem)
    assert item.size == (SIDE, SIDE)
    assert torch.allclose(item.data, x, atol=1e-5)
    assert torch.equal(prediction, raw)
    assert float(raw.min()) < -1
    plain = quiet(pictures(tmp_path / "plain", do_y=False), Scaled())
    found = plain.predict(tmp_path / "square.png")
    assert torch.equal(found[0].data, found[1].clamp(0, 1))


def test_f040_training_on_pictures_finds_the_weight_that_keeps_them(tmp_path: Path) -> None:
    learner = quiet(pictures(tmp_path, tfms=get_transforms()), Scaled(0.5), wd=0)
    learner.fit(40, 0.05)
    assert float(learner.model.weight.detach()) == pytest.approx(1, abs=0.05)  # type: ignore[operator, union-attr]


def test_f100_predictions_of_pictures_come_with_targets_and_losses(learner: Learner) -> None:
    preds, targets, losses = learner.get_preds(with_loss=True)
    assert preds.shape == targets.shape == (4, 3, SIDE, SIDE)
    assert torch.allclose(losses, torch.zeros(4), atol=1e-7)


def test_f101_variants_of_pictures_are_turned_back_before_they_are_averaged(tmp_path: Path) -> None:
    learner = quiet(pictures(tmp_path, tfms=get_transforms(max_lighting=0)), Scaled())
    plain, mean, _ = learner.TTA(beta=None, scale=1.1)
    assert (plain - mean).abs().mean() < 0.05


def test_f104_results_of_pictures_have_input_target_and_prediction(learner: Learner) -> None:
    figure = learner.show_results(rows=2)
    assert [axes.get_title() for axes in figure.axes[:6]] == ["Input", "Target", "Prediction"] * 2
    first, target, made = (np.asarray(axes.images[0].get_array()).astype(int) for axes in figure.axes[:3])
    assert abs(first - target).max() <= 1
    assert abs(target - made).max() <= 1
    learner.data.add_test([learner.data.train_ds.path(0)])  # type: ignore[attr-defined]
    assert [axes.get_title() for axes in learner.show_results(DatasetType.Test, 1).axes] == ["Input", "Prediction"]


def test_f110_an_interpretation_of_pictures_lists_the_greatest_losses(learner: Learner) -> None:
    found = learner.interpret()
    assert type(found) is Interpretation
    assert found.describe_top_losses(1)[0].predicted == "Image (3, 64, 64)"


def test_f036_f120_a_unet_with_an_output_a_channel_is_exported_and_predicts_the_same(tmp_path: Path) -> None:
    data = pictures(tmp_path)
    learner = unet_learner(data, "squeezenet1_1", pretrained=False, silent=True, path=tmp_path)
    learner.fit(1, 1e-3)
    learner.export()
    item, _, raw = learner.predict(tmp_path / "high.png")
    assert raw.shape == (3, SIDE, SIDE)
    loaded, predictor = load_learner(tmp_path), load_predictor(tmp_path / "export")
    for found in (loaded.predict(tmp_path / "high.png"), predictor.predict(tmp_path / "high.png")):
        assert torch.allclose(found[2], raw, atol=1e-5)
        assert torch.allclose(found[0].data, item.data, atol=1e-5)  # type: ignore[union-attr]
    answer = predictor.predict_sources([tmp_path / "high.png"])[0]
    picture = Image.open(io.BytesIO(base64.b64decode(answer.picture_png())))  # type: ignore[union-attr]
    assert (picture.size, picture.mode) == ((SIDE, SIDE), "RGB")


def predict_pictures(rank: int, folder: Path) -> dict[str, Any]:
    learner = quiet(pictures(folder / f"pictures{rank}", bs=3, tfms=get_transforms()), Scaled(0.8))
    learner.fit(2, 0.01)
    preds, _, losses = learner.get_preds(with_loss=True)
    return {"preds": preds[:, :, ::16, ::16].tolist(), "losses": losses.tolist()}


def test_f100_two_ranks_predict_all_pictures_in_the_same_order(tmp_path: Path) -> None:
    first, second = run_ranks([predict_pictures], tmp_path)["predict_pictures"]
    assert first == second
    alone = predict_pictures(0, tmp_path / "alone")
    for name, mine in first.items():
        assert torch.allclose(torch.tensor(mine), torch.tensor(alone[name]), atol=1e-5)
