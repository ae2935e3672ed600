"""Real picture files, from a spec to an export and back, with interpretation and MLflow's protocol."""

from __future__ import annotations

import base64
import dataclasses
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from learnfleet.trainer import ImageDataBunch, accuracy, cnn_learner, load_learner, load_predictor
from learnfleet.trainer.build import build_learner
from learnfleet.trainer.catalog import available_catalog
from learnfleet.trainer.errors import LearnerError
from learnfleet.trainer.export import read_export
from learnfleet.trainer.images import BadImage
from learnfleet.trainer.learner import Learner
from learnfleet.trainer.manifest import CorruptCheckpoint
from learnfleet.trainer.mlflow_loader import _load_pyfunc
from learnfleet.trainer.predictor import Prediction
from learnfleet.trainer.run import RunContext, run_train
from learnfleet.trainer.run_interpret import run_interpret
from learnfleet.trainer.spec import Component, DataSpec, FitOneCycleStage, LearnerSpec, LearningRate

CLASSES = ("blue", "red")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Reddish and bluish pictures, one of which is broken."""
    root, random = tmp_path_factory.mktemp("pictures"), np.random.default_rng(0)
    for part, count in (("train", 12), ("valid", 5)):
        for channel, name in ((2, "blue"), (0, "red")):
            (root / part / name).mkdir(parents=True)
            for number in range(count):
                pixels = random.integers(0, 120, (20, 24, 3), dtype=np.uint8)
                pixels[..., channel] += 120
                Image.fromarray(pixels).save(root / part / name / f"{number}.png")
    broken = root / "valid" / "red" / "3.png"
    broken.write_bytes(broken.read_bytes()[:200])
    return root


@dataclasses.dataclass
class Trained:
    """A job on the pictures, and what it said."""

    learner: Learner
    spec: LearnerSpec
    events: list[tuple[str, str, dict[str, Any]]]
    context: RunContext
    checkpoint: Path
    metrics: dict[str, float]


@pytest.fixture(scope="module")
def trained(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    data = DataSpec(str(folder), size=(32, 32), bs=8)
    spec = LearnerSpec(data, "squeezenet1_1", metrics=(Component("accuracy"), Component("top_k_accuracy", {"k": 1.0})))
    events: list[tuple[str, str, dict[str, Any]]] = []
    root = tmp_path_factory.mktemp("job")
    context = RunContext("job", 1, lambda *event: events.append(event), lambda: False, root / "checkpoints")
    learner = build_learner(spec)
    outcome = run_train(learner, [FitOneCycleStage(2, LearningRate(value=3e-3))], context)
    return Trained(learner, spec, events, context, outcome.checkpoint.path, outcome.metrics)


@pytest.fixture(scope="module")
def export(trained: Trained, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An export made as the control server makes it: in a process without torch."""
    out = tmp_path_factory.mktemp("out") / "export"
    code = """
import json, sys
from pathlib import Path
from learnfleet.trainer.export import export_from_checkpoint
from learnfleet.trainer.spec import LearnerSpec
checkpoint, out, spec, metrics = Path(sys.argv[1]), Path(sys.argv[2]), json.loads(sys.argv[3]), json.loads(sys.argv[4])
state = json.loads((checkpoint / "state.json").read_text())
export_from_checkpoint(
    checkpoint, out, LearnerSpec.from_json(spec), state["classes"], state["eval_transform"], metrics
)
sys.exit("torch" in sys.modules)
"""
    arguments = [str(trained.checkpoint), str(out), json.dumps(trained.spec.to_json()), json.dumps(trained.metrics)]
    subprocess.run([sys.executable, "-c", code, *arguments], check=True)
    return out


def files(folder: Path) -> list[Path]:
    return [path for path in sorted((folder / "valid").rglob("*.png")) if path.parts[-2:] != ("red", "3.png")]


def test_an_export_predicts_what_the_learner_predicted(trained: Trained, export: Path, folder: Path) -> None:
    predictor = load_predictor(export)
    assert predictor.classes == CLASSES
    for path in files(folder)[:3]:
        category, index, probabilities = trained.learner.predict(path)
        name, own_index, own_probabilities = predictor.predict(path)
        assert (str(category), int(index)) == (str(name), int(own_index))
        assert torch.allclose(probabilities, own_probabilities, atol=1e-6)
    picture = files(folder)[0]
    assert torch.allclose(predictor.logits([picture]).softmax(1)[0], predictor.predict(picture)[2], atol=1e-6)


def test_bytes_are_answered_in_order_and_a_broken_picture_has_its_error_in_its_place(
    export: Path, folder: Path
) -> None:
    good = [path.read_bytes() for path in files(folder)[:2]]
    first, broken, second = load_predictor(export).predict_bytes([good[0], b"no picture", good[1]])
    assert isinstance(first, Prediction)
    assert isinstance(broken, BadImage)
    assert isinstance(second, Prediction)
    assert sum(first.probabilities) == pytest.approx(1)
    assert load_predictor(export).predict_bytes([b""])[0].__class__ is BadImage


def test_an_export_describes_itself_and_names_no_local_path(trained: Trained, export: Path, folder: Path) -> None:
    content = read_export(export)
    assert (content.classes, content.learner.architecture) == (CLASSES, "squeezenet1_1")
    assert content.metrics == trained.metrics
    assert content.eval_transform == trained.learner.eval_transform_json()
    texts = "".join((export / name).read_text() for name in ("spec.json", "README.md", "card.json", "manifest.json"))
    assert str(folder) not in texts


