"""Boxes with classes as targets: they stay around their things, whatever is done to the picture."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from support.labelled_data import quiet
from support.ranks import run_ranks
from torch import Tensor, nn

from learnfleet.trainer import DataBunch, bb_pad_collate
from learnfleet.trainer import transform_components as tc
from learnfleet.trainer.data import DatasetType, ImageDataBunch
from learnfleet.trainer.data_options import Transforms
from learnfleet.trainer.data_spec import LabelKind, ResizeMethod
from learnfleet.trainer.errors import LearnerError
from learnfleet.trainer.item_list import ObjectItemList
from learnfleet.trainer.learner import Learner
from learnfleet.trainer.points import scaled_to_pixels
from learnfleet.trainer.spec import DataSpec
from learnfleet.trainer.transforms import get_transforms

Found = tuple[list[list[int]], list[str]]
# name: (rows, columns), boxes (top, left, bottom, right), classes, and the channel that each class fills
THINGS: dict[str, tuple[tuple[int, int], list[list[int]], list[str]]] = {
    "one": ((120, 160), [[40, 60, 79, 109]], ["red thing"]),
    "two": ((128, 128), [[40, 30, 69, 59], [60, 70, 99, 99]], ["red thing", "green thing"]),
    "none": ((140, 120), [], []),
    "high": ((200, 150), [[80, 50, 129, 89]], ["green thing"]),
}
CHANNEL = {"red thing": 0, "green thing": 1}
CLASSES = ["background", "green thing", "red thing"]
TURNING = get_transforms(flip_vert=True, max_rotate=25, max_zoom=1.3, max_lighting=0, p_affine=1)


def things(root: Path) -> Path:
    """Pictures of filled boxes on black, each in the colour of its class."""
    root.mkdir(parents=True, exist_ok=True)
    for name, (size, boxes, classes) in THINGS.items():
        pixels = np.zeros((*size, 3), np.uint8)
        for (top, left, bottom, right), thing in zip(boxes, classes, strict=True):
            pixels[top : bottom + 1, left : right + 1, CHANNEL[thing]] = 255
        Image.fromarray(pixels).save(root / f"{name}.png")
    return root


def things_of(path: Path) -> Found:
    return THINGS[path.stem][1], THINGS[path.stem][2]


def a_bunch(root: Path, tfms: Transforms = None, bs: int = 2, of: Any = things_of, **options: Any) -> ImageDataBunch:
    everything = range(len(THINGS))
    split = ObjectItemList.from_folder(things(root)).split_by_idxs(everything, everything)
    labelled = split.label_from_func(of).transform(tfms, **{"size": 80, "padding_mode": "zeros", **options})
    return labelled.databunch(bs=bs, collate_fn=bb_pad_collate)


def extent(plane: Tensor) -> Tensor:
    """(top, left, bottom, right) of what is bright in [H, W], in pixels."""
    rows, columns = torch.nonzero(plane > 0.5, as_tuple=True)
    return torch.stack((rows.min(), columns.min(), rows.max(), columns.max())).float()


def differences(data: ImageDataBunch, ds_type: DatasetType = DatasetType.Train) -> Tensor:
    """Pixels between each side of each box that is whole and where its thing ends."""
    found = []
    for epoch in range(6):
        for batch in data.dl(ds_type).epoch(epoch):
            boxes, classes = batch.y
            for x, rows, numbers in zip(batch.x, boxes, classes, strict=True):
                for box, number in zip(rows, numbers.tolist(), strict=True):
                    if number and box.abs().max() < 1:
                        pixels = scaled_to_pixels(box.view(2, 2), (x.shape[1], x.shape[2])).view(4)
                        found.append((pixels - extent(x[CHANNEL[CLASSES[number]]])).abs())
    assert len(found) > 6
    return torch.stack(found)


@pytest.mark.parametrize("method", [ResizeMethod.CROP, ResizeMethod.SQUISH, ResizeMethod.PAD])
def test_f012_a_box_is_where_its_thing_is_after_each_way_to_resize(tmp_path: Path, method: ResizeMethod) -> None:
    data = a_bunch(tmp_path, size=(80, 90), resize_method=method)
    assert float(differences(data, DatasetType.Valid).max()) < 1
    assert float(differences(data).max()) < 1


@pytest.mark.parametrize(
    "tfms",
    [TURNING, *(([item], []) for item in (tc.dihedral(), tc.rotate((-40, 40)), tc.skew(), tc.rand_pad(4, 80)[0]))],
)
def test_f012_a_box_stays_around_its_thing_however_it_is_moved(tmp_path: Path, tfms: Any) -> None:
    found = differences(a_bunch(tmp_path, tfms))
    assert float(found.max()) < 1.6  # a corner that is turned fades
    assert float(found.mean()) < 0.6


def test_f012_random_windows_cut_boxes_at_their_edges_and_leave_out_those_outside(tmp_path: Path) -> None:
    data = a_bunch(tmp_path, ([tc.rand_resize_crop(80, 2.5)], []))
    assert float(differences(data).max()) < 2
    for epoch in range(10):
        for batch in data.train_dl.epoch(epoch):
            boxes, classes = batch.y
            assert boxes.abs().max() <= 1
            is_box = classes > 0
            assert bool((boxes[..., 2:] > boxes[..., :2]).all(dim=2)[is_box].all())
            assert float(boxes[~is_box].abs().sum()) == 0


def test_f007_batches_have_as_many_boxes_as_the_fullest_picture_filled_up_in_front(tmp_path: Path) -> None:
    data = a_bunch(tmp_path, size=(128, 128), bs=4)
    assert (data.classes, data.c, data.kind) == (CLASSES, 3, LabelKind.BOXES)
    x, (boxes, classes) = data.one_batch(DatasetType.Fix)
    names = [item.path.stem for item in data.fix_ds]
    assert (x.shape, boxes.shape, classes.shape) == ((4, 3, 128, 128), (4, 2, 4), (4, 2))
    assert (boxes.dtype, classes.dtype) == (torch.float32, torch.int64)
    two = names.index("two")
    assert classes[two].tolist() == [2, 1]
    assert torch.allclose(boxes[two], torch.tensor(THINGS["two"][1]) * 2 / 127 - 1, atol=1e-6)
    assert classes[names.index("one")].tolist() == [0, 2]
    assert classes[names.index("none")].tolist() == [0, 0]


def test_f007_the_collate_function_does_the_same_to_items_of_any_dataset() -> None:
    items = [(torch.zeros(3, 4, 4), ([[0, 0, 1, 1.0]], [2])), (torch.ones(3, 4, 4), (torch.zeros(0, 4), []))]
    x, (boxes, classes) = bb_pad_collate(items)
    assert (x.shape, boxes.tolist(), classes.tolist()) == ((2, 3, 4, 4), [[[0, 0, 1, 1]], [[0] * 4]], [[2], [0]])
    data = DataBunch.create(items, items, bs=2, collate_fn=bb_pad_collate)  # type: ignore[arg-type]
    assert data.one_batch(DatasetType.Valid)[1][1].tolist() == [[2], [0]]


def test_f020_boxes_are_saved_and_listed_as_they_were_given(tmp_path: Path) -> None:
    data = a_bunch(tmp_path)
    data.save()
    same = ImageDataBunch.load_data(tmp_path, bs=2)
    assert (same.classes, same.train_ds.items) == (CLASSES, data.train_ds.items)
    assert DataSpec.from_json(data.listed_spec().to_json()) == data.listed_spec()
    assert "red thing;green thing" in {data.train_ds.label(index) for index in range(len(THINGS))}


def test_f019_a_batch_is_shown_with_its_boxes_and_their_names(tmp_path: Path) -> None:
    data = a_bunch(tmp_path, size=(128, 128), bs=4)
    axes = data.show_batch(rows=2, ds_type=DatasetType.Fix).axes
    shown = {item.path.stem: part for item, part in zip(data.fix_ds, axes, strict=True)}
    assert {name: len(part.patches) for name, part in shown.items()} == {"one": 1, "two": 2, "none": 0, "high": 1}
    assert [text.get_text() for text in shown["two"].texts] == ["red thing", "green thing"]
    first: Any = shown["two"].patches[0]
    assert (first.get_y(), first.get_x(), first.get_height(), first.get_width()) == pytest.approx(
        (40, 30, 29, 29), abs=0.01
    )


# --- learners


class FirstBox(nn.Module):
    """One box for any picture."""

    def __init__(self) -> None:
        super().__init__()
        self.box = nn.Parameter(torch.zeros(4))

    def forward(self, x: Tensor) -> Tensor:
        return self.box.expand(len(x), 4)


class DistanceToBoxes(nn.Module):
    """Mean squared distance to the boxes that are there."""

    def forward(self, output: Tensor, boxes: Tensor, classes: Tensor) -> Tensor:
        is_box = (classes > 0).float()
        squares = (output.unsqueeze(1) - boxes).square().mean(dim=2)
        return (squares * is_box).sum() / is_box.sum().clamp_min(1)


def share_of_boxes(output: Tensor, boxes: Tensor, classes: Tensor) -> Tensor:
    return (classes > 0).float().mean()


def a_learner(root: Path, bs: int = 2) -> Learner:
    data = a_bunch(root, get_transforms(), bs=bs)
    return quiet(data, FirstBox(), loss_func=DistanceToBoxes(), metrics=[share_of_boxes], wd=0)


def test_f040_a_loss_and_a_metric_of_your_own_get_boxes_and_classes(tmp_path: Path) -> None:
    learner = a_learner(tmp_path)
    before = float(learner.validate()[0])
    learner.fit_one_cycle(10, 0.05)
    loss, share = learner.validate()
    assert float(loss) < 0.7 * before
    assert float(share) == pytest.approx(0.625)  # high and none: 1 of 2; one and two: 3 of 4


def train_on_boxes(rank: int, folder: Path) -> list[float]:
    learner = a_learner(folder / f"boxes{rank}", bs=4)
    learner.fit(3, 0.01)
    assert isinstance(learner.model, nn.Module)
    return [float(value) for value in next(learner.model.parameters()).detach()]


def test_f080_two_ranks_with_different_numbers_of_boxes_train_together(tmp_path: Path) -> None:
    first, second = run_ranks([train_on_boxes], tmp_path)["train_on_boxes"]
    assert first == second
    assert any(first)


def test_f097_what_is_not_offered_for_boxes_says_so(tmp_path: Path) -> None:
    learner = a_learner(tmp_path)
    picture = learner.data.train_ds.path(0)  # type: ignore[attr-defined]
    for ask in (
        learner.get_preds,
        learner.show_results,
        learner.interpret,
        learner.TTA,
        lambda: learner.predict(picture),
    ):
        with pytest.raises(LearnerError, match="is not offered for boxes"):
            ask()
    with pytest.raises(LearnerError, match=r"loss_func: boxes need a loss of your own"):
        quiet(a_bunch(tmp_path), FirstBox()).fit(1)


@pytest.mark.parametrize(
    ("label", "message"),
    [
        ([[0, 0, 1, 1]], r"is not \(boxes, classes\)"),
        (([[0, 0, 1, 1]], "bee"), r"is not \(boxes, classes\)"),
        (([[0, 0, 1, 1]], ["bee", "ant"]), r"is not \(boxes, classes\)"),
        (([[5, 0, 1, 1]], ["bee"]), r"not \(top, left, bottom, right\)"),
    ],
)
def test_f007_labels_that_are_no_boxes_are_told(tmp_path: Path, label: Any, message: str) -> None:
    with pytest.raises(LearnerError, match=message):
        a_bunch(tmp_path, of=lambda file: label)


def test_f007_another_collate_function_is_refused(tmp_path: Path) -> None:
    split = ObjectItemList.from_folder(things(tmp_path)).split_none().label_from_func(things_of)
    with pytest.raises(LearnerError, match="collate_fn: is only for boxes"):
        split.transform(size=32).databunch(collate_fn=torch.utils.data.default_collate)
