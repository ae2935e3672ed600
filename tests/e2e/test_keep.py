"""Checkpoints that a job keeps are there when it is over."""

from __future__ import annotations

import pytest

from learnfleet.client import Client, ImageDataBunch, InvalidArgumentError, JobFailedError, KeepBest


def test_states_of_every_epoch_and_the_best_stay_and_can_be_loaded(client: Client) -> None:
    learn = client.cnn_learner(
        ImageDataBunch.from_folder("digits", size=32, bs=32, normalize="auto"),
        "squeezenet1_1",
        pretrained=False,
        metrics=["accuracy"],
        keep_every=2,
        keep_best=KeepBest("accuracy", count=2),
        silent=True,
    )
    job = learn.fit(3, 1e-3)
    learn.fit(1, 1e-3)  # a later job removes nothing of what the first has kept
    by_name = {found.name: found for found in learn.checkpoints()}
    kept = job.result.kept_checkpoints
    assert set(kept) <= set(by_name)
    assert 2 in [by_name[name].epoch for name in kept]
    assert 2 <= len(kept) <= 3
    second = next(name for name in kept if by_name[name].epoch == 2)
    assert learn.load(second).info().epochs_trained == 2
    before = learn.validate()
    assert learn.load(second.rsplit("/", 1)[1]).validate() == before
    assert job.recorder().rows[1].valid_loss == pytest.approx(before["valid_loss"], rel=1e-3)


def test_the_best_by_what_is_not_measured_is_an_error_that_says_what_is(client: Client) -> None:
    data = ImageDataBunch.from_folder("digits", size=32, bs=32, normalize="auto")
    options = {"pretrained": False, "keep_best": KeepBest("f1"), "silent": True}
    with pytest.raises(InvalidArgumentError, match="the learner has no metrics"):
        client.cnn_learner(data, "squeezenet1_1", **options).fit(1)  # type: ignore[arg-type]
    with pytest.raises(JobFailedError, match="'f1' is not measured; there are train_loss, valid_loss, accuracy"):
        client.cnn_learner(data, "squeezenet1_1", metrics=["accuracy"], **options).fit(1)  # type: ignore[arg-type]
