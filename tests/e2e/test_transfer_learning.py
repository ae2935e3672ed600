"""Transfer learning through the service, on photos: a frozen ImageNet body and a new head."""

from __future__ import annotations

import shutil
import tarfile
from pathlib import Path

import pytest

from learnfleet.client import Client, ImageDataBunch, get_transforms

SHARED = Path(__file__).resolve().parents[2].parent / "shared"
WEIGHTS = "tf_efficientnet_lite0_in1k_timm.pth"


@pytest.mark.skipif(not SHARED.is_dir(), reason="needs the photos and weights of ../shared, which are not published")
@pytest.mark.slow
def test_a_frozen_body_and_a_new_head_tell_ants_from_bees_within_three_epochs(client: Client, pictures: Path) -> None:
    with tarfile.open(SHARED / "data" / "hymenoptera.tar") as archive:
        archive.extractall(pictures, filter="data")
    shutil.copy(SHARED / "weights" / WEIGHTS, pictures)
    data = ImageDataBunch.from_folder(
        "hymenoptera", valid="val", size=224, bs=16, ds_tfms=get_transforms(), normalize="auto"
    )
    learn = client.cnn_learner(
        data,
        "timm/tf_efficientnet_lite0",
        pretrained=WEIGHTS,
        metrics=["accuracy"],
        train_bn=False,  # batches of eight a worker are too small for BatchNorm statistics of their own
        num_workers=2,
    )
    learn.fit_one_cycle(3, 1e-3)
    assert learn.recorder.rows[-1].metrics["accuracy"] >= 0.93
    assert learn.info().frozen_to > 0
