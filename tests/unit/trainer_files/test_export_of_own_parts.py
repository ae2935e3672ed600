"""Exports of learners with parts that have no name, and exports that somebody has changed."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file
from support.exported_learners import data_of, learner_of, noise_and_masks
from support.memory_data import MemoryData, a_learner
from torch import Tensor, nn

from learnfleet.trainer import cnn_learner, load_learner, manifest
from learnfleet.trainer.callback import Callback
from learnfleet.trainer.errors import LearnerError
from learnfleet.trainer.manifest import CorruptCheckpoint
from learnfleet.trainer.metrics import AverageMetric


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return noise_and_masks(tmp_path_factory.mktemp("data"))


def sensitivity(output: Tensor, target: Tensor) -> Tensor:
    return (output.argmax(-1) == target).double().mean()


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


def test_f121_a_changed_bit_anywhere_in_a_manifest_is_found(tmp_path: Path) -> None:
    learner = a_learner(MemoryData(path=tmp_path))
    learner.fit(1)
    learner.save("changed")
    file = tmp_path / "models" / "changed" / "manifest.json"
    content = file.read_bytes()
    for place in range(len(content)):
        changed = bytearray(content)
        changed[place] ^= 1
        file.write_bytes(changed)
        with pytest.raises(CorruptCheckpoint):
            manifest.read_manifest(file.parent)
    file.write_bytes(content)
    assert manifest.read_manifest(file.parent).step == learner.global_step


def test_f121_a_manifest_from_before_it_had_a_checksum_is_read(tmp_path: Path) -> None:
    learner = a_learner(MemoryData(path=tmp_path))
    learner.fit(1)
    learner.save("old")
    file = tmp_path / "models" / "old" / "manifest.json"
    values = json.loads(file.read_bytes())
    del values["manifest_sha256"]
    file.write_text(json.dumps(values))
    assert learner.load("old").global_step == 4
    file.write_text(json.dumps({**values, "manifest_sha255": "of another name"}))
    with pytest.raises(CorruptCheckpoint, match="nothing is known of manifest_sha255"):
        learner.load("old")


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
    (folder / manifest.MANIFEST_FILE).unlink()
    manifest.write_manifest(folder, job_id="save", attempt=0, step=0, epoch=0)


def test_f121_an_export_holds_tensors_and_text_only(root: Path, tmp_path: Path) -> None:
    learner = learner_of("category", root, tmp_path)
    folder = learner.export()
    assert {path.name for path in folder.iterdir()} == {
        "README.md",
        "card.json",
        "example_output.json",
        "input_example.png",
        "manifest.json",
        "model.safetensors",
        "signature.json",
        "spec.json",
    }
    assert load_file(folder / "model.safetensors").keys() == learner.model.state_dict().keys()
    card = (folder / "README.md").read_text()
    assert "squeezenet1_1, 3 classes" in card
    assert "Says which class a picture is of." in card
