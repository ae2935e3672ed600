"""Every kind of stage as a value and as a part of a job, stopped and resumed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from support.memory_data import a_learner
from torch import Tensor

from learnfleet.trainer.callback import Callback
from learnfleet.trainer.callback_registry import available_callbacks, build_callback
from learnfleet.trainer.errors import LearnerError
from learnfleet.trainer.learner import Learner
from learnfleet.trainer.phases import TrainingPhase
from learnfleet.trainer.run import RunContext, TrainOutcome, run_train
from learnfleet.trainer.schedules import GeneralScheduler
from learnfleet.trainer.spec import (
    Component,
    FitFlatCosStage,
    FitOneCycleStage,
    FitSgdrStage,
    FitStage,
    FreezeStage,
    LearnerSpec,
    LearningRate,
    LrFindStage,
    OptimizerSpec,
    Stage,
    fine_tune_stages,
    stage_from_json,
    stage_to_json,
)
from learnfleet.trainer.stage_groups import depend_on_groups, misfits
from learnfleet.trainer.stages import describe_stage
from learnfleet.trainer.state import TrainState

PHASES = {"phases": [{"length": 5, "hps": {"lr": {"vals": [1e-3, 1e-2], "anneal": "cos"}, "eps": {"vals": 1e-7}}}]}
STAGES: dict[str, list[Stage]] = {
    "fit": [FitStage(2, LearningRate(values=(1e-3, 1e-3, 1e-2)), wd=(0.1, 0.01, 0.0))],
    "part of a cycle": [FitOneCycleStage(3, LearningRate(value=1e-2), tot_epochs=4, start_epoch=1, final_div=10.0)],
    "short cycle": [FitOneCycleStage(3, LearningRate(value=1e-2), tot_epochs=1)],
    "flat": [FitFlatCosStage(2, LearningRate(start=1e-4, stop=1e-2), start_pct=0.5, curve="linear")],
    "sgdr": [FitSgdrStage(2, 1, LearningRate(value=1e-2))],
    "fine_tune": [*fine_tune_stages(1, callbacks=(Component("gradient_clipping", {"clip": 0.1}),))],
    "lr_find": [LrFindStage(num_it=10), FitStage(1), LrFindStage(num_it=6), FreezeStage(-1), FitStage(1)],
    "general": [FitStage(2, callbacks=(Component("general_scheduler", PHASES),))],
    "mixed": [FitStage(2, callbacks=(Component("mixup"), Component("mixed_precision", {"max_noskip": 2})))],
}


class Job:
    """One attempt at a job, and what it said."""

    def __init__(self, root: Path, attempt: int = 1, stop_at: int | None = None, **options: Any) -> None:
        self.events: list[tuple[str, str, dict[str, Any]]] = []
        self.learner = a_learner(metrics="accuracy", **options.pop("learner", {}))
        self._stop_at, self._batches = stop_at, 0
        context = {"checkpoint_every_s": None, **options}
        self.context = RunContext("job", attempt, self._emit, self._is_stopped, root / "checkpoints", **context)

    def _emit(self, event_id: str, kind: str, data: dict[str, Any]) -> None:
        json.dumps(data, allow_nan=False)
        self.events.append((event_id, kind, data))

    def _is_stopped(self) -> bool:
        self._batches += 1
        return self._stop_at is not None and self._batches >= self._stop_at

    def run(self, stages: list[Stage], resume_from: Path | None = None) -> TrainOutcome:
        return run_train(self.learner, stages, self.context, resume_from)

    def data(self, kind: str) -> dict[str, dict[str, Any]]:
        return {event_id: data for event_id, event_kind, data in self.events if event_kind == kind}


@pytest.mark.parametrize("stages", STAGES.values(), ids=STAGES)
def test_a_stage_is_json_and_back(stages: list[Stage]) -> None:
    for stage in stages:
        assert stage_from_json(json.loads(json.dumps(stage_to_json(stage)))) == stage


@pytest.mark.parametrize("stop_at", [2, 5, 7, 12])  # batches of the attempt, those of searches among them
@pytest.mark.parametrize("stages", STAGES.values(), ids=STAGES)
def test_f055_a_job_of_any_stages_stopped_anywhere_ends_with_the_bits_of_one_never_stopped(
    tmp_path: Path, stages: list[Stage], stop_at: int
) -> None:
    expected = Job(tmp_path / "whole").run(stages)
    first = Job(tmp_path / "parts", stop_at=stop_at)
    outcome = first.run(stages)
    if outcome.stopped:
        saved = outcome.checkpoint and outcome.checkpoint.path  # none before the end of the first validation
        outcome = Job(tmp_path / "parts", attempt=2).run(stages, saved)
    assert outcome.exact
    assert outcome.checkpoint.model_sha256 == expected.checkpoint.model_sha256
    assert outcome.checkpoint.optimizer_sha256 == expected.checkpoint.optimizer_sha256
    assert outcome.metrics == expected.metrics


def test_stages_are_described_as_a_user_would_have_called_them() -> None:
    described = [describe_stage(stage) for stages in STAGES.values() for stage in stages]
    assert described[0] == "fit(2, [0.001, 0.001, 0.01])"
    assert "fit_fc(2, slice(0.0001, 0.01))" in described
    assert "fit_sgdr(2, 1, 0.01)" in described
    assert "lr_find(1e-07, 10, num_it=10)" in described
    assert "fit(2, slice(0.003), callbacks=[general_scheduler])" in described


def test_f056_a_search_in_a_job_tells_rates_losses_and_suggestions_and_changes_nothing(tmp_path: Path) -> None:
    job = Job(tmp_path, picture_dir=tmp_path / "pictures")
    job.run([FitStage(1), LrFindStage(num_it=40, stop_div=False), FitStage(1)])
    plain = Job(tmp_path / "plain")
    plain.run([FitStage(1), FitStage(1)])
    found = job.data("lr_found")["lr_found/1"]
    assert found["stage"] == 1
    assert len(found["lrs"]) == len(found["losses"]) == 40
    assert found["lrs"][0] == pytest.approx(1e-7)
    assert set(found["suggestions"]) == {"valley", "slide", "steep", "minimum", "min_gradient"}
    assert Path(job.data("picture")["picture/lr_find_1"]["path"]).stat().st_size > 1000
    assert torch.equal(weights(job.learner), weights(plain.learner))
    assert job.data("stage")["stage/1"]["epochs"] == 0


def weights(learner: Learner) -> Tensor:
    return torch.cat([value.flatten().double() for value in learner.model.state_dict().values()])


def test_a_job_that_fine_tunes_ends_with_the_weights_of_the_call(tmp_path: Path) -> None:
    job, called = Job(tmp_path), a_learner(metrics="accuracy")
    given = (2, 1e-2, 60, 50.0, 0.4, 4.0)  # the head anneals in the last hundredth of its steps
    job.run([*fine_tune_stages(*given)])
    called.fine_tune(*given)
    assert torch.equal(weights(job.learner), weights(called))


class Decide(Callback):
    """Sets a field at the end of one batch."""

    def __init__(self, step: int, field: str) -> None:
        self.step, self.field = step, field

    def on_batch_end(self, state: TrainState) -> None:
        if state.train and state.global_step == self.step:
            setattr(state, self.field, True)


@pytest.mark.parametrize("field", ["stop_epoch", "stop_training", "skip_validate"])
def test_f065_what_a_callback_decided_before_a_stop_holds_after_the_resume(tmp_path: Path, field: str) -> None:
    def job(folder: str, attempt: int, stop_at: int | None, resume: Path | None = None) -> tuple[Job, TrainOutcome]:
        made = Job(tmp_path / folder, attempt, stop_at, learner={"callbacks": [Decide(1, field)]})
        return made, made.run([FitStage(3)], resume)

    whole, expected = job("whole", 1, None)
    _, stopped = job("parts", 1, 2)
    resumed, outcome = job("parts", 2, None, stopped.checkpoint.path)
    assert stopped.stopped
    assert outcome.checkpoint.model_sha256 == expected.checkpoint.model_sha256
    assert outcome.metrics == expected.metrics
    assert resumed.learner.global_step == whole.learner.global_step


def test_callbacks_are_built_by_name_with_checked_arguments() -> None:
    learner = a_learner()
    callback = build_callback("one_cycle", {"lr_max": 1, "moms": [0.9, 0.8], "final_div": None}, learner)
    assert (callback.lr_max, callback.moms) == (1.0, (0.9, 0.8))  # type: ignore[attr-defined]
    assert build_callback("one_cycle", {"lr_max": [1, 2, 3]}, learner).lr_max == (1.0, 2.0, 3.0)  # type: ignore[attr-defined]
    described = {item["name"]: item for item in available_callbacks()["one_cycle"]}
    assert described["lr_max"] == {"name": "lr_max", "type": "float", "default": None, "required": True, "many": True}
    assert described["moms"] == {"name": "moms", "type": "floats", "default": [0.95, 0.85]}
    json.dumps(available_callbacks())


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("nothing", {}, "there is no callback 'nothing'; known: accumulate"),
        ("one_cycle", {}, "it needs lr_max"),
        ("one_cycle", {"lr_max": 0.1, "div": 3}, "no argument 'div'; known: lr_max, moms"),
        ("one_cycle", {"lr_max": "high"}, "'high' is of type str, not float"),
        ("one_cycle", {"lr_max": 0.1, "pct_start": 2.0}, "pct_start must be from 0 to 1"),
        ("gradient_clipping", {"clip": True}, "True is of type bool, not float"),
        ("flat_cos", {"curve": "square"}, "'square' is unknown; known: cosine, linear, exponential"),
        ("general_scheduler", {"phases": []}, "give at least one"),
        ("general_scheduler", {"phases": [{"length": 3}]}, 'must have "length"'),
        ("general_scheduler", {"phases": [{"length": 3, "hps": {"lr": {"vals": "x"}}}]}, "neither a number nor"),
        ("general_scheduler", {"phases": [{"length": 3, "hps": {"lr": {"vals": 1.0, "anneal": "zig"}}}]}, "zig"),
    ],
)
def test_a_callback_that_cannot_be_built_is_refused_with_what_is_known(
    name: str, arguments: dict[str, Any], message: str
) -> None:
    with pytest.raises(LearnerError, match=message):
        build_callback(name, arguments, a_learner())


def test_a_general_scheduler_of_plain_data_is_that_of_phases() -> None:
    given = build_callback("general_scheduler", PHASES, a_learner())
    assert isinstance(given, GeneralScheduler)
    assert isinstance(given.phases[0], TrainingPhase)
    assert given.phases[0].at(0.5) == {"lr": [pytest.approx(5.5e-3)], "eps": [1e-7]}


@pytest.mark.parametrize(
    "make",
    [
        lambda data: LearnerSpec(data, "resnet18", callbacks=(Component("mixup", {"alpha": 0.2}),), precision="fp16"),
        lambda data: LearnerSpec(
            data, "resnet18", optimizer=OptimizerSpec("sgd", (0.1, 0.2), arguments={"nesterov": 1})
        ),
        lambda data: LearnerSpec(data, "resnet18", clip_grad=0.1, accumulate=4),
    ],
)
def test_a_learners_training_options_are_json_and_back(make: Callable[[Any], LearnerSpec]) -> None:
    from learnfleet.trainer.spec import DataSpec

    spec = make(DataSpec("/data"))
    assert LearnerSpec.from_json(json.loads(json.dumps(spec.to_json()))) == spec


@pytest.mark.parametrize(
    ("stage", "field"),
    [
        (FitStage(1, LearningRate(values=(1e-3, 1e-2))), "stages[1].fit.lr.values"),
        (FitStage(1, wd=(0.1, 0.2)), "stages[1].fit.wd_per_group"),
        (FitOneCycleStage(1, LearningRate(values=(1e-3,) * 4)), "stages[1].fit_one_cycle.max_lr.values"),
        (FitFlatCosStage(1, LearningRate(values=(1e-3,) * 2)), "stages[1].fit_flat_cos.lr.values"),
        (FitSgdrStage(1, 1, LearningRate(values=(1e-3,) * 2)), "stages[1].fit_sgdr.lr_max.values"),
        (LrFindStage(end_lr=LearningRate(values=(1.0, 2.0))), "stages[1].lr_find.end_lr.values"),
        (FreezeStage(3), "stages[1].freeze_to.n"),
    ],
)
def test_a_later_stage_that_does_not_fit_the_layer_groups_ends_a_job_before_it_trains(
    tmp_path: Path, stage: Stage, field: str
) -> None:
    learner = a_learner()
    context = RunContext("job", 1, lambda *_: None, lambda: False, tmp_path / "checkpoints")
    with pytest.raises(LearnerError, match="3 layer groups; give") as caught:
        run_train(learner, [FitStage(1), stage], context)
    assert (caught.value.field, learner.global_step) == (field, 0)
    assert not (tmp_path / "checkpoints").exists()


def test_lists_of_one_value_and_of_one_a_layer_group_fit() -> None:
    for stages in STAGES.values():
        assert misfits(stages, 3) == []
    one = FitStage(1, LearningRate(values=(1e-3,)))
    assert misfits([one, FreezeStage(-1)], 1) == []
    assert not depend_on_groups([one, FreezeStage(-1), FreezeStage(0)])
    assert depend_on_groups([FreezeStage(1)])
