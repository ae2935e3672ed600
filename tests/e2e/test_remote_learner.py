"""What a remote user does beside training: search, validate, predict data sets, draw; every kind of label."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from learnfleet.client import (
    Client,
    DatasetType,
    FailedPreconditionError,
    ImageDataBunch,
    InvalidArgumentError,
    NotFoundError,
    RemoteLearner,
    get_transforms,
    imagenet_stats,
)
from learnfleet.client.cli.main import build_app
from learnfleet.server.commands.local_server import LocalServer
from learnfleet.v1 import learner_pb2

PNG = b"\x89PNG"
IMAGENET_MEAN, IMAGENET_STD = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])


@pytest.fixture(scope="module")
def learn(client: Client) -> RemoteLearner:
    """A learner of digits that has searched a learning rate and was then trained with callbacks."""
    data = ImageDataBunch.from_folder("digits", size=16, bs=32, ds_tfms=get_transforms(do_flip=False), normalize="auto")
    learner = client.cnn_learner(
        data,
        "resnet18",
        pretrained=False,
        metrics=["accuracy", ("Precision", {"average": "macro"})],
        callbacks=["csv_logger", ("early_stopping", {"monitor": "accuracy", "patience": 5})],
        loss_func=("label_smoothing", {"eps": 0.05}),
        num_workers=2,
        silent=True,
    )
    assert learner.show_batch(rows=3).content.startswith(PNG)
    found = learner.lr_find(num_it=15)
    assert len(found.lrs) == len(found.losses) > 5
    assert found.lrs == tuple(sorted(found.lrs))
    learner.fit_one_cycle(3, 1e-2, callbacks=[("mixup", {"alpha": 0.2}), "save_model"])
    return learner


def test_the_search_has_left_the_learner_as_it_was(learn: RemoteLearner) -> None:
    assert learn.info().epochs_trained == 3
    assert [row.epoch for row in learn.recorder.rows] == [0, 1, 2]
    assert set(learn.recorder.rows[-1].metrics) == {"accuracy", "precision"}


def test_validation_repeats_what_the_best_epoch_has_reached(learn: RemoteLearner) -> None:
    found = learn.validate()
    best = min(learn.recorder.rows, key=lambda row: row.valid_loss or 9e9)  # the weights that save_model has kept
    assert found["valid_loss"] == pytest.approx(best.valid_loss, rel=1e-4)
    assert found["accuracy"] == pytest.approx(best.metrics["accuracy"])
    other = learn.validate(DatasetType.Fix, metrics=["error_rate"])
    assert other.names == ("fix_loss", "error_rate")


def test_predictions_of_a_data_set_are_complete_and_in_order(learn: RemoteLearner) -> None:
    found = learn.get_preds(with_loss=True)
    preds, targets = np.asarray(found.preds), np.asarray(found.targets)
    assert found.indices == tuple(range(len(preds)))
    assert preds.shape == (len(preds), 10)
    assert np.allclose(preds.sum(axis=1), 1, atol=1e-5)
    accuracy = float((preds.argmax(axis=1) == targets).mean())
    assert accuracy == pytest.approx(learn.validate()["accuracy"])
    assert found.losses is not None
    assert float(np.asarray(found.losses).mean()) == pytest.approx(learn.validate()["valid_loss"], rel=1e-3)
    averaged, again = learn.TTA(beta=0.5)
    assert np.asarray(averaged).shape == preds.shape
    assert np.array_equal(np.asarray(again), targets)


def test_what_is_asked_for_beside_plain_predictions_agrees_with_them(learn: RemoteLearner, pictures: Path) -> None:
    preds = np.asarray(learn.get_preds()[0])
    raw = np.exp(np.asarray(learn.get_preds(activ="none")[0], dtype=np.float64))
    assert np.allclose(raw / raw.sum(axis=1, keepdims=True), preds, atol=1e-5)
    plain, mean, _ = (np.asarray(part) for part in learn.TTA(beta=None))
    assert np.allclose(plain, preds, atol=1e-6)
    assert np.allclose(0.4 * plain + 0.6 * mean, np.asarray(learn.TTA()[0]), atol=1e-5)
    assert (np.asarray(learn.tta(n=2, use_max=True)[0]) >= plain - 1e-6).all()
    picture = sorted((pictures / "digits" / "valid" / "3").iterdir())[0]
    samples = learn.predict_with_mc_dropout(picture, n_times=4)
    assert len({sample.probabilities for sample in samples}) > 1
    explained = learn.explain(picture, class_name="3")
    assert (explained.class_name, explained.map.shape) == ("3", (16, 16))
    assert explained.overlay.startswith(PNG)
    assert "Conv2d" in learn.summary()


def test_the_command_line_describes_a_learner(learn: RemoteLearner, server: LocalServer) -> None:
    shell = CliRunner()
    told = shell.invoke(build_app(), ["describe", learn.name, "--server", server.address])
    assert (told.exit_code, told.output.partition("mean of")[0].strip()) == (0, learn.summary().strip())
    plain = shell.invoke(build_app(), ["describe", learn.name, "--server", server.address, "--json"])
    assert len(json.loads(plain.output)["channel_means"]) == 3


def test_weights_alone_are_saved_and_loaded(learn: RemoteLearner) -> None:
    before = learn.validate()
    assert learn.save("light", with_opt=False).optimizer_sha256 == ""
    with pytest.raises(FailedPreconditionError, match="without its optimiser"):
        learn.load("light", with_opt=True)
    assert learn.load("light").validate() == before


def test_any_loss_is_told_and_the_least_are_drawn(learn: RemoteLearner) -> None:
    found = learn.interpret(top_losses=2, parts=["top_losses", "confusion"])
    every = found.top_losses()
    assert len(every.indices) == found.examples
    least = found.top_losses(3, largest=False)
    assert least.values.tolist() == every.values.tolist()[::-1][:3]
    assert found.plot_top_losses(2, largest=False).content.startswith(PNG)


def test_results_are_drawn_and_errors_explained(learn: RemoteLearner) -> None:
    assert learn.show_results(rows=2).content.startswith(PNG)
    found = learn.interpret(top_losses=4)
    assert {item.class_name for item in found.class_report} == set(found.classes)
    assert sum(item.support for item in found.class_report) == found.examples
    for picture in (found.plot_confusion_matrix(normalize=True), found.plot_top_losses(heatmap=True)):
        assert picture.content.startswith(PNG)


def test_a_wrong_argument_of_a_callback_is_named_before_anything_is_queued(learn: RemoteLearner) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        learn.fit(1, callbacks=[("mixup", {"alfa": 1.0}), ("save_model", {"every": "week"}), "mixdown"])
    fields = {violation.field for violation in caught.value.violations}
    assert fields == {
        "stages[0].fit.callbacks[0].arguments.alfa",
        "stages[0].fit.callbacks[1].arguments.every",
        "stages[0].fit.callbacks[2].name",
    }


def test_several_labels_a_picture(client: Client, pictures: Path) -> None:
    files = sorted((pictures / "digits" / "train").rglob("*.png"))[:120]
    names = [str(file.relative_to(pictures)) for file in files]
    labels = [[f"digit {file.parent.name}", "even" if int(file.parent.name) % 2 == 0 else "odd"] for file in files]
    validates = [number % 4 == 0 for number in range(len(files))]
    data = ImageDataBunch.from_lists(".", names, labels, is_valid=validates, size=16, bs=16, normalize="auto")
    learner = client.cnn_learner(
        data, "resnet18", pretrained=False, metrics=["accuracy_thresh", "F1ScoreMulti"], silent=True
    )
    learner.fit_one_cycle(2, 1e-2)
    prediction = learner.predict(files[0], thresh=0.0)
    assert prediction.kind == "multi_category"
    assert set(prediction.labels) == set(learner.info().classes)
    found = learner.interpret()
    assert (found.kind, len(found.label_confusion)) == ("multi_category", len(found.classes))
    picture, wrong = found.plot_multi_top_losses(save_misclassified=True)
    assert (picture.name, wrong) == ("multi_top_losses", found.misclassified)
    assert found.misclassified_count == len(found.misclassified) > 0


def test_a_class_for_every_pixel(client: Client, pictures: Path) -> None:
    """Bright squares on dark ground, and masks of them."""
    root = pictures / "squares"
    for name in ("images", "labels"):
        (root / name).mkdir(parents=True)
    random = np.random.default_rng(0)
    for number in range(24):
        pixels, mask = random.integers(0, 60, (32, 32, 3), dtype=np.uint8), np.zeros((32, 32), np.uint8)
        top, left = random.integers(0, 16, 2)
        pixels[top : top + 14, left : left + 14] += 160
        mask[top : top + 14, left : left + 14] = 1
        Image.fromarray(pixels).save(root / "images" / f"{number}.png")
        Image.fromarray(mask).save(root / "labels" / f"{number}.png")
    data = ImageDataBunch.from_masks(
        "squares", ["ground", "square"], valid_pct=0.25, size=(32, 32), bs=6, normalize="auto"
    )
    learner = client.unet_learner(
        data, "resnet18", pretrained=False, metrics=["JaccardCoeffMulti"], num_workers=2, silent=True
    )
    learner.fit_one_cycle(4, 3e-3)
    prediction = learner.predict(root / "images" / "0.png")
    mask = np.asarray(Image.open(io.BytesIO(prediction.mask_png)))
    truth = np.asarray(Image.open(root / "labels" / "0.png"))
    assert prediction.kind == "mask"
    assert float((mask == truth).mean()) > 0.9
    preds, targets = learner.get_preds()
    assert np.asarray(preds).shape[1:] == (2, 32, 32)
    assert np.asarray(targets).shape[1:] == (1, 32, 32)
    found = learner.interpret(top_losses=2)
    assert found.kind == "mask"
    assert all(item.iou is not None for item in found.class_report)
    scores = dict(found.intersect_scores())
    assert scores == {name: found.intersection[place][place] for place, name in enumerate(found.classes)}
    assert found.iou_report()[-1][0] == "mean"
    assert found.plot_intersect_cm().content[:4] == b"\x89PNG"
    assert learner.purge().info().warm is False
    version = learner.export("squares", onnx=False)
    learner.delete()
    with pytest.raises(NotFoundError):
        learner.info()
    exported = client.predict(version.name, root / "images" / "0.png")
    assert exported.mask_png == prediction.mask_png


@pytest.mark.slow
def test_points_and_pictures_are_predicted_as_they_are_locally(client: Client, pictures: Path) -> None:
    """A dot on dark ground: where it is, and its negative."""
    root = pictures / "dots"
    (root / "negatives").mkdir(parents=True)
    random = np.random.default_rng(0)
    names = [f"{number}.png" for number in range(24)]
    places = [(int(row), int(column)) for row, column in random.integers(6, 26, (24, 2))]
    for name, (row, column) in zip(names, places, strict=True):
        pixels = random.integers(0, 40, (32, 32, 3), dtype=np.uint8)
        pixels[row - 4 : row + 4, column - 4 : column + 4] += 200
        Image.fromarray(pixels).save(root / name)
        Image.fromarray(255 - pixels).save(root / "negatives" / name)
    is_valid = [number >= 18 for number in range(24)]
    tfms = get_transforms(max_rotate=0, max_lighting=0, max_warp=0)
    data = ImageDataBunch.from_lists(
        "dots", names, [[place] for place in places], is_valid=is_valid, ds_tfms=tfms, size=(32, 32), bs=6
    )
    finder = client.cnn_learner(data, "resnet18", pretrained=False, num_workers=2, silent=True)
    finder.fit_one_cycle(1, 1e-3)
    prediction = finder.predict(root / names[0])
    assert (prediction.kind, len(prediction.values)) == ("points", 2)
    found = finder.get_preds(DatasetType.Fix)
    preds, targets = (np.asarray(part).reshape(24 - 6, 2) for part in found)
    assert targets[0] == pytest.approx(np.asarray(places[0]) / 16 - 1, abs=0.1)
    assert preds[0] == pytest.approx(prediction.values, abs=1e-3)
    assert finder.show_results(rows=2).content.startswith(PNG)
    data = ImageDataBunch.from_lists(
        "dots",
        names,
        [f"negatives/{name}" for name in names],
        is_valid=is_valid,
        size=(32, 32),
        bs=6,
        label_cls="image",
    ).normalize(imagenet_stats, do_y=True)
    maker = client.unet_learner(data, "resnet18", pretrained=False, num_workers=2, silent=True)
    maker.fit_one_cycle(1, 1e-3)
    made = maker.predict(root / names[0])
    picture = np.asarray(Image.open(io.BytesIO(made.picture_png)), dtype=np.float64) / 255
    found = maker.get_preds(DatasetType.Fix)
    wanted = np.asarray(found.preds)[0].transpose(1, 2, 0) * IMAGENET_STD + IMAGENET_MEAN
    assert (made.kind, picture.shape) == ("image", (32, 32, 3))
    assert picture == pytest.approx(wanted.clip(0, 1), abs=0.01)
    truth = np.asarray(found.targets)[0].transpose(1, 2, 0) * IMAGENET_STD + IMAGENET_MEAN
    stored = np.asarray(Image.open(root / "negatives" / names[0]), dtype=np.float64) / 255
    assert truth == pytest.approx(stored, abs=0.01)


def test_targets_that_do_not_go_with_their_kind_are_named(client: Client) -> None:
    data = ImageDataBunch.from_lists(
        "dots", ["a.png", "b.png"], [(1, 2), (3, 4)], is_valid=[False, True], label_cls="points"
    )
    broken = data.to_proto()
    broken.list.items[1].values.append(5)
    learner = client.cnn_learner(_Sent(broken), "resnet18")  # type: ignore[arg-type]
    with pytest.raises(InvalidArgumentError, match=r"items\[1\]\.values: has 3 numbers"):
        learner.fit(1)


class _Sent:
    """Data that a client of another language sends."""

    def __init__(self, message: learner_pb2.DataSpec) -> None:
        self._message = message

    def to_proto(self) -> learner_pb2.DataSpec:
        return self._message
