"""Which checkpoints of a job stay: the newest, the best by a metric, and every so many epochs."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support.memory_data import a_learner

from learnfleet.trainer.callback import Callback
from learnfleet.trainer.errors import LearnerError
from learnfleet.trainer.keep_policy import Candidate, KeepBest, KeepPolicy, kept
from learnfleet.trainer.manifest import list_checkpoints, read_manifest
from learnfleet.trainer.run import RunContext, run_train
from learnfleet.trainer.spec import FitStage
from learnfleet.trainer.state import TrainState


def candidates(*values: float | None) -> list[Candidate]:
    """One an epoch of four steps, with these accuracies; None is one inside an epoch."""
    made = [
        Candidate(f"e{epoch}", 4 * epoch, epoch, {} if value is None else {"accuracy": value, "valid_loss": 1 - value})
        for epoch, value in enumerate(values, 1)
    ]
    return made[::-1]


@pytest.mark.parametrize(
    ("policy", "names"),
    [
        (KeepPolicy(), "e5 e6"),
        (KeepPolicy(1), "e5 e6"),
        (KeepPolicy(3), "e4 e5 e6"),
        (KeepPolicy(best=KeepBest("accuracy")), "e2 e5 e6"),
        (KeepPolicy(best=KeepBest("valid_loss")), "e2 e5 e6"),
        (KeepPolicy(best=KeepBest("accuracy", "min")), "e1 e5 e6"),
        (KeepPolicy(best=KeepBest("accuracy", count=3)), "e2 e3 e5 e6"),
        (KeepPolicy(every=2), "e2 e5 e6"),
        (KeepPolicy(every=1), "e1 e2 e3 e5 e6"),
        (KeepPolicy(2, KeepBest("accuracy"), 3), "e2 e3 e5 e6"),
    ],
)
def test_f095_the_newest_the_best_and_those_of_some_epochs_are_kept(policy: KeepPolicy, names: str) -> None:
    assert sorted(kept(policy, candidates(0.1, 0.9, 0.5, None, 0.5, 0.3))) == names.split()


def test_f095_equally_good_ones_leave_the_first_and_numbers_that_are_none_leave_nothing() -> None:
    best = KeepPolicy(best=KeepBest("accuracy"))
    assert kept(best, candidates(0.5, 0.5, float("nan"), 0.1, 0.1)) == {"e1", "e4", "e5"}
    assert kept(best, candidates(float("nan"), None, 0.1, 0.1)) == {"e3", "e4"}


def test_f095_an_epoch_that_a_later_attempt_saved_again_counts_once() -> None:
    first = candidates(0.9, 0.8, 0.2, 0.1)
    again = [replace(item, name=f"{item.name} again") for item in first if item.epoch > 1]
    newest_first = sorted([*first, *again], key=lambda item: (-item.step, -len(item.name)))
    policy = KeepPolicy(best=KeepBest("accuracy", count=2))
    assert kept(policy, newest_first) == {"e4 again", "e4", "e1", "e2 again"}


def test_f095_policies_are_values_that_cross_as_json() -> None:
    policy = KeepPolicy(4, KeepBest("error_rate", "min", 2), 5)
    assert KeepPolicy.from_json(json.loads(json.dumps(policy.to_json()))) == policy
    assert KeepPolicy.from_json({}) == KeepPolicy()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"keep_best": KeepBest("f1")}, "'f1' is not measured; there are train_loss, valid_loss, accuracy"),
        ({"keep_every": 0}, "must be at least 1"),
        ({"keep_best": KeepBest(count=0)}, "must be at least 1"),
    ],
)
def test_f095_a_policy_that_cannot_be_is_told_before_training(
    tmp_path: Path, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(LearnerError, match=f"checkpoints.keep.*{message}"):
        run_train(a_learner(metrics="accuracy"), [FitStage(1)], a_context(tmp_path, **options))


def a_context(root: Path, **options: Any) -> RunContext:
    return RunContext("job", 1, lambda *_: None, lambda: False, root, checkpoint_every_s=None, **options)


class Measured(Callback):
    """Puts given values in the place of the validation loss."""

    order = -100  # before the recorder

    def __init__(self, *losses: float) -> None:
        self._losses = losses

    def on_epoch_end(self, state: TrainState) -> None:
        state.last_metrics[0] = self._losses[state.epoch]


def test_f095_a_job_keeps_what_its_policy_says_and_each_checkpoint_tells_its_metrics(tmp_path: Path) -> None:
    learner = a_learner(metrics="accuracy", callbacks=[Measured(0.9, 0.2, 0.8, 0.5, 0.7, 0.6)])
    context = a_context(tmp_path, keep_best=KeepBest(), keep_every=3, checkpoint_every_steps=2)
    run_train(learner, [FitStage(6)], context)
    manifests = [read_manifest(path) for path in list_checkpoints(tmp_path)]
    losses = [(found.step, found.metrics.get("valid_loss")) for found in manifests]
    assert losses == [(24, 0.6), (22, None), (12, 0.8), (8, 0.2)]
    assert set(manifests[0].metrics) == {"train_loss", "valid_loss", "accuracy"}
