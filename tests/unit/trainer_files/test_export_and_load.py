"""`Learner.export` and `load_learner`: the same predictions from a folder without data, for every kind of label."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from support.memory_data import MemoryData, a_learner
from torch import Tensor, nn

from learnfleet.trainer import ImageDataBunch, cnn_learner, load_learner, load_predictor, unet_learner
from learnfleet.trainer.callback import Callback
from learnfleet.trainer.data_spec import DataSpec, LabelKind, MaskSpec
from learnfleet.trainer.dataset import DatasetType
from learnfleet.trainer.errors import LearnerError
from learnfleet.trainer.learner import Learner
from learnfleet.trainer.loss_functions import FocalLoss, LabelSmoothingCrossEntropy
from learnfleet.trainer.manifest import CorruptCheckpoint
from learnfleet.trainer.metrics import AverageMetric
from learnfleet.trainer.opt_funcs import SGD
from learnfleet.trainer.transforms import get_transforms

N = 6
SIDE = 32
KINDS = ("category", "multi_category", "float", "two floats", "mask")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pictures of noise with masks of where red is strong, in folders named secret: a name that no export may tell."""
    root, random = tmp_path_factory.mktemp("data"), np.random.default_rng(0)
    for folder in ("secret", "masks", "test"):
        (root / folder).mkdir()
    for number in range(N):
        pixels = random.integers(0, 256, (40, 36, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(root / "secret" / f"{number}.png")
        Image.fromarray((pixels[..., 0] > 127).astype(np.uint8)).save(root / "masks" / f"{number}.png")
        Image.fromarray(random.integers(0, 256, (33, 50, 3), dtype=np.uint8)).save(root / "test" / f"{number}.png")
    return root


def data_of(kind: str, root: Path) -> ImageDataBunch:
    """All six pictures train, with labels of that kind."""
    names = [f"secret/{number}.png" for number in range(N)]
    labels: dict[str, list[Any]] = {
        "category": ["ant", "bee", "ant", "bee", "ant", "wasp"],
        "multi_category": [["red"], ["red", "sea"], [], ["sea"], ["sky"], ["red", "sky"]],
        "float": [0.5, 1.5, 2.5, 3.5, 4.5, 5.5],
        "two floats": [(0.5, 1.0), (1.5, 2.0), (2.5, 3.0), (3.5, 4.0), (4.5, 5.0), (5.5, 6.0)],
    }
    if kind == "mask":
        spec = DataSpec(
            str(root),
            size=(SIDE, SIDE),
            bs=3,
            source="masks",
            labels=LabelKind.MASK,
            masks=MaskSpec("secret", "masks"),
            classes=("weak", "strong"),
            valid_pct=0.0,
        )
        return ImageDataBunch.from_spec(spec)
    return ImageDataBunch.from_lists(
        root, names, labels[kind], valid_pct=0, seed=1, size=SIDE, bs=3, ds_tfms=get_transforms()
    )


def learner_of(kind: str, root: Path, path: Path, **options: Any) -> Learner:
    data = data_of(kind, root)
    make = unet_learner if kind == "mask" else cnn_learner
    return make(data, "squeezenet1_1", pretrained=False, path=path, silent=True, **options)


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
    assert torch.allclose(whole.get_preds(DatasetType.Test)[0], expected, rtol=1e-5)
    assert torch.allclose(two.get_preds(DatasetType.Test)[0], expected[[4, 1]], rtol=1e-5)
    assert len(load_learner(path, test=root / "test").get_preds(DatasetType.Test)[1]) == N


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
    text = "".join(file.read_text() for file in (exported[1] / "export").iterdir() if file.suffix != ".safetensors")
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


# --- parts without a name


class OwnLoss(nn.Module):
    reduction = "mean"

    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        return output.square().mean()


def own_cut(model: nn.Module) -> nn.Module:
    return nn.Sequential(*list(model.children())[:-1])


def test_f120_parts_of_its_own_are_listed_all_at_once_with_what_to_do(root: Path, tmp_path: Path) -> None:
    learner = cnn_learner(
        data_of("category", root),
        "squeezenet1_1",
        cut=own_cut,
        pretrained=False,
        custom_head=nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, 3)),
        loss_func=OwnLoss(),
        path=tmp_path,
    )
    with pytest.raises(LearnerError) as caught:
        learner.export()
    told = str(caught.value)
    for part in ("(1) cut: a function", "(2) custom_head: a module", "(3) loss_func: OwnLoss is none of bce,"):
        assert part in told
    assert "entry-point group learnfleet.losses" in told
    assert not (tmp_path / "export").exists()
    learner.save("weights")  # as it says


