"""Jobs: stages, events, stops, resumes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from support.memory_data import MemoryData, a_learner

from learnfleet.trainer.callback import Callback
from learnfleet.trainer.errors import LearnerError, NonFiniteLoss
from learnfleet.trainer.learner import Learner
from learnfleet.trainer.manifest import StaleAttempt, newest_valid
from learnfleet.trainer.run import RunContext, TrainOutcome, load_state, run_train
from learnfleet.trainer.spec import FitOneCycleStage, FitStage, FreezeStage, LearningRate, Stage
from learnfleet.trainer.state import TrainState

STAGES: list[Stage] = [FitOneCycleStage(2, LearningRate(value=1e-2)), FreezeStage(-1), FitStage(1)]


class Job:
    """One attempt at a job, and what it said."""

    def __init__(self, root: Path, attempt: int = 1, stop_at: int | None = None, **options: Any) -> None:
        self.events: list[tuple[str, str, dict[str, Any]]] = []
        self.learner = a_learner(metrics="accuracy")
        self._stop_at = stop_at
        options = {"checkpoint_every_s": None, **options}
        self.context = RunContext("job", attempt, self._emit, self._is_stopped, root / "checkpoints", **options)

    def _emit(self, event_id: str, kind: str, data: dict[str, Any]) -> None:
        json.dumps(data, allow_nan=False)
        self.events.append((event_id, kind, data))

    def _is_stopped(self) -> bool:
        return self._stop_at is not None and self.learner.global_step >= self._stop_at

    def run(self, stages: list[Stage] | None = None, resume_from: Path | None = None) -> TrainOutcome:
        return run_train(self.learner, stages or STAGES, self.context, resume_from)

    def ids(self, kind: str) -> list[str]:
        return [event_id for event_id, event_kind, _ in self.events if event_kind == kind]

    def data(self, kind: str) -> list[dict[str, Any]]:
        return [data for _, event_kind, data in self.events if event_kind == kind]


def weights(learner: Learner) -> torch.Tensor:
    return torch.cat([value.flatten().double() for value in learner.model.state_dict().values()])


def test_a_job_runs_its_stages_and_ends_with_a_checkpoint_of_its_result(tmp_path: Path) -> None:
    job = Job(tmp_path)
    outcome = job.run()
    assert (outcome.stopped, outcome.exact) == (False, True)
    assert (job.learner.global_step, job.learner.lifetime_epoch, job.learner.frozen_to) == (12, 3, 2)
    assert outcome.checkpoint.path.name == "job-0000000012-1"
    assert outcome.checkpoint == newest_valid(tmp_path / "checkpoints", "job")
    assert set(outcome.metrics) == {"train_loss", "valid_loss", "accuracy"}


def test_its_events_have_ids_of_what_happened_and_json_data(tmp_path: Path) -> None:
    job = Job(tmp_path)
    job.run()
    assert job.ids("data") == ["data"]
    assert job.data("data")[0]["classes"] == ["class 0", "class 1", "class 2"]
    assert job.ids("stage") == ["stage/0", "stage/1", "stage/2"]
    described = [data["description"] for data in job.data("stage")]
    assert described == ["fit_one_cycle(2, 0.01)", "freeze()", "fit(1, slice(0.003))"]
    assert job.ids("epoch") == ["epoch/0", "epoch/1", "epoch/2"]
    assert {"batch/4", "batch/8", "batch/12"} <= set(job.ids("batch"))
    assert job.ids("checkpoint") == ["checkpoint/1/4/0", "checkpoint/1/8/1", "checkpoint/1/12/3"]


def test_an_epoch_event_is_a_row_of_the_table(tmp_path: Path) -> None:
    job = Job(tmp_path)
    job.run()
    row, rows = job.data("epoch")[-1], job.learner.recorder.rows
    assert row["names"] == ["epoch", "train_loss", "valid_loss", "accuracy", "time"]
    assert row["values"][:4] == [0, rows[0].train_loss, rows[0].valid_loss, rows[0].metrics["accuracy"]]
    assert (row["stage"], row["step"], row["lifetime_epoch"]) == (2, 12, 2)


def test_a_frozen_stage_trains_fewer_parameters(tmp_path: Path) -> None:
    job = Job(tmp_path)
    job.run()
    assert job.data("stage")[1]["trainable"] < job.data("stage")[0]["trainable"]


@pytest.mark.parametrize("stop_at", [1, 3, 5, 9])  # steps after which an epoch is validated stop in validation
def test_a_stopped_job_is_resumed_to_the_same_bits_as_one_never_stopped(tmp_path: Path, stop_at: int) -> None:
    whole = Job(tmp_path / "whole")
    expected = whole.run()
    first = Job(tmp_path / "parts", stop_at=stop_at)
    stopped = first.run()
    assert stopped.stopped
    assert stopped.checkpoint.step == stop_at + 1
    second = Job(tmp_path / "parts", attempt=2)
    outcome = second.run(resume_from=stopped.checkpoint.path)
    assert outcome.checkpoint.model_sha256 == expected.checkpoint.model_sha256
    assert outcome.checkpoint.optimizer_sha256 == expected.checkpoint.optimizer_sha256
    assert outcome.metrics == expected.metrics
    assert second.learner.recorder.losses == whole.learner.recorder.losses
    assert {*first.ids("epoch"), *second.ids("epoch")} == {*whole.ids("epoch")}


def test_resuming_a_finished_job_gives_its_outcome_without_training(tmp_path: Path) -> None:
    finished = Job(tmp_path).run()
    again = Job(tmp_path, attempt=2)
    outcome = again.run(resume_from=finished.checkpoint.path)
    assert outcome.metrics == finished.metrics
    assert outcome.checkpoint.model_sha256 == finished.checkpoint.model_sha256
    assert again.ids("batch") == []


def test_resuming_under_other_circumstances_is_flagged(tmp_path: Path) -> None:
    stopped = Job(tmp_path, stop_at=2).run()
    other = Job(tmp_path, attempt=2)
    other.learner.seed = 5
    assert other.run(resume_from=stopped.checkpoint.path).exact is False


def test_a_checkpoint_of_another_job_is_started_from_not_resumed(tmp_path: Path) -> None:
    finished = Job(tmp_path / "a").run()
    other = Job(tmp_path / "b")
    other.context = RunContext("other", 1, lambda *event: None, lambda: False, tmp_path / "b")
    with pytest.raises(LearnerError, match="no checkpoint of job other"):
        other.run(resume_from=finished.checkpoint.path)
    load_state(other.learner, finished.checkpoint.path)
    assert (other.learner.global_step, other.learner.lifetime_epoch, other.learner.frozen_to) == (12, 3, 2)
    outcome = other.run([FitStage(1)])
    assert outcome.checkpoint.step == 16


def test_two_jobs_in_a_row_equal_one_job_of_both(tmp_path: Path) -> None:
    one = Job(tmp_path / "one")
    one.run([FitStage(1), FitStage(1)])
    first = Job(tmp_path / "two")
    outcome = first.run([FitStage(1)])
    second = Job(tmp_path / "three")
    load_state(second.learner, outcome.checkpoint.path)
    second.run([FitStage(1)])
    assert torch.equal(weights(second.learner), weights(one.learner))


def test_checkpoints_come_every_so_many_steps_within_an_epoch(tmp_path: Path) -> None:
    job = Job(tmp_path, checkpoint_every_steps=3, keep_last=10)
    job.run([FitStage(2)])
    assert [data["step"] for data in job.data("checkpoint")] == [3, 4, 7, 8]


class Break(Callback):
    def on_loss_begin(self, state: TrainState) -> None:
        if state.train and state.global_step == 6:
            assert state.last_output is not None
            state.last_output = state.last_output * float("nan")


def test_a_loss_that_is_no_number_fails_the_job_and_leaves_the_last_finite_checkpoint(tmp_path: Path) -> None:
    job = Job(tmp_path)
    job.learner.callbacks.append(Break())
    with pytest.raises(NonFiniteLoss, match="nan at step 6"):
        job.run()
    newest = newest_valid(tmp_path / "checkpoints", "job")
    assert newest is not None
    assert newest.step == 4


def test_an_attempt_that_was_replaced_cannot_write(tmp_path: Path) -> None:
    Job(tmp_path, attempt=3).run([FitStage(1)])
    with pytest.raises(StaleAttempt):
        Job(tmp_path, attempt=2).run([FitStage(1)])


def test_state_json_names_classes_and_circumstances(tmp_path: Path) -> None:
    outcome = Job(tmp_path).run([FitStage(1)])
    state = json.loads((outcome.checkpoint.path / "state.json").read_text())
    assert state["classes"] == ["class 0", "class 1", "class 2"]
    assert {"eval_transform", "world_size", "threads", "device_type", "torch_version", "seed"} <= set(state)


def test_plots_of_the_losses_are_written_where_asked_for(tmp_path: Path) -> None:
    job = Job(tmp_path, picture_dir=tmp_path / "pictures")
    job.run([FitStage(1)])
    picture = job.data("picture")[0]
    assert picture["media_type"] == "image/png"
    assert Path(picture["path"]).read_bytes()[:4] == b"\x89PNG"


def test_a_plot_that_cannot_be_written_costs_the_plot_only(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "pictures").touch()
    job = Job(tmp_path, picture_dir=tmp_path / "pictures")
    assert job.run().checkpoint == newest_valid(tmp_path / "checkpoints", "job")
    assert job.ids("picture") == []
    assert "losses_0 was not drawn" in caplog.text


def test_a_checkpoint_of_other_classes_is_refused(tmp_path: Path) -> None:
    finished = Job(tmp_path).run([FitStage(1)])
    data = MemoryData()
    data.classes = ["a", "b", "c"]
    with pytest.raises(LearnerError, match="it is of the classes"):
        load_state(a_learner(data), finished.checkpoint.path)
