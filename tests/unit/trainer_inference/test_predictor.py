"""Predictions from an export, for every kind of label."""

from __future__ import annotations

import base64
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from support.labelled_data import CODES, category_data, labels_data, masks_data, numbers_data

from learnfleet.trainer import load_learner, load_predictor
from learnfleet.trainer.cnn import cnn_learner
from learnfleet.trainer.data_spec import LabelKind
from learnfleet.trainer.dataset import DatasetType
from learnfleet.trainer.errors import LearnerError
from learnfleet.trainer.images import BadImage
from learnfleet.trainer.label_items import FloatItem, ImageSegment, MultiCategory
from learnfleet.trainer.learner import Learner
from learnfleet.trainer.mlflow_loader import _load_pyfunc
from learnfleet.trainer.predictor import Prediction, Predictor
from learnfleet.trainer.segmentation import unet_learner
from learnfleet.trainer.transforms import get_transforms


def exported(learner: Learner) -> tuple[Learner, Predictor]:
    learner.export()
    return learner, load_predictor(learner.path / "export")


@pytest.fixture(scope="module")
def classes(tmp_path_factory: pytest.TempPathFactory) -> tuple[Learner, Predictor]:
    data = category_data(tmp_path_factory.mktemp("classes"), tfms=get_transforms(), size=32)
    return exported(cnn_learner(data, "squeezenet1_1", pretrained=False, silent=True))


@pytest.fixture(scope="module")
def labels(tmp_path_factory: pytest.TempPathFactory) -> tuple[Learner, Predictor]:
    data = labels_data(tmp_path_factory.mktemp("labels"), size=32)
    return exported(cnn_learner(data, "squeezenet1_1", pretrained=False, silent=True))


@pytest.fixture(scope="module")
def numbers(tmp_path_factory: pytest.TempPathFactory) -> tuple[Learner, Predictor]:
    data = numbers_data(tmp_path_factory.mktemp("numbers"), size=32)
    return exported(cnn_learner(data, "squeezenet1_1", pretrained=False, silent=True))


@pytest.fixture(scope="module")
def masks(tmp_path_factory: pytest.TempPathFactory) -> tuple[Learner, Predictor]:
    data = masks_data(tmp_path_factory.mktemp("masks"), size=32)
    return exported(unet_learner(data, "squeezenet1_1", pretrained=False, silent=True))


Pair = tuple[Learner, Predictor]


def first_path(learner: Learner) -> Path:
    data: Any = learner.data
    return data.valid_ds.path(0)


@pytest.mark.parametrize("name", ["classes", "labels", "numbers", "masks"])
def test_f120_an_export_gives_the_triple_that_the_learner_gives(name: str, request: pytest.FixtureRequest) -> None:
    learner, predictor = request.getfixturevalue(name)
    expected, found = learner.predict(first_path(learner)), predictor.predict(first_path(learner))
    assert type(found[0]) is type(expected[0])
    assert str(found[0]) == str(expected[0])
    assert found[1].dtype == expected[1].dtype
    assert torch.allclose(found[1].float(), expected[1].float(), atol=1e-5)
    assert torch.allclose(found[2], expected[2], atol=1e-5)


@pytest.mark.parametrize("name", ["classes", "labels", "numbers", "masks"])
def test_f120_load_learner_predicts_items_and_test_sets_as_before(name: str, request: pytest.FixtureRequest) -> None:
    learner, _ = request.getfixturevalue(name)
    data: Any = learner.data
    files = [data.valid_ds.path(index) for index in range(3)]
    loaded = load_learner(learner.path, test=files)
    assert torch.allclose(loaded.predict(files[0])[2], learner.predict(files[0])[2], atol=1e-5)
    preds, targets = loaded.get_preds(DatasetType.Test)
    assert torch.allclose(preds, learner.get_preds()[0][:3], atol=1e-5)
    assert targets.abs().sum() == 0


def test_a_picture_may_come_in_any_form_and_be_broken(classes: Pair) -> None:
    learner, predictor = classes
    path = first_path(learner)
    image = Image.open(path)
    answers = predictor.predict_sources([path, str(path), path.read_bytes(), b"broken", image, np.array(image)])
    assert isinstance(answers.pop(3), BadImage)
    assert all(isinstance(answer, Prediction) for answer in answers)
    first = answers[0]
    assert all(torch.allclose(answer.activated, first.activated, atol=1e-6) for answer in answers)
    assert (first.class_name, first.values) == (predictor.classes[first.index], ())
    assert sum(first.probabilities) == pytest.approx(1)
    with pytest.raises(LearnerError, match="no picture"):
        predictor.predict(3.5)
    assert predictor.predict_sources([]) == []


