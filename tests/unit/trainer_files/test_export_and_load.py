"""`Learner.export` and `load_learner`: the same predictions from a folder without data, for every kind of label."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from support.exported_learners import KINDS, N, learner_of, noise_and_masks
from torch import Tensor

from learnfleet.trainer import ImageDataBunch, ImageList, load_learner, load_predictor
from learnfleet.trainer.data_spec import FOLLOWING_KINDS
from learnfleet.trainer.dataset import DatasetType
from learnfleet.trainer.errors import LearnerError
from learnfleet.trainer.learner import Learner
from learnfleet.trainer.loss_functions import FocalLoss, LabelSmoothingCrossEntropy
from learnfleet.trainer.opt_funcs import SGD


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return noise_and_masks(tmp_path_factory.mktemp("data"))


Parts = tuple[Learner, Path]


@pytest.fixture(scope="module", params=KINDS)
def exported(request: pytest.FixtureRequest, root: Path, tmp_path_factory: pytest.TempPathFactory) -> Parts:
    """A trained learner of each kind, and the folder that its export is in."""
    path = tmp_path_factory.mktemp("learner")
    learner = learner_of(request.param, root, path)
    if learner.data.stats is None:
        learner.data.normalize()
    learner.fit(1, 1e-2)
    assert learner.export() == path / "export"
    return learner, path


def alike(found: Tensor, expected: Tensor) -> bool:
    """But for rounding, which depends on the batch size and on the processor, and goes by the largest numbers."""
    return torch.allclose(found, expected, rtol=1e-4, atol=1e-5 * float(expected.abs().max()))


def test_f120_a_loaded_learner_predicts_what_the_exported_one_predicted(exported: Parts, root: Path) -> None:
    learner, path = exported
    loaded = load_learner(path)
    for number in range(3):
        picture = root / "test" / f"{number}.png"
        expected, found = learner.predict(picture), loaded.predict(picture)
        assert str(expected[0]) == str(found[0])
        assert torch.equal(expected[1], found[1])
        assert torch.equal(expected[2], found[2])
    assert list(loaded.data.classes) == list(learner.data.classes)
    assert loaded.data.eval_transform == learner.data.eval_transform


def test_f120_get_preds_of_test_pictures_is_that_of_the_exported_learner(exported: Parts, root: Path) -> None:
    learner, path = exported
    learner.data.add_test_folder("test")
    expected = learner.get_preds(DatasetType.Test)[0]
    files = [root / "test" / f"{number}.png" for number in (4, 1)]
    whole, two = load_learner(path, test=root / "test", bs=2), load_learner(path, test=files)
    assert alike(whole.get_preds(DatasetType.Test)[0], expected)
    assert alike(two.get_preds(DatasetType.Test)[0], expected[[4, 1]])
    assert len(load_learner(path, test=root / "test").get_preds(DatasetType.Test)[1]) == N


def test_f120_test_pictures_come_as_a_file_files_items_or_a_list_of_fastais(exported: Parts, root: Path) -> None:
    learner, path = exported
    files = sorted((root / "test").iterdir())
    expected = load_learner(path, "export", files).get_preds(DatasetType.Test)[0]
    learner.data.add_test_folder("test")
    given = (map(str, files), learner.data.test_ds, ImageList.from_folder(root / "test"))
    for test in given:
        found = load_learner(path, test=test, bs=4).get_preds(DatasetType.Test)[0]
        assert alike(found, expected)
    one = load_learner(path, test=files[2]).get_preds(DatasetType.Test)[0]
    assert alike(one, expected[2:3])


def test_f120_test_pictures_that_are_not_there_are_told(exported: Parts, root: Path) -> None:
    _, path = exported
    with pytest.raises(LearnerError, match=r"test: there is no file .*nobody.png and 1 more"):
        load_learner(path, test=[root / "test" / "0.png", root / "nobody.png", root / "no.png"])
    with pytest.raises(LearnerError, match="does not exist"):
        load_learner(path, test=root / "nowhere")


def test_f120_the_fourth_argument_is_fastais_tfm_y(exported: Parts) -> None:
    learner, path = exported
    assert load_learner(path, "export", None, None).data.c == learner.data.c
    follows = learner.data.kind in FOLLOWING_KINDS
    with pytest.raises(LearnerError, match=r"tfm_y: targets of the kind"):
        load_learner(path, tfm_y=not follows)


def test_f120_a_missing_export_is_told_with_those_that_are_there(exported: Parts) -> None:
    _, path = exported
    with pytest.raises(FileNotFoundError, match=r"there is no export .*export.pkl; there are .*export"):
        load_learner(path, "export.pkl")


def test_f020_the_data_of_a_loaded_learner_is_empty_but_for_classes_and_transforms(exported: Parts) -> None:
    learner, path = exported
    data = load_learner(path).data
    assert isinstance(data, ImageDataBunch)
    assert data.is_empty
    assert data.empty_val
    assert data.c == learner.data.c
    assert data.kind is learner.data.kind
    assert data.stats == learner.data.stats
    with pytest.raises(LearnerError, match="not one full batch"):
        load_learner(path).fit(1)


def test_f120_an_export_tells_no_path_or_file_name_of_the_pictures(exported: Parts, root: Path) -> None:
    text = "".join(file.read_bytes().decode(errors="replace") for file in (exported[1] / "export").iterdir())
    assert "secret" not in text
    assert str(root) not in text


def test_f120_a_loaded_learner_can_be_exported_again_and_trained_on_new_data(exported: Parts, root: Path) -> None:
    learner, path = exported
    loaded = load_learner(path)
    loaded.export("again")
    picture = root / "test" / "0.png"
    assert torch.equal(load_learner(path, "again").predict(picture)[2], loaded.predict(picture)[2])
    loaded.data, loaded.silent = learner.data, True
    loaded.freeze()
    loaded.fit_one_cycle(1, 1e-3)
    assert loaded.global_step == 2


def test_f120_both_the_learner_and_the_predictor_read_the_same_export(exported: Parts, root: Path) -> None:
    _, path = exported
    picture = root / "test" / "2.png"
    assert torch.allclose(
        load_predictor(path / "export").predict(picture)[2], load_learner(path).predict(picture)[2], atol=1e-6
    )


# --- what an export holds


def sensitivity(output: Tensor, target: Tensor) -> Tensor:
    return (output.argmax(-1) == target).double().mean()


def test_f120_loss_metrics_optimiser_and_settings_come_back_by_their_names(
    root: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    learner = learner_of(
        "category",
        root,
        tmp_path,
        loss_func=FocalLoss(3.0),
        metrics=["accuracy", sensitivity],
        opt_func=SGD,
        wd=0.2,
        true_wd=False,
        bn_wd=False,
        train_bn=False,
        lin_ftrs=[7],
        ps=0.1,
        concat_pool=False,
        seed=4,
    )
    learner.fit(1)
    learner.export("model-a")
    loaded = load_learner(tmp_path, "model-a")
    assert isinstance(loaded.loss_func, FocalLoss)
    assert loaded.loss_func.gamma == 3.0
    assert [metric.name for metric in loaded.metrics] == ["accuracy"]
    assert "the metric sensitivity is left out of the export" in caplog.text
    assert loaded.opt_func is SGD
    settings = ("wd", "true_wd", "bn_wd", "train_bn", "seed", "model_dir")
    assert [getattr(loaded, name) for name in settings] == [getattr(learner, name) for name in settings]
    assert len(loaded.layer_groups) == len(learner.layer_groups) == 4
    assert loaded.path == tmp_path
    spec = json.loads((tmp_path / "model-a" / "spec.json").read_text())
    assert set(spec["metrics"]) == {"train_loss"}


def test_f120_the_precision_comes_back_and_what_takes_part_in_training_alone_does_not(
    root: Path, tmp_path: Path
) -> None:
    learner = learner_of("category", root, tmp_path).to_bf16().clip_grad(0.1)
    picture = root / "test" / "0.png"
    plain = learner_of("category", root, tmp_path)
    plain.model.load_state_dict(learner.model.state_dict())
    assert not torch.equal(plain.predict(picture)[2], learner.predict(picture)[2])
    learner.export()
    loaded = load_learner(tmp_path)
    assert torch.equal(loaded.predict(picture)[2], learner.predict(picture)[2])
    assert loaded.callbacks == []


def test_f120_a_loss_set_after_the_learner_was_made_is_the_one_exported(root: Path, tmp_path: Path) -> None:
    learner = learner_of("category", root, tmp_path)
    learner.loss_func = LabelSmoothingCrossEntropy(0.3)
    learner.export()
    loaded = load_learner(tmp_path)
    assert isinstance(loaded.loss_func, LabelSmoothingCrossEntropy)
    assert loaded.loss_func.eps == 0.3
    assert torch.equal(loaded.predict(root / "test" / "0.png")[2], learner.predict(root / "test" / "0.png")[2])


def test_f122_export_with_destroy_lets_the_learner_go(root: Path, tmp_path: Path) -> None:
    learner = learner_of("category", root, tmp_path)
    learner.export("last", destroy=True)
    with pytest.raises(LearnerError, match="it was destroyed"):
        learner.fit(1)
    assert load_learner(tmp_path, "last").data.c == 3
