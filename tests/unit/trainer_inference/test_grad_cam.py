"""Heat maps: the oracle O31, and where they are and are not possible."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from support.labelled_data import body_and_head, quiet
from support.memory_data import MemoryData, a_learner
from torch import Tensor, nn

from learnfleet.trainer import ImageDataBunch, plots
from learnfleet.trainer.dataset import DatasetType
from learnfleet.trainer.errors import LearnerError
from learnfleet.trainer.grad_cam import NoAndYes, grad_cam
from learnfleet.trainer.interpret import heat_maps
from learnfleet.trainer.learner import Learner
from learnfleet.trainer.loss_functions import BCEWithLogitsFlat

ACTS = torch.tensor([[[1.0, 2.0], [3.0, 4.0]], [[0.0, 1.0], [1.0, 0.0]]])
GRADS = torch.tensor([[[0.1, 0.2], [0.3, 0.4]], [[-1.0, -1.0], [-1.0, -1.0]]])


class _Body(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x * 1


class _Head(nn.Module):
    """The score of class 1 has the gradients GRADS; that of class 0 has their negatives."""

    def forward(self, acts: Tensor) -> Tensor:
        score = (acts * GRADS).sum(dim=(1, 2, 3))
        return torch.stack((-score, score), dim=1)


def test_f111_the_oracles_map_is_the_relu_of_the_weighed_activations() -> None:
    model = nn.Sequential(_Body(), _Head())
    maps = grad_cam(model, torch.stack((ACTS, ACTS)), torch.tensor([1, 0]))
    assert maps[0].tolist() == [pytest.approx([0.25, 0.0], rel=1e-6), pytest.approx([0.0, 1.0], rel=1e-6)]
    assert maps[1].tolist() == [[0.0, pytest.approx(0.5)], [pytest.approx(0.25), 0.0]]


class _YesHead(nn.Module):
    """The score of class 1 alone."""

    def forward(self, acts: Tensor) -> Tensor:
        return (acts * GRADS).sum(dim=(1, 2, 3)).unsqueeze(1)


def test_a_single_output_speaks_for_yes_and_its_negative_for_no() -> None:
    model = nn.Sequential(_Body(), _YesHead())
    maps = grad_cam(NoAndYes(model), torch.stack((ACTS, ACTS)), torch.tensor([1, 0]), model[0])
    assert maps[0].tolist() == [pytest.approx([0.25, 0.0], rel=1e-6), pytest.approx([0.0, 1.0], rel=1e-6)]
    assert maps[1].tolist() == [[0.0, pytest.approx(0.5)], [pytest.approx(0.25), 0.0]]


def test_items_of_a_single_output_are_explained_by_what_is_true_of_them(tmp_path: Path) -> None:
    for number in range(8):
        pixels = np.random.default_rng(number).integers(0, 255, (18, 20, 3), dtype=np.uint8)
        path = tmp_path / ("train" if number < 4 else "valid") / ("no", "yes")[number % 2] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path)
    data = ImageDataBunch.from_folder(tmp_path, size=16, bs=2)
    learner = quiet(data, body_and_head(1), loss_func=BCEWithLogitsFlat())
    found = learner.interpret()
    assert found.explains
    for row, truth in enumerate(found.y_true.long().tolist()):
        x = data.single_batch([data.valid_ds.path(int(found.indices[row]))])
        yes = grad_cam(learner.model, x, torch.tensor([0]))[0]
        map_of_item = heat_maps(found, [row], heatmap_thresh=0)[0]
        assert map_of_item is not None
        assert torch.allclose(map_of_item, yes, atol=1e-6) == bool(truth)
        assert torch.equal(found.GradCAM(int(found.indices[row]), image=False, heatmap_thresh=0), map_of_item)


def test_f111_the_map_is_that_of_the_actual_class_from_raw_scores(of_classes: Learner) -> None:
    found = of_classes.interpret()
    picture, heat = found.GradCAM(4)
    x = of_classes.data.single_batch([of_classes.data.valid_ds.path(4)])  # type: ignore[attr-defined]
    acts = of_classes.model[0](x).detach().requires_grad_()  # type: ignore[index]
    of_classes.model[1](acts)[0, int(found.y_true[4])].backward()  # type: ignore[index]
    weights = acts.grad.mean(dim=(2, 3), keepdim=True)  # type: ignore[union-attr]
    expected = (weights * acts).sum(dim=1).relu()[0]
    assert torch.allclose(heat, expected, atol=1e-6)
    assert np.array_equal(picture, plots.as_picture(of_classes.data.open_item(DatasetType.Valid, 4)))  # type: ignore[attr-defined]


def test_f111_the_index_is_the_datasets_in_whatever_part(of_classes: Learner) -> None:
    found = of_classes.interpret()
    fix = of_classes.interpret(DatasetType.Fix)
    assert torch.equal(found.GradCAM(7, DatasetType.Train, image=False), fix.GradCAM(7, image=False))
    with pytest.raises(LearnerError, match="no item 99"):
        found.GradCAM(99)


def test_f111_a_map_with_fewer_places_than_the_threshold_is_none(of_classes: Learner) -> None:
    found = of_classes.interpret()
    assert found.GradCAM(0, heatmap_thresh=64, image=False).shape == (8, 8)
    assert found.GradCAM(0, heatmap_thresh=65, image=False) is None
    assert found.GradCAM(0, heatmap_thresh=65)[1] is None


def heats(figure: Any) -> list[bool]:
    return [len(axes.images) == 2 for axes in figure.axes if axes.images]


def test_f111_plot_top_losses_lays_the_maps_over_the_pictures(of_classes: Learner) -> None:
    found = of_classes.interpret()
    figure = found.plot_top_losses(4, heatmap=True, alpha=0.3, cmap="viridis")
    for axes, index in zip(figure.axes, found.top_losses(4).indices.tolist(), strict=True):
        heat = found.GradCAM(index, image=False)
        if heat.max() == 0:
            continue
        over = axes.images[1]
        assert np.allclose(over.get_array(), heat.numpy(), atol=1e-5)
        assert (over.get_cmap().name, over.get_interpolation()) == ("viridis", "bilinear")
        assert over.get_alpha().max() == pytest.approx(0.3)
        assert over.get_alpha()[heat.numpy() == 0].max(initial=0) < 0.1, (
            "the picture is seen where nothing is explained"
        )
        assert list(over.get_extent()) == [-0.5, 15.5, 15.5, -0.5]
    assert any(heats(figure))
    assert not any(heats(found.plot_top_losses(4)))
    assert not any(heats(found.plot_top_losses(4, heatmap=True, heatmap_thresh=65)))
    assert any(heats(found.plot_top_losses(4, heatmap=None)))


def test_f111_other_models_are_refused_and_left_out_by_none(of_classes: Learner) -> None:
    body, head = body_and_head(3).children()
    learner = quiet(of_classes.data, nn.Sequential(body, nn.Identity(), head))  # type: ignore[arg-type]
    found = learner.interpret()
    with pytest.raises(LearnerError, match="no body and head"):
        found.plot_top_losses(2, heatmap=True)
    assert not any(heats(found.plot_top_losses(2, heatmap=None)))
    assert grad_cam(learner.model, torch.zeros(1, 3, 16, 16), torch.tensor([0]), layer=body).shape == (1, 8, 8)


def test_f111_activations_without_rows_and_columns_are_refused() -> None:
    data: Any = MemoryData()
    learner = a_learner(data, nn.Sequential(nn.Sequential(nn.Flatten(), nn.Linear(192, 4)), nn.Linear(4, 3)))
    with pytest.raises(LearnerError, match="no rows and columns"):
        learner.interpret().GradCAM(0)


def test_f111_a_frozen_model_is_explained_too_and_keeps_no_gradient(of_classes: Learner) -> None:
    model = body_and_head(3).requires_grad_(False)
    x = torch.randn(2, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    assert grad_cam(model, x, torch.tensor([0, 1])).shape == (2, 8, 8)
    trained = body_and_head(3)
    grad_cam(trained, x, torch.tensor([0, 1]))
    assert all(parameter.grad is None for parameter in trained.parameters())


def test_f111_data_without_files_are_explained_too() -> None:
    learner = a_learner(model=body_and_head(3))
    picture, heat = learner.interpret().GradCAM(6, heatmap_thresh=1)
    assert picture.shape == (8, 8, 3)
    assert heat.shape == (4, 4)