def own_architecture(pretrained: bool) -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 4, 1), nn.AdaptiveAvgPool2d(1))


def test_f120_a_model_or_data_without_a_name_is_told(tmp_path: Path) -> None:
    data = MemoryData(path=tmp_path)
    with pytest.raises(LearnerError, match=r"\(1\) model: a module that was given to .*\(2\) data: MemoryData"):
        a_learner(data).export()
    with pytest.raises(LearnerError, match=r"\(1\) architecture: own_architecture has no registered name; .*\(2\)"):
        cnn_learner(data, own_architecture, pretrained=False).export()


def test_f120_functions_on_batches_are_told(root: Path, tmp_path: Path) -> None:
    learner = learner_of("category", root, tmp_path)
    learner.data.add_tfm(swap)
    with pytest.raises(LearnerError, match=r"\(1\) data.add_tfm: swap is a function on batches"):
        learner.export()


def swap(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    return x.flip(1), y


class Keeps(Callback):
    """A callback of the user's own: it trains, and predicts nothing."""


def test_f120_callbacks_and_metrics_of_its_own_do_not_stand_in_the_way(root: Path, tmp_path: Path) -> None:
    learner = learner_of("category", root, tmp_path, callbacks=[Keeps()], metrics=AverageMetric(sensitivity))
    learner.export()
    assert load_learner(tmp_path).callbacks == []


# --- F121


class Bomb:
    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.target,)


def test_f121_an_export_pkl_of_fastai_is_refused_and_nothing_of_it_runs(tmp_path: Path) -> None:
    (tmp_path / "export.pkl").write_bytes(pickle.dumps(Bomb(tmp_path / "exploded")))
    with pytest.raises(LearnerError, match=r"export.pkl is a file, and an export is a folder.*it is a pickle"):
        load_learner(tmp_path, "export.pkl")
    assert not (tmp_path / "exploded").exists()
    with pytest.raises(FileNotFoundError, match="there is no export"):
        load_learner(tmp_path, "nothing")


@pytest.mark.parametrize("file", ["spec.json", "model.safetensors", "manifest.json"])
def test_f121_a_changed_byte_anywhere_in_an_export_is_found(root: Path, tmp_path: Path, file: str) -> None:
    learner_of("category", root, tmp_path).export()
    path = tmp_path / "export" / file
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises((CorruptCheckpoint, LearnerError)):
        load_learner(tmp_path)


def test_f121_an_export_names_only_what_is_registered(root: Path, tmp_path: Path) -> None:
    learner = learner_of("category", root, tmp_path)
    learner.export()
    spec = tmp_path / "export" / "spec.json"
    for field, value in (("architecture", "os.system"), ("loss", {"name": "builtins.eval"})):
        changed = json.loads(spec.read_text())
        changed["learner"][field] = value
        text = spec.read_text()
        spec.write_text(json.dumps(changed))
        _sign(tmp_path / "export")
        with pytest.raises(LearnerError, match=r"there is no (loss )?'"):
            load_learner(tmp_path)
        spec.write_text(text)


def _sign(folder: Path) -> None:
    """Make the manifest that of the files as they are now."""
    from learnfleet.trainer import manifest

    (folder / manifest.MANIFEST_FILE).unlink()
    manifest.write_manifest(folder, job_id="save", attempt=0, step=0, epoch=0)


def test_f121_an_export_holds_tensors_and_text_only(root: Path, tmp_path: Path) -> None:
    learner = learner_of("category", root, tmp_path)
    folder = learner.export()
    assert {path.name for path in folder.iterdir()} == {
        "manifest.json",
        "model.safetensors",
        "model_card.md",
        "spec.json",
    }
    assert load_file(folder / "model.safetensors").keys() == learner.model.state_dict().keys()
    card = (folder / "model_card.md").read_text()
    assert "squeezenet1_1, 3 classes" in card
    assert "Says which class a picture is of." in card
