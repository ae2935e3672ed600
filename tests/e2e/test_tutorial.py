"""The tutorial that fastai users start with, its lines unchanged but for imports, the path and the pictures' size."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import matplotlib as mpl
import pytest
import torch
import torchvision
from matplotlib.figure import Figure
from support.labelled_data import category_data
from support.pictures import a_class_folder

from learnfleet.trainer import (
    CSVLogger,
    DatasetType,
    EarlyStoppingCallback,
    GeneralScheduler,
    ImageDataBunch,
    Learner,
    LearnerError,
    OneCycleScheduler,
    ShowGraph,
    TrainingPhase,
    accuracy,
    cnn_learner,
    get_transforms,
    imagenet_stats,
    load_learner,
    models,
    open_image,
    simple_cnn,
)

mpl.use("Agg")


def test_every_name_of_the_tutorial_comes_with_a_star() -> None:
    names: dict[str, object] = {}
    exec("from learnfleet.trainer import *", names)
    wanted = (
        "ImageDataBunch cnn_learner unet_learner models accuracy error_rate imagenet_stats get_transforms Learner"
        " OneCycleScheduler GeneralScheduler TrainingPhase MixUpCallback CSVLogger ShowGraph SaveModelCallback"
        " EarlyStoppingCallback ReduceLROnPlateauCallback load_learner DatasetType ClassificationInterpretation"
        " SegmentationItemList ImageList Callback LearnerCallback open_image open_mask lr_range simple_cnn conv_layer"
        " AdaptiveConcatPool2d AverageMetric MixUpLoss NormType PixelShuffle_ICNR LearnerError DataBunch load_data"
        " CrossEntropyFlat FloatList CategoryList imagenet_stats cifar_stats verify_images get_image_files create_body"
        " create_head num_features_model split_model Category MultiCategory ImageSegment Recorder LRFinder"
    )
    assert [name for name in wanted.split() if name not in names] == []


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two classes as folders: enough pictures for a batch of the default size."""
    root = tmp_path_factory.mktemp("pictures")
    for number, name in enumerate(("ant", "bee")):
        a_class_folder(root / name, 40, 100 * number)
    return root


@pytest.fixture
def weights_at_hand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file where torchvision looks before it downloads; its name says which hash it should have."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    for make, weights in (
        (torchvision.models.resnet50, torchvision.models.ResNet50_Weights.DEFAULT),
        (torchvision.models.resnet18, torchvision.models.ResNet18_Weights.DEFAULT),
    ):
        file = tmp_path / "hub" / "checkpoints" / weights.url.rpartition("/")[2]
        file.parent.mkdir(parents=True, exist_ok=True)
        torch.manual_seed(0)
        torch.save(make().state_dict(), file)


@pytest.mark.timeout(900)  # eleven epochs of a resnet50, as the tutorial has them
@pytest.mark.usefixtures("weights_at_hand")
def test_the_tutorials_own_lines_run(path: Path) -> None:
    ds = ImageDataBunch.from_folder(path, valid_pct=0.2, size=48)
    learner_ = cnn_learner(ds, models.resnet50, metrics=[accuracy])
    learner_.fit(1)
    one_cycle = OneCycleScheduler(learner_, lr_max=0.1)
    learner_.fit(10, lr=3e-4, callbacks=[one_cycle])
    assert max(learner_.recorder.lrs) == pytest.approx(0.1, rel=0.05)
    assert isinstance(learner_.recorder.plot_losses(), Figure)
    assert isinstance(learner_.recorder.plot_lr(), Figure)

    picture = ds.valid_ds[0]
    category, index, probabilities = learner_.predict(picture)
    assert ds.classes[int(index)] == str(category)
    assert float(probabilities.sum()) == pytest.approx(1, abs=1e-5)
    preds, targets, losses = learner_.get_preds(with_loss=True)
    assert len(preds) == len(targets) == len(losses) == 16

    interpretation = learner_.interpret()
    assert isinstance(interpretation.plot_top_losses(4), Figure)
    assert isinstance(interpretation.plot_confusion_matrix(), Figure)
    assert interpretation.confusion_matrix().sum() == 16

    learner_.save("stage-1")
    learner_.load("stage-1")
    learner_.export()
    again = load_learner(path)
    assert torch.allclose(again.predict(picture)[2], probabilities, atol=1e-6)


