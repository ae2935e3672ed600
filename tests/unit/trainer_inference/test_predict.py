"""Single items and batches, for every kind of label."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from support.labelled_data import CODES, COLOURS, SIZE
from support.memory_data import a_learner
from torch import Tensor, nn

from learnfleet.trainer.batch import Batch
from learnfleet.trainer.dataset import DatasetType
from learnfleet.trainer.errors import LearnerError
from learnfleet.trainer.images import BadImage
from learnfleet.trainer.inputs import open_image, open_mask
from learnfleet.trainer.label_items import Category, FloatItem, ImageSegment, MultiCategory
from learnfleet.trainer.learner import Learner
from learnfleet.trainer.loss_functions import BCEWithLogitsFlat


def test_f097_predict_gives_the_class_its_index_and_probabilities_as_get_preds_has_them(
    of_classes: Learner, picture: Path
) -> None:
    category, index, probabilities = of_classes.predict(picture)
    preds = of_classes.get_preds()[0]
    assert isinstance(category, Category)
    assert str(category) == COLOURS[int(index)] == category.obj
    assert (index.dtype, index.shape, category.data) == (torch.int64, (), int(index))
    assert torch.allclose(probabilities, preds[0], atol=1e-6)


def test_f097_a_picture_is_answered_alike_in_whatever_form_it_comes(of_classes: Learner, picture: Path) -> None:
    expected = of_classes.predict(picture)[2]
    image = Image.open(picture)
    pixels = np.array(image)
    planes = torch.from_numpy(pixels).permute(2, 0, 1)
    for item in (str(picture), picture.read_bytes(), image, pixels, planes):
        assert torch.equal(of_classes.predict(item)[2], expected), type(item)


def test_f097_a_float_tensor_is_the_models_own_input(of_classes: Learner, picture: Path) -> None:
    x = of_classes.data.single_batch([picture])[0]  # type: ignore[attr-defined]
    assert torch.equal(of_classes.predict(x)[2], of_classes.predict(picture)[2])


def test_f097_a_turned_picture_in_memory_is_upright_as_its_file_is(of_classes: Learner, tmp_path: Path) -> None:
    image = Image.fromarray(np.random.default_rng(0).integers(0, 255, (30, 20, 3), dtype=np.uint8))
    exif = Image.Exif()
    exif[0x0112] = 6
    image.save(tmp_path / "turned.png", exif=exif)
    from_file = of_classes.predict(tmp_path / "turned.png")[2]
    assert torch.equal(of_classes.predict(Image.open(tmp_path / "turned.png"))[2], from_file)


@pytest.mark.parametrize("item", [3, np.zeros((4, 4, 3)), np.zeros((4, 4, 5), np.uint8)])
def test_f097_what_is_no_picture_is_refused_with_what_may_be_given(of_classes: Learner, item: object) -> None:
    with pytest.raises(LearnerError, match="no picture: give a path, bytes, an open file, a PIL image"):
        of_classes.predict(item)


def test_f097_a_broken_picture_is_a_bad_image(of_classes: Learner) -> None:
    with pytest.raises(BadImage):
        of_classes.predict(b"no picture")


def test_f098_predict_of_several_labels_gives_their_names_and_zeros_and_ones(of_labels: Learner) -> None:
    path = of_labels.data.valid_ds.path(0)  # type: ignore[attr-defined]
    everything, hot, probabilities = of_labels.predict(path, thresh=0.0)
    assert isinstance(everything, MultiCategory)
    assert str(everything) == "blue;green;red"
    assert hot.tolist() == [1.0, 1.0, 1.0]
    nothing, hot, _ = of_labels.predict(path, thresh=1.0)
    assert (str(nothing), hot.tolist(), hot.dtype) == ("", [0.0, 0.0, 0.0], torch.float32)
    assert torch.equal(of_labels.predict(path)[1], (probabilities >= 0.5).float())


def test_f098_labels_are_those_from_the_threshold_of_the_loss_on_unless_another_is_given(of_labels: Learner) -> None:
    path, own = of_labels.data.valid_ds.path(0), of_labels.loss_func  # type: ignore[attr-defined]
    of_labels.loss_func = BCEWithLogitsFlat(thresh=0.0)
    try:
        assert of_labels.predict(path)[1].tolist() == [1.0, 1.0, 1.0]
        assert of_labels.predict(path, thresh=1.0)[1].tolist() == [0.0, 0.0, 0.0]
    finally:
        of_labels.loss_func = own


def test_f098_return_x_puts_the_picture_with_pixels_in_0_to_1_before_the_three(
    of_classes: Learner, picture: Path
) -> None:
    x, category, index, probabilities = of_classes.predict(picture, return_x=True)
    pixels = of_classes.data.open_item(DatasetType.Valid, 0)  # type: ignore[attr-defined]
    assert torch.allclose(x, pixels.float() / 255, atol=1e-6)
    assert str(category) == COLOURS[int(index)]
    assert probabilities.shape == (3,)


def test_f097_predict_of_a_number_gives_it_three_times(of_numbers: Learner) -> None:
    path = of_numbers.data.valid_ds.path(1)  # type: ignore[attr-defined]
    item, value, raw = of_numbers.predict(path)
    assert isinstance(item, FloatItem)
    assert value.shape == (1,)
    assert torch.equal(value, raw)
    assert item.obj == pytest.approx(float(value))
    assert torch.allclose(of_numbers.get_preds()[0][1], value, atol=1e-6)


def test_f097_predict_of_a_mask_gives_a_class_for_each_pixel_and_their_probabilities(of_masks: Learner) -> None:
    path = of_masks.data.valid_ds.path(0)  # type: ignore[attr-defined]
    segment, mask, probabilities = of_masks.predict(path)
    assert isinstance(segment, ImageSegment)
    assert (mask.shape, mask.dtype) == ((1, SIZE, SIZE), torch.int64)
    assert segment.data is mask
    assert segment.size == (SIZE, SIZE)
    assert probabilities.shape == (len(CODES), SIZE, SIZE)
    assert torch.allclose(probabilities.sum(dim=0), torch.ones(SIZE, SIZE), atol=1e-5)
    assert torch.equal(mask[0], probabilities.argmax(dim=0))


class _TimeFirst(nn.Module):
    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: Tensor) -> Tensor:
        return self.model(x).expand(4, -1, -1)


def test_f097_with_batch_first_false_the_items_are_in_dimension_1_of_the_outputs() -> None:
    learner = a_learner(model=_TimeFirst(a_learner().model))
    x = learner.data.valid_dl.x[0]  # type: ignore[union-attr]
    words, indices, probabilities = learner.predict(x, batch_first=False)
    assert probabilities.shape == (4, 3)
    assert indices.tolist() == [int(indices[0])] * 4
    assert str(words) == " ".join([f"class {int(indices[0])}"] * 4)
    assert learner.predict(x)[2].shape == (1, 3)


def test_f097_dropout_is_on_only_when_asked_for_and_off_again_afterwards(of_classes: Learner, picture: Path) -> None:
    torch.manual_seed(0)
    drawn = [of_classes.predict(picture, with_dropout=True)[2] for _ in range(8)]
    assert any(not torch.equal(drawn[0], other) for other in drawn)
    assert not any(module.training for module in of_classes.model.modules())
    assert torch.equal(of_classes.predict(picture)[2], of_classes.predict(picture)[2])


def test_f097_mc_dropout_predicts_n_times_with_answers_that_differ(of_classes: Learner, picture: Path) -> None:
    torch.manual_seed(0)
    answers = of_classes.predict_with_mc_dropout(picture, n_times=6)
    assert len(answers) == 6
    assert len({tuple(probabilities.tolist()) for _, _, probabilities in answers}) > 1
    assert len(of_classes.predict_with_mc_dropout(picture)) == 10


def test_f099_pred_batch_gives_the_first_batch_as_bs_times_c(of_classes: Learner) -> None:
    probabilities = of_classes.pred_batch()
    assert probabilities.shape == (4, 3)
    assert torch.allclose(probabilities, of_classes.get_preds()[0][:4], atol=1e-6)
    assert of_classes.pred_batch(DatasetType.Fix).shape == (4, 3)


def test_f099_pred_batch_takes_a_batch_a_pair_or_inputs_and_another_activation(of_classes: Learner) -> None:
    x, y = of_classes.data.one_batch(DatasetType.Valid, denorm=False)  # type: ignore[attr-defined]
    expected = of_classes.pred_batch()
    for batch in (x, (x, y), [x, y], Batch(x, y, torch.arange(len(x)))):
        assert torch.allclose(of_classes.pred_batch(batch=batch), expected, atol=1e-6)
    raw = of_classes.pred_batch(batch=x, activ=lambda output: output)
    assert torch.allclose(raw.softmax(dim=1), expected, atol=1e-6)
    with pytest.raises(LearnerError, match="pair"):
        of_classes.pred_batch(batch=(x, y, y))


def test_f099_pred_batch_reconstructs_items_of_every_kind(
    of_classes: Learner, of_labels: Learner, of_numbers: Learner, of_masks: Learner
) -> None:
    kinds = ((of_classes, Category), (of_labels, MultiCategory), (of_numbers, FloatItem), (of_masks, ImageSegment))
    for learner, kind in kinds:
        items = learner.pred_batch(reconstruct=True)
        assert len(items) == len(learner.pred_batch())
        assert all(isinstance(item, kind) for item in items)


def test_f099_pred_batch_with_dropout_drops(of_classes: Learner) -> None:
    torch.manual_seed(0)
    assert not torch.equal(of_classes.pred_batch(with_dropout=True), of_classes.pred_batch())


def test_backward_sends_an_items_gradient_through_hooks_and_changes_no_weight(
    of_classes: Learner, picture: Path
) -> None:
    seen, before = [], {name: value.clone() for name, value in of_classes.model.state_dict().items()}
    hook = of_classes.model[1].register_full_backward_hook(lambda module, into, out: seen.append(out[0]))  # type: ignore[index]
    try:
        loss = of_classes.backward(picture)
    finally:
        hook.remove()
    assert seen[0].abs().sum() > 0
    probability = of_classes.predict(picture)[2].max()
    assert float(loss) == pytest.approx(-float(probability.log()), rel=1e-4)
    assert float(of_classes.backward(picture, target=2)) == pytest.approx(
        -float(of_classes.predict(picture)[2][2].log()), rel=1e-4
    )
    assert all(torch.equal(before[name], value) for name, value in of_classes.model.state_dict().items())


def test_gradients_that_backward_leaves_do_not_enter_the_next_fit() -> None:
    plain, touched = a_learner(), a_learner()
    touched.backward(touched.data.valid_dl.x[0])  # type: ignore[union-attr]
    for learner in (plain, touched):
        learner.fit(1, 1e-2)
    pairs = zip(plain.model.parameters(), touched.model.parameters(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)


def test_dl_gives_the_datas_loaders(of_classes: Learner) -> None:
    assert of_classes.dl() is of_classes.data.valid_dl
    assert of_classes.dl(DatasetType.Train) is of_classes.data.train_dl


def test_f097_fastais_open_image_gives_what_predict_takes(of_classes: Learner, picture: Path) -> None:
    expected = of_classes.predict(picture)[2]
    content = picture.read_bytes()
    with picture.open("rb") as opened:
        assert torch.equal(of_classes.predict(opened)[2], expected)
    for source in (picture, str(picture), content, io.BytesIO(content)):
        pixels = open_image(source)
        assert (pixels.dtype, pixels.shape) == (torch.uint8, (3, 18, 20))
        assert torch.equal(of_classes.predict(pixels)[2], expected)
    assert torch.equal(of_classes.predict(io.BytesIO(content))[2], expected)


def test_f097_open_mask_gives_classes_and_divides_white_by_itself_if_asked_to(tmp_path: Path) -> None:
    values = np.array([[0, 255], [255, 255], [0, 0]], dtype=np.uint8)
    Image.fromarray(values).save(tmp_path / "mask.png")
    assert open_mask(tmp_path / "mask.png").data.tolist() == [values.tolist()]
    assert open_mask(str(tmp_path / "mask.png"), div=True).data.tolist() == [(values // 255).tolist()]


def test_f097_several_pictures_at_once_are_refused_with_what_takes_them(of_classes: Learner) -> None:
    with pytest.raises(LearnerError, match=r"\(2, 3, 16, 16\) is not one picture .* pred_batch\(batch=...\)"):
        of_classes.predict(torch.zeros(2, 3, 16, 16))


def test_f097_an_item_unpacks_as_fastais_pair_and_its_input_is_predicted(of_classes: Learner) -> None:
    data: Any = of_classes.data
    x, y = data.valid_ds[4]
    assert (x, y) == (data.valid_ds.path(4), COLOURS.index("green"))
    assert (data.valid_ds[4][0], data.valid_ds[4][1]) == (x, y)
    assert torch.equal(of_classes.predict(data.valid_ds[4][0])[2], of_classes.predict(data.valid_ds[4])[2])


def test_f098_a_threshold_is_one_number_whether_plain_or_from_a_tensor(of_labels: Learner) -> None:
    data: Any = of_labels.data
    path = data.valid_ds.path(0)
    probabilities = of_labels.predict(path)[2]
    middle = float(probabilities.median())
    for thresh in (middle, torch.tensor(middle), np.float32(middle)):
        assert of_labels.predict(path, thresh=thresh)[1].tolist() == (probabilities >= middle).float().tolist()
    assert of_labels.predict(path, thresh=0)[1].tolist() == [1.0, 1.0, 1.0]
    assert str(of_labels.predict(path, thresh=1.1)[0]) == ""
    with pytest.raises(LearnerError, match="one number for all labels is wanted"):
        of_labels.predict(path, thresh=[0.5, 0.5, 0.5])  # type: ignore[arg-type]


def test_f099_pred_batch_of_a_dataset_takes_another_activation(of_classes: Learner) -> None:
    raw = of_classes.pred_batch(DatasetType.Fix, activ=lambda output: output)
    assert torch.allclose(raw, of_classes.get_preds(DatasetType.Fix, lambda output: output)[0][:4], atol=1e-6)
    assert torch.allclose(raw.softmax(dim=1), of_classes.pred_batch(DatasetType.Fix), atol=1e-6)
    assert not torch.allclose(raw, of_classes.pred_batch(DatasetType.Fix), atol=1e-2)
