"""What an export says of itself, its example, and the model as ONNX, which says what the learner says."""

from __future__ import annotations

import io
import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from support.exported_learners import learner_of, noise_and_masks
from support.golden_exports import FORMATS, copy_of_golden, golden_answer, golden_export, golden_picture
from support.pickles import pickles_in

from learnfleet.trainer import ImageDataBunch, cnn_learner, load_learner, load_predictor
from learnfleet.trainer.errors import LearnerError
from learnfleet.trainer.export import read_export
from learnfleet.trainer.export_parts import complete
from learnfleet.trainer.learner import Learner
from learnfleet.trainer.manifest import CorruptCheckpoint, verify
from learnfleet.trainer.mlflow_loader import _load_pyfunc
from learnfleet.trainer.model_card import OnnxFacts, read_card
from learnfleet.trainer.onnx_export import output_names, write_onnx

FILES = {
    "README.md",
    "card.json",
    "example_output.json",
    "input_example.png",
    "manifest.json",
    "model.safetensors",
    "signature.json",
    "spec.json",
}


def png(rows: int = 40, columns: int = 36, seed: int = 5) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (rows, columns, 3), dtype=np.uint8)).save(
        buffer, "PNG"
    )
    return buffer.getvalue()


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return noise_and_masks(tmp_path_factory.mktemp("pictures"))


def by_onnx(export: Path, pictures: list[bytes]) -> tuple[list[str], list[Any]]:
    """(names of the outputs, the outputs) of onnxruntime for pictures that were resized as the export says."""
    onnxruntime = pytest.importorskip("onnxruntime")
    transform = load_predictor(export).transform
    pixels = torch.stack([transform.pixels(picture) for picture in pictures]).numpy()
    session = onnxruntime.InferenceSession(export / "model.onnx", providers=["CPUExecutionProvider"])
    return [output.name for output in session.get_outputs()], session.run(None, {"pixels": pixels})


def check_that_all_agree(learner: Learner, export: Path) -> None:
    """Learner, predictor, MLflow's loader and onnxruntime, on two pictures."""
    asked = [png(seed=1), png(seed=2)]
    predictor, loaded = load_predictor(export), load_learner(export.parent, export.name)
    names, (_, activated) = by_onnx(export, asked)
    assert names == list(output_names(predictor.kind))
    rows = _load_pyfunc(str(export)).predict(asked)
    for picture, row, onnx in zip(asked, rows, activated, strict=True):
        expected = learner.predict(picture)[2]
        assert torch.allclose(predictor.predict(picture)[2], expected, rtol=1e-4, atol=1e-5)
        assert torch.allclose(loaded.predict(picture)[2], expected, rtol=1e-4, atol=1e-5)
        assert np.allclose(onnx, expected.numpy(), rtol=1e-3, atol=1e-4)
        if row["probabilities"]:
            mean = expected.flatten(1).mean(dim=1) if expected.ndim > 1 else expected
            assert [row["probabilities"][name] for name in predictor.classes] == pytest.approx(
                mean.tolist(), rel=1e-3, abs=1e-5
            )


@pytest.mark.parametrize("format_version", FORMATS)
def test_an_export_of_every_format_answers_as_its_learner_did(format_version: int) -> None:
    export, answer = golden_export(format_version), golden_answer(format_version)
    category, _, probabilities = load_predictor(export).predict(golden_picture(format_version))
    assert str(category) == answer["class"]
    assert probabilities.tolist() == pytest.approx(answer["probabilities"], rel=1e-4)
    assert read_export(export).format_version == format_version
    row = _load_pyfunc(str(export)).predict([golden_picture(format_version)])[0]
    assert row["class_name"] == answer["class"]


def test_an_export_of_a_later_format_is_refused_and_the_message_says_what_to_do(tmp_path: Path) -> None:
    from learnfleet.trainer import manifest

    export = copy_of_golden(tmp_path / "export")
    spec = json.loads((export / "spec.json").read_text())
    (export / "spec.json").write_text(json.dumps({**spec, "format_version": 3}))
    manifest.write_manifest(export, job_id="j", attempt=1, step=1, epoch=1)
    with pytest.raises(
        LearnerError, match="is of format 3, and this learnfleet reads 1 and 2: take one that is at least"
    ):
        load_predictor(export)


def test_a_learner_writes_every_file_and_its_manifest_covers_them(pictures: Path, tmp_path: Path) -> None:
    learner = learner_of("category", pictures, tmp_path)
    export = learner.export()
    assert {path.name for path in export.iterdir()} == FILES
    verify(export)
    (export / "README.md").write_text("another card")
    with pytest.raises(CorruptCheckpoint, match=r"README\.md"):
        load_predictor(export)


def test_the_card_knows_data_classes_transforms_and_versions(pictures: Path, tmp_path: Path) -> None:
    export = learner_of("category", pictures, tmp_path).export()
    card, spec = read_card(export), read_export(export)
    assert (card.facts.data.train_items, card.facts.data.valid_items) == (6, 0)
    assert card.classes == ("ant", "bee", "wasp")
    assert card.size == tuple(spec.eval_transform["size"]) == (32, 32)
    assert card.weights_sha256 == verify(export).model_sha256
    assert {"learnfleet", "torch", "torchvision"} <= set(spec.versions)
    page = (export / "README.md").read_text()
    assert page.startswith("---\nlibrary_name: learnfleet\npipeline_tag: image-classification\n")
    assert "secret" not in page + (export / "card.json").read_text()


