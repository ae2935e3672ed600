"""Photos that only the client has: uploaded, looked at, trained on."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from support.notebook_data import photos_in

from learnfleet.client import Client, ImageDataBunch


@pytest.mark.slow
def test_a_client_without_access_to_the_servers_storage_trains_on_its_own_photos(
    client: Client, tmp_path: Path
) -> None:
    folder = photos_in(tmp_path / "photos")
    dataset = client.datasets.upload(folder, "insects")
    assert dataset.summary is not None
    assert dataset.summary.splits == {"ants": {"train": 40, "valid": 20}, "bees": {"train": 40, "valid": 20}}
    assert dataset.summary.other_files == 0
    shutil.rmtree(tmp_path / "photos")  # nothing is read from here any more

    data = ImageDataBunch.from_folder(dataset, size=32, bs=16)
    learner = client.cnn_learner(data, "resnet18", pretrained=False, metrics=["accuracy"], silent=True)
    learner.fit_one_cycle(1)
    assert learner.info().data_path == "dataset://insects/versions/1"
    assert learner.info().classes == ("ants", "bees")
    assert len(learner.recorder.rows) == 1
    assert 0 <= next(iter(learner.recorder.rows[0].metrics.values())) <= 1
