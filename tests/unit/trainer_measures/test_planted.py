"""Errors that were planted among photos are found by the embeddings of an ImageNet body."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.planted import PHOTOS, WEIGHTS, plant

from learnfleet.trainer.build import build_learner
from learnfleet.trainer.data_spec import DataSpec
from learnfleet.trainer.dataset import DatasetType
from learnfleet.trainer.examination import examine
from learnfleet.trainer.spec import LearnerSpec, WeightsSpec


@pytest.mark.slow
@pytest.mark.skipif(not PHOTOS.exists(), reason="needs the photos and weights of ../shared, which are not published")
def test_flipped_labels_and_copies_of_photos_are_found(tmp_path: Path) -> None:
    planted = plant(tmp_path, flips=24, copies=6)
    data = DataSpec(str(planted.folder), valid_pct=0.0, size=(224, 224), bs=32)
    weights = WeightsSpec("file", str(WEIGHTS))
    learner = build_learner(LearnerSpec(architecture="timm/tf_efficientnet_lite0", data=data, weights=weights))
    found = examine(learner, DatasetType.Fix, parts=["label_issues", "duplicates"])
    names = [learner.data.fix_ds.path(row).name for row in found.interpretation.indices.tolist()]  # type: ignore[attr-defined]
    assert found.label_issues is not None
    issues = [names[issue.row] for issue in found.label_issues.issues]
    assert len(planted.flipped & set(issues)) >= 20
    assert len(planted.flipped & set(issues[:24])) >= 18
    groups = [{names[row] for row in group.rows} for group in found.duplicates]
    for copy in planted.copies:
        assert {copy, copy.removeprefix("copy_")} in groups
