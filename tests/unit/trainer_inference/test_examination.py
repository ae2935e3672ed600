"""One run of a model over data, and everything that is read from it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from PIL import Image
from support.labelled_data import COLOURS, body_and_head, category_data, quiet

from learnfleet.trainer import kept_predictions
from learnfleet.trainer.data import ImageDataBunch
from learnfleet.trainer.dataset import DatasetType
from learnfleet.trainer.errors import LearnerError
from learnfleet.trainer.examination import PARTS, Examination, examine
from learnfleet.trainer.examination_json import measures_json
from learnfleet.trainer.interpret_masks import SegmentationInterpretation
from learnfleet.trainer.item_files import ItemFiles
from learnfleet.trainer.learner import Learner


@pytest.fixture(scope="module")
def classes(of_classes: Learner) -> Examination:
    """Of one class an item."""
    return examine(of_classes, DatasetType.Fix)


def test_of_classes_everything_is_found(of_classes: Learner, classes: Examination) -> None:
    assert classes.parts == PARTS
    assert classes.calibration is not None
    assert sum(one.count for one in classes.calibration.bins) == 18
    assert [one.name for one in classes.curves] == list(COLOURS)
    assert classes.label_issues is not None
    assert "trained on" in classes.label_issues.caveat
    assert classes.predictions.embeddings is not None
    assert classes.predictions.embeddings.shape == (18, 8)


def test_embeddings_are_what_the_body_gives(of_classes: Learner, classes: Examination) -> None:
    x = of_classes.data.fix_ds  # type: ignore[attr-defined]
    picture = of_classes.data.single_batch([x.path(5)])  # type: ignore[attr-defined]
    with torch.no_grad():
        features = of_classes.model[0](picture)  # type: ignore[index]
    assert classes.predictions.embeddings is not None
    assert torch.allclose(classes.predictions.embeddings[5], features.mean(dim=(2, 3))[0], rtol=1e-4, atol=1e-5)


def test_the_json_has_no_nan_and_names_pictures_that_are_there(classes: Examination, tmp_path: Path) -> None:
    found = measures_json(classes, ItemFiles(classes.interpretation, tmp_path))
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    named = [one["item"] for one in found["outliers"]] + [item for one in found["duplicates"] for item in one["items"]]
    assert {path.name for path in tmp_path.iterdir()} == {item["picture"] for item in named + found["label_issues"]}
    assert all(item["path"].startswith("train/") for item in named)


def test_labels_masks_and_numbers_give_what_suits_them(
    of_labels: Learner, of_masks: Learner, of_numbers: Learner
) -> None:
    labels, masks, numbers = (examine(learner) for learner in (of_labels, of_masks, of_numbers))
    assert labels.calibration is not None
    assert len(labels.curves) == len(COLOURS)
    assert labels.label_issues is None
    for found in (masks, numbers):
        assert (found.calibration, found.curves, found.label_issues) == (None, (), None)
    assert masks.void_class == "Void"


def test_parts_that_are_not_asked_for_are_left_out(of_classes: Learner) -> None:
    found = examine(of_classes, parts=["curves"])
    assert (found.parts, found.calibration, found.label_issues) == (("curves",), None, None)
    assert found.predictions.embeddings is None
    assert len(found.curves) == 3
    with pytest.raises(LearnerError, match=r"parts: 'colour' is none of top_losses, heat_maps"):
        examine(of_classes, parts=["colour"])


def test_iou_sums_intersections_over_the_whole_data_without_void(of_masks: Learner) -> None:
    found = examine(of_masks, void_class="sky").interpretation
    assert isinstance(found, SegmentationInterpretation)
    given, true = found.pred_class.long(), found.y_true.long()
    kept = true != 0
    house, said = (true == 1) & kept, (given == 1) & kept
    expected = (house & said).sum() / (house | said).sum()
    assert found.class_scores().iou[1] == pytest.approx(float(expected))
    with pytest.raises(LearnerError, match="void_class: 'roof' is none of the classes sky, house, Void"):
        examine(of_masks, void_class="roof")


# --- kept predictions


def count_passes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    from learnfleet.trainer import one_pass

    calls: list[int] = []
    real = one_pass.predict_loader
    monkeypatch.setattr(one_pass, "predict_loader", lambda *args, **kw: (calls.append(1), real(*args, **kw))[1])
    return calls


def test_what_has_not_changed_is_not_computed_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls, cache = count_passes(monkeypatch), tmp_path / "cache"
    learner = quiet(category_data(tmp_path / "data"), body_and_head(len(COLOURS)))
    first = examine(learner, cache=cache)
    again = examine(quiet(category_data_again(tmp_path), body_and_head(len(COLOURS))), cache=cache)
    assert len(calls) == 1
    assert torch.equal(first.predictions.outputs, again.predictions.outputs)
    assert first.calibration == again.calibration
    with torch.no_grad():
        learner.model[1][3].bias += 1  # type: ignore[index]
    assert not torch.equal(examine(learner, cache=cache).predictions.outputs, first.predictions.outputs)
    Image.new("RGB", (20, 18), "red").save(tmp_path / "data" / "valid" / "blue" / "1.png")
    examine(quiet(category_data_again(tmp_path), body_and_head(len(COLOURS))), cache=cache)
    assert len(calls) == 3


def test_the_same_pictures_prepared_in_another_way_are_computed_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls, cache = count_passes(monkeypatch), tmp_path / "cache"
    category_data(tmp_path / "data")
    for size in (16, 24, 16):
        data = ImageDataBunch.from_folder(tmp_path / "data", size=size, bs=4).normalize()
        examine(quiet(data, body_and_head(len(COLOURS))), cache=cache)
    for stats in (([0.5] * 3, [0.5] * 3), ([0.4] * 3, [0.5] * 3)):
        data = ImageDataBunch.from_folder(tmp_path / "data", size=16, bs=4).normalize(stats)
        examine(quiet(data, body_and_head(len(COLOURS))), cache=cache)
    assert len(calls) == 2 + 2


def category_data_again(root: Path) -> ImageDataBunch:
    return ImageDataBunch.from_folder(root / "data", size=16, bs=4, test="test").normalize()


def test_a_damaged_file_is_not_believed_and_only_some_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls, cache = count_passes(monkeypatch), tmp_path / "cache"
    learner = quiet(category_data(tmp_path / "data"), body_and_head(len(COLOURS)))
    first = examine(learner, cache=cache)
    (folder,) = cache.iterdir()
    content = bytearray((folder / kept_predictions.FILE).read_bytes())
    content[-3] ^= 1
    (folder / kept_predictions.FILE).write_bytes(bytes(content))
    assert torch.equal(examine(learner, cache=cache).predictions.outputs, first.predictions.outputs)
    assert len(calls) == 2
    for step in range(kept_predictions.KEPT + 2):
        with torch.no_grad():
            learner.model[1][3].bias += step + 1  # type: ignore[index]
        examine(learner, parts=["curves"], cache=cache)
    assert len(list(cache.iterdir())) == kept_predictions.KEPT


# --- two models


def test_two_models_are_compared_item_by_item(of_classes: Learner, tmp_path: Path) -> None:
    worse = quiet(of_classes.data, body_and_head(len(COLOURS)))  # type: ignore[arg-type]
    found = examine(of_classes, baseline=worse).comparison
    assert found is not None
    counts = found.counts
    assert counts.both_right + counts.fixed + counts.broken + counts.both_wrong == 9
    was, now = (learner.interpret().pred_class for learner in (worse, of_classes))  # type: ignore[attr-defined]
    actual = of_classes.interpret().y_true
    assert counts.fixed == int(((was != actual) & (now == actual)).sum()) == len(found.fixed)
    assert counts.broken == int(((was == actual) & (now != actual)).sum()) == len(found.broken)
    assert all(item.candidate == item.actual != item.baseline for item in found.fixed)
    assert found.candidate_accuracy - found.baseline_accuracy == pytest.approx((counts.fixed - counts.broken) / 9)


def test_masks_are_not_compared_item_by_item(of_masks: Learner) -> None:
    with pytest.raises(LearnerError, match="baseline: only models of classes or labels"):
        examine(of_masks, baseline=of_masks)


# --- metadata


def test_slices_are_by_a_file_in_the_datas_folder(of_classes: Learner) -> None:
    root = Path(of_classes.data.path)
    names = [of_classes.data.valid_ds.path(place).relative_to(root) for place in range(9)]  # type: ignore[attr-defined]
    (root / "lights.csv").write_text("picture,light\n" + "".join(f"{name},{name.parent.name}\n" for name in names))
    (found,) = examine(of_classes, slice_columns=["light"], metadata="lights.csv").slices
    assert found.column == "light"
    assert {one.value: one.examples for one in found.slices} == dict.fromkeys(COLOURS, 3)
    accuracies = [one.accuracy for one in found.slices]
    assert accuracies == sorted(accuracies, key=float)  # type: ignore[arg-type]
    with pytest.raises(LearnerError, match="metadata: is missing"):
        examine(of_classes, slice_columns=["light"])
    with pytest.raises(LearnerError, match="is not inside the data's folder"):
        examine(of_classes, slice_columns=["light"], metadata="../lights.csv")


def test_of_data_from_a_table_the_table_is_the_metadata(tmp_path: Path) -> None:
    category_data(tmp_path)
    names = [f"{colour}/{number}" for colour in COLOURS for number in range(6)]
    lines = [f"{name},{name.split('/')[0]},{place % 2}\n" for place, name in enumerate(names)]
    (tmp_path / "labels.csv").write_text("name,label,camera\n" + "".join(lines))
    data = ImageDataBunch.from_csv(tmp_path, folder="train", suffix=".png", size=16, bs=4, valid_pct=0.5).normalize()
    (found,) = examine(quiet(data, body_and_head(len(COLOURS))), parts=["curves"], slice_columns=["camera"]).slices
    assert {one.value for one in found.slices} == {"0", "1"}
    assert sum(one.examples for one in found.slices) == len(data.valid_ds) == 9
