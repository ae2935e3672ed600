"""Bad requests to a real server: every wrong field is named, and nothing is left behind."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torchvision.models import squeezenet1_1

from learnfleet.client import Client, ImageDataBunch, InvalidArgumentError, JobFailedError
from learnfleet.server.commands.digits import write_digits


def fields(error: InvalidArgumentError) -> set[str]:
    return {violation.field for violation in error.violations}


def test_all_wrong_fields_are_named_at_once_and_no_job_is_left(client: Client) -> None:
    before = [job.name for job in client.jobs()]
    data = ImageDataBunch.from_folder("digits", size=32)
    learn = client.cnn_learner(data, "resnet81", pretrained=False, metrics=["acuracy"])
    with pytest.raises(InvalidArgumentError) as caught:
        learn.fit(0, -1.0)
    assert fields(caught.value) == {
        "learner_spec.architecture",
        "learner_spec.metrics[0].name",
        "stages[0].fit.epochs",
        "stages[0].fit.lr.value",
    }
    assert "resnet18" in str(caught.value)
    assert [job.name for job in client.jobs()] == before


@pytest.mark.parametrize("path", ["nowhere", "/etc", "../..", "empty"])
def test_a_folder_that_cannot_be_trained_on_is_refused_by_name(client: Client, pictures: Path, path: str) -> None:
    (pictures / "empty").mkdir(exist_ok=True)
    learn = client.cnn_learner(ImageDataBunch.from_folder(path, size=32), "resnet18", pretrained=False)
    with pytest.raises(InvalidArgumentError) as caught:
        learn.fit(1)
    expected = "train" if path == "empty" else "path"
    assert fields(caught.value) == {f"learner_spec.data.folder.{expected}"}


def test_a_class_without_one_valid_picture_is_refused(client: Client, pictures: Path) -> None:
    write_digits(pictures / "broken-class", limit=200)
    for path in (pictures / "broken-class" / "train" / "4").iterdir():
        path.write_bytes(b"this is no picture")
    learn = client.cnn_learner(ImageDataBunch.from_folder("broken-class", size=32, bs=16), "resnet18", pretrained=False)
    with pytest.raises(InvalidArgumentError, match="4"):
        learn.fit(1)


def test_a_truncated_picture_is_no_picture_to_predict(client: Client, pictures: Path) -> None:
    learn = client.cnn_learner(
        ImageDataBunch.from_folder("digits", size=32, bs=32), "squeezenet1_1", pretrained=False, name="tiny"
    )
    learn.fit(1, 1e-3)
    content = next((pictures / "digits" / "valid" / "0").iterdir()).read_bytes()
    for image in (content[: len(content) // 2], os.urandom(500), b""):
        with pytest.raises(InvalidArgumentError) as caught:
            learn.predict(image)
        assert fields(caught.value) == {"image"}


@pytest.mark.parametrize("policy", ["skip", "fail"])
def test_a_picture_that_breaks_in_mid_epoch_is_named_and_handled_as_the_policy_says(
    client: Client, pictures: Path, policy: str
) -> None:
    folder = pictures / f"one-broken-{policy}"
    write_digits(folder, limit=200)
    broken = sorted((folder / "train" / "6").iterdir())[3]
    broken.write_bytes(broken.read_bytes()[:60])
    data = ImageDataBunch.from_folder(folder.name, size=32, bs=16, bad_image=policy)
    learn = client.cnn_learner(data, "squeezenet1_1", pretrained=False, num_workers=2)
    # An epoch drops its last, partial batch: in two of them every picture has its turn but for rare luck.
    job = learn.fit(2, 1e-3, wait=False)
    if policy == "skip":
        job.wait()
        assert job.result.skipped_images == 1
    else:
        with pytest.raises(JobFailedError, match=broken.name):
            job.wait()
    named = [event.payload.path for event in job.watch() if event.kind == "bad_image"]
    assert named == [str(broken)]


def test_what_does_not_fit_the_network_is_refused_before_a_job_is_queued(client: Client, pictures: Path) -> None:
    weights = pictures / "squeezenet.safetensors"
    save_file(squeezenet1_1().state_dict(), weights)
    data = ImageDataBunch.from_folder("digits", size=32, bs=32)
    before = [job.name for job in client.jobs()]
    for architecture, pretrained, told in (
        ("timm/test_vit", weights.name, "learner_spec.weights.file"),
        ("timm/test_vit", False, "stages[0].fit_one_cycle.max_lr.values"),
        ("squeezenet1_1", False, "stages[0].fit_one_cycle.max_lr.values"),
    ):
        learn = client.cnn_learner(data, architecture, pretrained=pretrained)
        rates = [1e-3] if told.startswith("learner_spec") else [1e-3, 1e-2]
        with pytest.raises(InvalidArgumentError) as caught:
            learn.fit_one_cycle(1, rates)
        assert fields(caught.value) == {told}
    assert "4 layer groups; give 1 value, or 4" in str(caught.value)
    assert [job.name for job in client.jobs()] == before


def test_what_only_the_worker_can_know_fails_the_job_at_once_with_what_to_do(client: Client, pictures: Path) -> None:
    torch.save(squeezenet1_1().state_dict(), pictures / "squeezenet.pth")
    data = ImageDataBunch.from_folder("digits", size=32, bs=32)
    other = client.cnn_learner(data, "timm/test_vit", pretrained="squeezenet.pth")
    split = client.cnn_learner(data, "squeezenet1_1", pretrained=False, split_on=["1"])
    for learn, rates, told in (
        (other, 1e-3, r"weights\.path: squeezenet\.pth does not fit .*name the architecture"),
        (split, [1e-3] * 4, r"stages\[0\]\.fit\.lr\.values: has 4 values, .* 2 layer groups; give 1 value, or 2"),
    ):
        job = learn.fit(1, rates, wait=False)
        with pytest.raises(JobFailedError, match=told) as caught:
            job.wait()
        assert caught.value.job.attempt == 1
