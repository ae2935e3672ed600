"""Explanations of single predictions: what the maps add up to, and what cannot be explained."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from support.labelled_data import category_data, masks_data, numbers_data
from support.memory_data import a_learner

from learnfleet.trainer import cnn_learner, load_predictor, unet_learner
from learnfleet.trainer.errors import LearnerError
from learnfleet.trainer.explain import METHODS, explain
from learnfleet.trainer.grad_cam import grad_cam
from learnfleet.trainer.learner import Learner
from learnfleet.trainer.pixels import normalized
from learnfleet.trainer.predictor import Predictor

SIZE = 64
SLOW = [name for name in METHODS if name != "grad_cam"]  # of masks


def exported(learner: Learner, root: Path) -> Predictor:
    learner.path = root
    learner.export("model")
    return load_predictor(root / "model")


@pytest.fixture(scope="module")
def photo() -> bytes:
    """A picture with a bright square in its corner."""
    pixels = np.random.default_rng(0).integers(0, 90, (80, 96, 3), dtype=np.uint8)
    pixels[8:40, 8:40, 0] += 150
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture(scope="module", params=["resnet18", pytest.param("timm/efficientnet_b0", marks=pytest.mark.slow)])
def of_classes(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Predictor:
    root = tmp_path_factory.mktemp("classes")
    learner = cnn_learner(category_data(root / "data", size=SIZE), request.param, pretrained=False, silent=True, seed=0)
    return exported(learner, root)


@pytest.fixture(scope="module")
def of_masks(tmp_path_factory: pytest.TempPathFactory) -> Predictor:
    root = tmp_path_factory.mktemp("masks")
    learner = unet_learner(masks_data(root / "data", size=SIZE), "resnet18", pretrained=False, silent=True)
    return exported(learner, root)


@pytest.mark.parametrize("method", METHODS)
def test_every_method_gives_a_map_as_large_as_the_picture_and_an_overlay(
    of_classes: Predictor, photo: bytes, method: str
) -> None:
    found = explain(of_classes, photo, method, "red")
    assert (found.map.shape, found.map.dtype) == ((SIZE, SIZE), np.float32)
    assert np.isfinite(found.map).all()
    assert Image.open(io.BytesIO(found.overlay)).size == (SIZE, SIZE)
    assert found.class_name == "red"
    item, _, probabilities = of_classes.predict(photo)
    assert found.predicted == str(item)
    assert found.probability == pytest.approx(float(probabilities[of_classes.classes.index("red")]), rel=1e-4)


def test_integrated_gradients_add_up_to_what_the_picture_does_to_the_score(of_classes: Predictor, photo: bytes) -> None:
    found = explain(of_classes, photo, "integrated_gradients", "blue")
    pixels = of_classes.transform.pixels(photo)
    stats = (of_classes.transform.mean, of_classes.transform.std)
    place = of_classes.classes.index("blue")
    with torch.no_grad():
        scores = [
            of_classes.model(normalized(part[None], stats))[0, place] for part in (pixels, torch.zeros_like(pixels))
        ]
    assert found.map.sum() == pytest.approx(float(scores[0] - scores[1]), rel=0.1, abs=0.02)


def test_grad_cam_is_that_of_the_training_side_enlarged(of_classes: Predictor, photo: bytes) -> None:
    found = explain(of_classes, photo, "grad_cam", "red")
    stats = (of_classes.transform.mean, of_classes.transform.std)
    x = normalized(of_classes.transform.pixels(photo)[None], stats).requires_grad_()
    heat = grad_cam(of_classes.model, x, torch.tensor([of_classes.classes.index("red")]))[0]
    large = torch.nn.functional.interpolate(heat[None, None], (SIZE, SIZE), mode="bilinear", align_corners=False)
    assert np.allclose(found.map, large[0, 0].numpy(), rtol=1e-4, atol=1e-6)


def test_occlusion_is_how_far_the_score_falls_where_a_patch_is_covered(of_classes: Predictor, photo: bytes) -> None:
    found = explain(of_classes, photo, "occlusion", "red")
    assert found.map.std() > 0
    assert len(np.unique(found.map[:4, :4])) == 1  # of one patch


@pytest.mark.parametrize("method", ["grad_cam", *(pytest.param(name, marks=pytest.mark.slow) for name in SLOW)])
def test_masks_are_explained_a_class_at_a_time(of_masks: Predictor, photo: bytes, method: str) -> None:
    one, other = (explain(of_masks, photo, method, name) for name in ("sky", "house"))
    assert one.map.shape == other.map.shape == (SIZE, SIZE)
    assert not np.allclose(one.map, other.map)
    assert one.predicted in of_masks.classes


def test_without_a_class_it_is_the_predicted_one_and_an_index_will_do(of_classes: Predictor, photo: bytes) -> None:
    found = explain(of_classes, photo)
    assert found.class_name == found.predicted
    assert explain(of_classes, photo, "grad_cam", "2").class_name == of_classes.classes[2]


def test_what_cannot_be_explained_is_named(of_classes: Predictor, photo: bytes, tmp_path: Path) -> None:
    with pytest.raises(LearnerError, match="class_name: 'teal' is no class of the model; there are blue, green, red"):
        explain(of_classes, photo, "grad_cam", "teal")
    with pytest.raises(LearnerError, match="method: 'lime' must be one of grad_cam, integrated_gradients, occlusion"):
        explain(of_classes, photo, "lime")
    numbers = cnn_learner(numbers_data(tmp_path / "data", size=SIZE), "resnet18", pretrained=False, silent=True)
    with pytest.raises(LearnerError, match="model: predicts float"):
        explain(exported(numbers, tmp_path), photo)


def test_f111_a_learner_explains_itself_as_its_export_does(tmp_path: Path, photo: bytes) -> None:
    data = category_data(tmp_path / "data", size=SIZE)
    learner = cnn_learner(data, "resnet18", pretrained=False, silent=True)
    before = {name: value.clone() for name, value in learner.model.state_dict().items()}
    found = learner.explain(photo, class_name="red")
    assert [p.requires_grad for p in learner.model.parameters()] == [True] * len([*learner.model.parameters()])
    assert all(torch.equal(value, before[name]) for name, value in learner.model.state_dict().items())
    expected = explain(exported(learner, tmp_path), photo, class_name="red")
    assert np.array_equal(found.map, expected.map)
    assert (found.class_name, found.method, found.predicted) == ("red", "grad_cam", expected.predicted)
    assert found.probability == pytest.approx(expected.probability)
    assert found.save(tmp_path / "overlay.png").read_bytes() == found._repr_png_() == found.overlay
    with pytest.raises(LearnerError, match="no class of the model"):
        learner.explain(photo, class_name="mauve")
    with pytest.raises(LearnerError, match="no transform of its own"):
        a_learner().explain(photo)