def test_the_kinds_have_what_they_have_and_nothing_else(labels: Pair, numbers: Pair, masks: Pair) -> None:
    several = labels[1].predict_bytes([first_path(labels[0]).read_bytes()])[0]
    assert (several.kind, several.index, len(several.probabilities)) == (LabelKind.MULTI_CATEGORY, -1, 3)
    assert several.class_name == str(several.item)
    value = numbers[1].predict_bytes([first_path(numbers[0]).read_bytes()])[0]
    assert (value.kind, value.class_name, value.index, value.probabilities) == (LabelKind.FLOAT, "", -1, ())
    assert value.values == pytest.approx([float(value.prediction)])
    mask = masks[1].predict_bytes([first_path(masks[0]).read_bytes()])[0]
    assert (mask.kind, mask.class_name, mask.index) == (LabelKind.MASK, "", -1)
    assert mask.prediction.shape == (1, 32, 32)
    assert sum(mask.probabilities) == pytest.approx(1, abs=1e-5)
    items = (several.item, value.item, mask.item)
    assert [type(item) for item in items] == [MultiCategory, FloatItem, ImageSegment]


def test_labels_are_those_from_the_threshold_on(labels: Pair) -> None:
    learner, predictor = labels
    path = first_path(learner)
    assert str(predictor.predict(path, thresh=0.0)[0]) == "blue;green;red"
    assert predictor.predict(path, thresh=1.0)[1].tolist() == [0, 0, 0]
    assert predictor.classify(predictor.transform([path]), thresh=0.0)[0].class_name == "blue;green;red"


@pytest.mark.parametrize("name", ["classes", "masks"])
def test_tta_gives_the_learners_first_item_what_the_learner_gives_it(name: str, request: pytest.FixtureRequest) -> None:
    learner, predictor = request.getfixturevalue(name)
    path = first_path(learner)
    averaged = predictor.predict(path, tta=True)[2]
    assert torch.allclose(averaged, learner.TTA()[0][0], atol=1e-5)
    two = predictor.predict_sources([learner.data.valid_ds.path(1), path], tta=True)
    assert torch.allclose(two[1].activated, averaged, atol=1e-5)


def test_logits_are_raw_outputs(classes: Pair) -> None:
    learner, predictor = classes
    path = first_path(learner)
    assert torch.allclose(predictor.logits([path]).softmax(dim=1)[0], predictor.predict(path)[2], atol=1e-6)


def test_mlflows_rows_say_what_the_kind_has_to_say(labels: Pair, numbers: Pair, masks: Pair) -> None:
    def row(pair: Pair) -> dict[str, Any]:
        model = _load_pyfunc(str(pair[0].path / "export"))
        return model.predict(first_path(pair[0]).read_bytes())[0]

    several, value, mask = row(labels), row(numbers), row(masks)
    assert several["index"] is None
    assert several["labels"] == (several["class_name"].split(";") if several["class_name"] else [])
    assert set(several["probabilities"]) == {"blue", "green", "red"}
    assert value["values"] == pytest.approx([float(numbers[1].predict(first_path(numbers[0]))[1])], rel=1e-4)
    picture = Image.open(io.BytesIO(base64.b64decode(mask["mask_png"])))
    assert np.array_equal(np.array(picture), masks[1].predict(first_path(masks[0]))[1][0].numpy())
    assert mask["classes"] == list(CODES)
    assert [part["error"] for part in (several, value, mask)] == [None] * 3


@pytest.fixture(scope="module", params=["fp32", "bf16", "fp16"])
def of_precision(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Pair:
    """A learner that computes in that precision, channels last."""
    data = labels_data(tmp_path_factory.mktemp(request.param), size=32)
    learner = cnn_learner(data, "squeezenet1_1", pretrained=False, silent=True).to_channels_last()
    make = {"fp32": learner.to_fp32, "bf16": learner.to_bf16, "fp16": learner.to_fp16}[request.param]
    return exported(make())


def test_f120_an_export_computes_in_the_learners_precision_and_memory_format(of_precision: Pair) -> None:
    learner, predictor = of_precision
    path = first_path(learner)
    assert predictor.precision == learner.precision
    kernels = [item for item in predictor._model.parameters() if item.ndim == 4]
    assert all(item.is_contiguous(memory_format=torch.channels_last) for item in kernels)
    expected = learner.predict(path)[2]
    assert torch.allclose(predictor.predict(path)[2], expected, rtol=0, atol=1e-6)
    in_float32 = load_predictor(learner.path / "export", precision="fp32")
    difference = float((in_float32.predict(path)[2] - expected).abs().max())
    half = learner.precision.name != "fp32"
    assert (difference > 1e-6) is half
    assert difference < 0.02


def test_f097_probabilities_in_half_precision_are_those_of_get_preds(of_precision: Pair) -> None:
    learner, _ = of_precision
    data: Any = learner.data
    expected = learner.get_preds()[0]
    alone = torch.stack([learner.predict(data.valid_ds.path(index))[2] for index in range(4)])
    batch = learner.pred_batch(batch=data.one_batch(DatasetType.Valid, True, False))
    assert torch.allclose(alone, expected[:4], rtol=0, atol=1e-2)  # batches of another size are summed otherwise
    assert torch.allclose(batch, expected[: len(batch)], rtol=0, atol=1e-6)


def test_f120_a_precision_that_does_not_exist_is_refused_by_name(classes: Pair) -> None:
    with pytest.raises(LearnerError, match="'half' is none of fp32, fp16, bf16"):
        load_predictor(classes[0].path / "export", precision="half")