def test_whoever_has_the_folder_can_see_that_theirs_answers_as_the_makers_did() -> None:
    export = golden_export()
    said = json.loads((export / "example_output.json").read_text())
    found = _load_pyfunc(str(export)).predict([(export / "input_example.png").read_bytes()])[0]
    assert found["class_name"] == said["class_name"]
    assert found["probabilities"] == pytest.approx(said["probabilities"], rel=1e-4)


def test_an_export_can_be_completed_again_and_without_onnx_then_has_none(tmp_path: Path) -> None:
    export = copy_of_golden(tmp_path / "export")
    assert (export / "model.onnx").exists()
    before = (export / "model.safetensors").read_bytes()
    complete(export, onnx=False)
    assert {path.name for path in export.iterdir()} == FILES
    assert read_card(export).onnx is None
    complete(export, onnx=False, why_not="there was no room")
    assert read_card(export).onnx == OnnxFacts(reason="there was no room")
    assert "Not made: there was no room" in (export / "README.md").read_text()
    assert (export / "model.safetensors").read_bytes() == before
    verify(export)


def test_onnx_is_the_same_model_with_a_free_batch_and_says_how_near_it_is(tmp_path: Path) -> None:
    pytest.importorskip("onnxscript")
    export = copy_of_golden(tmp_path / "export")
    facts = complete(export)
    assert facts is not None
    assert facts.max_abs_difference is not None
    assert facts.max_abs_difference < 1e-4
    assert read_card(export).onnx == facts
    names, (logits, probabilities) = by_onnx(export, [golden_picture()] * 7)
    assert names == ["logits", "probabilities"]
    assert logits.shape == probabilities.shape == (7, 2)
    assert probabilities[6].tolist() == pytest.approx(golden_answer()["probabilities"], rel=1e-3)


def test_the_onnx_file_describes_itself_and_names_no_file_of_the_machine_that_made_it() -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    file = golden_export() / "model.onnx"
    meta = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"]).get_modelmeta().custom_metadata_map
    assert json.loads(meta["classes"]) == ["blue", "red"]
    assert json.loads(meta["eval_transform"])["size"] == [32, 32]
    assert b".py" not in file.read_bytes()


def test_a_model_that_cannot_be_had_as_onnx_is_an_export_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("onnxscript")

    def refuse(*_: object, **__: object) -> None:
        raise RuntimeError("aten::of_mine has no counterpart " + "x" * 5000)

    monkeypatch.setattr(torch.onnx, "export", refuse)
    export = copy_of_golden(tmp_path / "export")
    facts = complete(export)
    assert facts is not None
    assert facts.reason.startswith("RuntimeError: aten::of_mine has no counterpart")
    assert len(facts.reason) < 600
    assert not (export / "model.onnx").exists()
    load_predictor(export)


def test_without_the_packages_the_card_says_how_to_get_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("learnfleet.trainer.onnx_export.find_spec", lambda _: None)
    assert "pip install 'learnfleet[onnx]'" in write_onnx(golden_export(), tmp_path).reason


def test_an_onnx_model_that_answers_otherwise_is_not_published(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("onnxscript")
    monkeypatch.setattr("learnfleet.trainer.onnx_export._TOLERANCE", -1.0)
    facts = write_onnx(golden_export(), tmp_path)
    assert "its outputs differ from the model's by" in facts.reason
    assert list(tmp_path.iterdir()) == []


def test_no_file_of_an_export_is_a_pickle(tmp_path: Path) -> None:
    assert pickles_in(golden_export()) == []
    (tmp_path / "harmless.json").write_bytes(pickle.dumps({"a": 1}))
    torch.save({"a": 1}, tmp_path / "weights.json")
    assert {path.name for path in pickles_in(tmp_path)} == {"harmless.json", "weights.json"}


@pytest.mark.slow  # each takes torch's exporter 5 to 20 s
@pytest.mark.parametrize("kind", ["category", "multi_category", "two floats", "mask", "points", "image"])
def test_learner_predictor_mlflow_and_onnx_agree_for_every_kind_of_label(
    kind: str, pictures: Path, tmp_path: Path
) -> None:
    learner = learner_of(kind, pictures, tmp_path)
    export = learner.export(onnx=True)
    assert read_card(export).onnx.reason == ""  # type: ignore[union-attr]
    check_that_all_agree(learner, export)


@pytest.mark.slow
@pytest.mark.parametrize(
    "architecture", ["resnet18", "timm/tf_efficientnet_lite0", "timm/test_nfnet", "mobilenet_v3_small"]
)
@pytest.mark.parametrize("size", [64, None])
def test_learner_predictor_mlflow_and_onnx_agree_for_architectures_and_sizes(
    architecture: str, size: int | None, pictures: Path, tmp_path: Path
) -> None:
    names = [f"secret/{number}.png" for number in range(6)]
    data = ImageDataBunch.from_lists(pictures, names, list("ababab"), valid_pct=0, bs=3, **_sized(size))
    learner = cnn_learner(data, architecture, pretrained=False, path=tmp_path, silent=True)
    export = learner.export(onnx=True)
    assert read_card(export).onnx.reason == ""  # type: ignore[union-attr]
    check_that_all_agree(learner, export)


def _sized(size: int | None) -> dict[str, Any]:
    from learnfleet.trainer import ResizeMethod

    return {"size": size} if size else {"resize_method": ResizeMethod.NO}