@pytest.mark.usefixtures("weights_at_hand")
@pytest.mark.slow
def test_what_every_fastai_user_writes_next_runs(path: Path, tmp_path: Path) -> None:
    data = ImageDataBunch.from_folder(path, valid_pct=0.2, ds_tfms=get_transforms(), size=16, bs=8, seed=42)
    data = data.normalize(imagenet_stats)
    data.show_batch(rows=3, figsize=(5, 5))
    stopping = partial(EarlyStoppingCallback, monitor="accuracy", min_delta=0.01, patience=3)
    learn = cnn_learner(data, models.resnet18, metrics=accuracy, callback_fns=[CSVLogger, stopping, ShowGraph])
    learn.path = tmp_path
    learn.lr_find(num_it=20)
    learn.recorder.plot(suggestion=True)
    assert learn.recorder.min_grad_lr in learn.recorder.lrs
    learn.fit_one_cycle(1)
    assert (tmp_path / "history.csv").read_text().startswith("epoch,train_loss,valid_loss,accuracy,time")
    learn.unfreeze()
    learn.fit_one_cycle(4, max_lr=slice(1e-5, 1e-3))
    assert learn.recorder.lrs
    learn.recorder.plot_metrics()
    learn.mixup().to_fp16().fit(1, slice(1e-4))
    learn.to_fp32()
    phases = [
        TrainingPhase(2).schedule_hp("lr", (1e-4, 1e-3)).schedule_hp("mom", (0.95, 0.85)),
        TrainingPhase(2).schedule_hp("lr", 1e-4),
    ]
    learn.fit(2, callbacks=GeneralScheduler(learn, phases))
    log_preds, y = learn.TTA(ds_type=DatasetType.Valid)
    assert log_preds.shape == (16, 2)
    assert len(y) == 16
    assert learn.validate()[1] == pytest.approx(float(accuracy(learn.get_preds()[0], learn.get_preds()[1])))
    learn.show_results(rows=2)


_SCRIPT = """
from learnfleet.trainer import *

ds = ImageDataBunch.from_folder(path, valid_pct=0.2, size=32, bs=16)
learner_ = cnn_learner(ds, models.resnet18, pretrained=False, metrics=[accuracy], callback_fns=[CSVLogger])
learner_.fit_one_cycle(1, max_lr=slice(1e-4, 1e-2))
learner_.recorder.plot_losses(return_fig=True)
learner_.recorder.plot_lr(show_moms=True)
answer = learner_.predict(open_image(ds.valid_ds.path(0)))
interpretation = ClassificationInterpretation.from_learner(learner_)
interpretation.plot_top_losses(4, figsize=(6, 6))
interpretation.plot_confusion_matrix(figsize=(6, 6), dpi=60)
learner_.export()
again = load_learner(path).predict(open_image(ds.valid_ds.path(0)))
"""


def test_a_script_needs_no_import_but_the_star(path: Path) -> None:
    names: dict[str, Any] = {"path": str(path)}
    exec(_SCRIPT, names)
    assert str(names["answer"][0]) == str(names["again"][0])
    assert torch.allclose(names["answer"][2], names["again"][2], atol=1e-6)


def test_simple_cnn_learns_and_answers_as_in_fastais_first_steps(tmp_path: Path) -> None:
    data = category_data(tmp_path, n=12, n_valid=6)
    torch.manual_seed(0)
    learn = Learner(data, simple_cnn((3, 16, 16, 3), bn=True), metrics=[accuracy], silent=True)
    learn.fit_one_cycle(8, 3e-2)
    assert learn.recorder.metrics[-1][0] >= 0.9  # three colours: chance gives a third
    category, index, _ = learn.predict(open_image(data.valid_ds.path(0)))
    assert str(category) == data.classes[int(index)] == "blue"


def test_early_stopping_stops_a_fit_that_does_not_get_better(path: Path) -> None:
    data = ImageDataBunch.from_folder(path, valid_pct=0.2, size=16, bs=8, seed=42)
    stopping = partial(EarlyStoppingCallback, monitor="accuracy", min_delta=0.01, patience=3)
    learn = Learner(data, simple_cnn((3, 4, 2)), metrics=accuracy, callback_fns=[stopping], silent=True)
    learn.fit(20, 1e-12)  # too small a rate to change any prediction
    assert len({values[0] for values in learn.recorder.metrics}) == 1
    assert len(learn.recorder.rows) == 1 + 3 + 1  # the best, three that are borne with, and the one that is not


def test_pretrained_weights_out_of_reach_say_where_to_put_them_and_how_to_do_without(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreachable(*_: object, **__: object) -> None:
        raise OSError("Name or service not known")

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", unreachable)
    data = ImageDataBunch.from_folder(path, valid_pct=0.2, size=32, bs=8)
    with pytest.raises(LearnerError, match="pretrained weights of resnet18 cannot be had") as caught:
        cnn_learner(data, models.resnet18)
    address = torchvision.models.ResNet18_Weights.DEFAULT.url
    assert f"Put {address} into {tmp_path / 'hub' / 'checkpoints'}" in str(caught.value)
    assert "pretrained=False" in str(caught.value)
    assert cnn_learner(data, models.resnet18, pretrained=False, silent=True).predict(data.valid_ds[0])
