"""The interpretation job: what it returns for every kind of label, and on two ranks."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from support.labelled_data import COLOURS, body_and_head, quiet
from support.memory_data import a_learner

from learnfleet.trainer.dataset import DatasetType
from learnfleet.trainer.learner import Learner
from learnfleet.trainer.run_context import RunContext
from learnfleet.trainer.run_interpret import run_interpret


def a_context(root: Path, events: list[Any] | None = None) -> RunContext:
    told: list[Any] = [] if events is None else events
    return RunContext("job", 1, lambda *event: told.append(event), lambda: False, root / "checkpoints")


def interpreted(learner: Learner, root: Path, **options: Any) -> dict[str, Any]:
    options = {"top_losses": 4, "min_confused": 1, **options}
    found = run_interpret(learner, a_context(root), output_dir=root, **options)
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert all(Path(picture["path"]).read_bytes()[:4] == b"\x89PNG" for picture in found["pictures"])
    return found


def names(found: dict[str, Any]) -> list[str]:
    return [picture["name"] for picture in found["pictures"]]


def test_f105_classes_give_counts_scores_and_pictures_with_heat_maps(of_classes: Learner, tmp_path: Path) -> None:
    found = interpreted(of_classes, tmp_path)
    whole = of_classes.interpret()
    assert (found["kind"], found["dataset"], found["examples"]) == ("category", "valid", 9)
    assert found["confusion_matrix"] == whole.confusion_matrix().tolist()  # type: ignore[attr-defined]
    assert found["accuracy"] == whole.accuracy  # type: ignore[attr-defined]
    assert [row["class"] for row in found["class_report"]] == list(COLOURS)
    assert [row["support"] for row in found["class_report"]] == [3, 3, 3]
    assert [item["path"].split("/")[0] for item in found["top_losses"]] == ["valid"] * 4
    assert names(found) == ["confusion_matrix", "confusion_matrix_normalized", "top_losses", "top_losses_heatmap"]


def test_f105_the_least_losses_are_listed_and_drawn_and_all_losses_are_in_a_table(
    of_classes: Learner, tmp_path: Path
) -> None:
    found = interpreted(of_classes, tmp_path, least_losses=2)
    whole = of_classes.interpret()
    least, all_of_them = whole.top_losses(2, largest=False), whole.describe_top_losses()
    assert [item["index"] for item in found["least_losses"]] == least.indices.tolist()
    assert [item["loss"] for item in found["least_losses"]] == least.values.tolist()
    assert names(found)[-2:] == ["least_losses", "least_losses_heatmap"]
    with (tmp_path / "losses.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(int(row["index"]), float(row["loss"])) for row in rows] == [(it.index, it.loss) for it in all_of_them]
    assert [(row["predicted"], row["actual"]) for row in rows] == [(it.predicted, it.actual) for it in all_of_them]
    assert [float(row["probability"]) for row in rows] == [it.probability for it in all_of_them]
    assert all(row["path"].startswith("valid/") for row in rows)


def test_f105_the_dataset_and_tta_are_as_asked_for(of_classes: Learner, tmp_path: Path) -> None:
    found = interpreted(of_classes, tmp_path, ds_type=DatasetType.Train, tta=True)
    assert (found["dataset"], found["examples"]) == ("fix", 18)
    assert {item["path"].split("/")[0] for item in found["top_losses"]} == {"train"}
    assert found["loss"] == pytest.approx(float(of_classes.TTA(ds_type=DatasetType.Fix, with_loss=True)[2].mean()))


def test_f112_labels_give_a_matrix_each(of_labels: Learner, tmp_path: Path) -> None:
    found = interpreted(of_labels, tmp_path)
    assert (found["kind"], found["confusion_matrix"]) == ("multi_category", [])
    assert found["label_confusion"] == of_labels.interpret().confusion_matrix().tolist()  # type: ignore[attr-defined]
    wrong = of_labels.interpret().misclassified()  # type: ignore[attr-defined]
    assert found["misclassified_count"] == len(wrong) > 0
    assert [item["index"] for item in found["misclassified"]] == [item.index for item in wrong]
    assert names(found) == ["confusion_matrix", "confusion_matrix_normalized", "multi_top_losses", "top_losses"]


def test_f113_masks_give_pixels_and_iou(of_masks: Learner, tmp_path: Path) -> None:
    found = interpreted(of_masks, tmp_path)
    report = {row["class"]: row for row in found["class_report"]}
    assert found["kind"] == "mask"
    assert report["Void"]["recall"] is None
    assert report["sky"]["iou"] == pytest.approx(of_masks.interpret().iou_report().loc["sky", "iou"])  # type: ignore[attr-defined]
    mean = of_masks.interpret().generate_confusion()[0]  # type: ignore[attr-defined]
    assert [bool(row) for row in found["intersection"]] == (~np.isnan(mean).any(axis=1)).tolist()
    assert np.vstack([row for row in found["intersection"] if row]) == pytest.approx(mean[~np.isnan(mean).any(axis=1)])
    assert sum(map(sum, found["confusion_matrix"])) == sum(row["support"] for row in found["class_report"])
    assert names(found) == ["confusion_matrix_normalized", "top_losses"]


def test_f113_wrong_pixels_are_laid_over_the_worst_masks(of_masks: Learner, tmp_path: Path) -> None:
    found, whole = interpreted(of_masks, tmp_path), of_masks.interpret()
    with Image.open(tmp_path / found["top_losses"][0]["heat_map"]) as layer:
        marked = int((np.asarray(layer)[..., 3] > 0).sum())
    actual, given = whole.masks_of(int(whole.top_rows(1, largest=True)[1]))  # type: ignore[attr-defined]
    void = found["classes"].index("Void")
    assert 0 < marked == int(((actual != given) & (actual != void)).sum())


def test_f114_numbers_give_losses_and_no_counts(of_numbers: Learner, tmp_path: Path) -> None:
    found = interpreted(of_numbers, tmp_path)
    assert (found["kind"], found["confusion_matrix"], found["class_report"]) == ("float", [], [])
    assert found["loss"] == pytest.approx(float(of_numbers.get_preds(with_loss=True)[2].mean()), rel=1e-5)
    assert names(found) == ["top_losses"]


def test_no_top_losses_are_no_pictures_of_them_and_a_loss_that_is_no_number_stays_json(
    of_classes: Learner, tmp_path: Path
) -> None:
    learner = quiet(of_classes.data, body_and_head(3))  # type: ignore[arg-type]
    with torch.no_grad():
        learner.model[1][3].bias.fill_(float("nan"))  # type: ignore[index]
    found = interpreted(learner, tmp_path, top_losses=0)
    assert found["top_losses"] == []
    assert names(found) == ["confusion_matrix", "confusion_matrix_normalized"]
    assert interpreted(learner, tmp_path)["top_losses"][0]["loss"] > 1e300


def test_data_that_are_no_pictures_cannot_be_drawn_but_counted(tmp_path: Path) -> None:
    found = interpreted(a_learner(), tmp_path)
    assert found["examples"] == 13
    assert found["top_losses"][0]["path"] == ""