def test_a_changed_export_is_refused(export: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    copy.mkdir()
    for path in export.iterdir():
        (copy / path.name).write_bytes(path.read_bytes())
    (copy / "spec.json").write_text((copy / "spec.json").read_text().replace("blue", "grue"))
    with pytest.raises(CorruptCheckpoint, match=r"spec\.json"):
        load_predictor(copy)


def test_an_export_survives_the_checkpoint_it_was_made_from(export: Path, trained: Trained) -> None:
    model = export / "model.safetensors"
    assert model.read_bytes() == (trained.checkpoint / "model.safetensors").read_bytes()


def test_mlflows_loader_takes_bytes_and_base64_and_says_what_is_wrong(export: Path, folder: Path) -> None:
    picture = files(folder)[0].read_bytes()
    model = _load_pyfunc(str(export))
    plain, text, junk, noise = model.predict(
        [picture, base64.b64encode(picture).decode(), base64.b64encode(b"junk").decode(), "?"], {"top_k": 1}
    )
    assert plain == text
    assert plain["probabilities"] == {plain["class_name"]: plain["probability"]}
    assert junk["class_name"] is None
    assert junk["error"]
    assert "base64" in noise["error"]
    assert _load_pyfunc(str(export.parent)).predict(picture)[0]["class_name"] == plain["class_name"]


def test_mlflows_loader_gives_a_data_frame_for_a_data_frame(export: Path, folder: Path) -> None:
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"image": [path.read_bytes() for path in files(folder)[:2]]}, index=[7, 8])
    answer = _load_pyfunc(str(export)).predict(frame)
    assert list(answer.index) == [7, 8]
    assert set(answer["class_name"]) <= set(CLASSES)


def test_a_broken_picture_is_told_of_once_with_its_place_and_policy(trained: Trained) -> None:
    told = [(event_id, data) for event_id, kind, data in trained.events if kind == "bad_image"]
    assert len({event_id for event_id, _ in told}) == len(told) == 1
    data = told[0][1]
    assert data["path"].endswith("valid/red/3.png")
    assert (data["policy"], data["dataset"]) == ("skip", "valid")
    assert data["reason"]


def test_an_interpretation_counts_every_readable_picture_and_draws_both_figures(
    trained: Trained, tmp_path: Path
) -> None:
    found = run_interpret(trained.learner, trained.context, top_losses=4, min_confused=1, output_dir=tmp_path)
    json.dumps(found, allow_nan=False)
    assert (found["examples"], found["classes"]) == (9, list(CLASSES))
    assert sum(map(sum, found["confusion_matrix"])) == 9
    assert [item["path"].split("/")[:2] for item in found["top_losses"]] == [
        ["valid", item["actual"]] for item in found["top_losses"]
    ]
    assert [picture["name"] for picture in found["pictures"]] == [
        "confusion_matrix",
        "confusion_matrix_normalized",
        "top_losses",
        "top_losses_heatmap",
    ]
    assert all(Path(picture["path"]).read_bytes()[:4] == b"\x89PNG" for picture in found["pictures"])


def test_a_local_learner_reads_like_fastai_and_exports_too(folder: Path, tmp_path: Path) -> None:
    data = ImageDataBunch.from_folder(folder, size=32, bs=8)
    learner = cnn_learner(data, "squeezenet1_1", pretrained=False, metrics=accuracy, path=tmp_path, silent=True)
    learner.fit(1, 1e-3)
    learner.export()
    picture = files(folder)[0]
    category, _, probabilities = load_learner(tmp_path).predict(picture)
    assert torch.allclose(probabilities, learner.predict(picture)[2], atol=1e-6)
    assert str(category) == str(learner.predict(str(picture))[0])


def test_a_learner_with_parts_of_its_own_cannot_be_exported(folder: Path, tmp_path: Path) -> None:
    data = ImageDataBunch.from_folder(folder, size=32, bs=8)
    learner = cnn_learner(
        data, "squeezenet1_1", pretrained=False, cut=lambda net: net.features, path=tmp_path, silent=True
    )
    with pytest.raises(LearnerError, match=r"parts of its own. \(1\) cut: a function"):
        learner.export()


def test_a_spec_builds_the_same_weights_every_time_and_others_from_another_seed(folder: Path) -> None:
    def head(seed: int) -> torch.Tensor:
        spec = LearnerSpec(DataSpec(str(folder), size=(32, 32), bs=8), "squeezenet1_1", seed=seed)
        return torch.cat([value.flatten() for value in build_learner(spec).model.parameters()])

    assert torch.equal(head(0), head(0))
    assert not torch.equal(head(0), head(1))


def test_a_rank_that_is_not_in_the_process_group_is_refused(folder: Path) -> None:
    spec = LearnerSpec(DataSpec(str(folder), size=(32, 32), bs=8), "squeezenet1_1")
    with pytest.raises(LearnerError, match="rank 1 of 2 was asked for"):
        build_learner(spec, rank=1, world_size=2)


def test_the_catalog_is_json_and_holds_what_a_spec_may_name() -> None:
    catalog = json.loads(json.dumps(available_catalog()))
    assert "resnet18" in catalog["architectures"]
    assert catalog["metrics"]["top_k_accuracy"] == [{"name": "k", "type": "int", "default": 5}]
    assert {"name": "axis", "type": "int", "default": -1} in catalog["losses"]["cross_entropy"]
    assert set(catalog["versions"]) == {"learnfleet", "torch", "torchvision", "timm"}
