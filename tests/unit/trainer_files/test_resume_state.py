"""What a resumed job takes up beside weights and optimiser."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import pytest
import torch
from support.memory_data import a_learner
from support.ranks import run_ranks
from torch import Tensor

from learnfleet.trainer import manifest
from learnfleet.trainer.callback import Callback
from learnfleet.trainer.callback_registry import build_callback
from learnfleet.trainer.csv_logger import CSVLogger
from learnfleet.trainer.learner import Learner
from learnfleet.trainer.manifest import list_checkpoints, newest_valid
from learnfleet.trainer.run import RunContext, TrainOutcome, run_train
from learnfleet.trainer.spec import FitStage, FreezeStage, Stage
from learnfleet.trainer.state import TrainState

STAGES: list[Stage] = [FitStage(1), FitStage(1)]  # 4 steps each


def run(
    learner: Learner,
    root: Path,
    attempt: int = 1,
    stop_at: int | None = None,
    resume_from: Path | None = None,
    stages: list[Stage] = STAGES,
    every_steps: int | None = None,
) -> TrainOutcome:
    context = RunContext(
        "job",
        attempt,
        lambda *_: None,
        lambda: stop_at is not None and learner.global_step >= stop_at,
        root,
        checkpoint_every_s=None,
        checkpoint_every_steps=every_steps,
    )
    return run_train(learner, stages, context, resume_from)


def in_two(root: Path, make: Any, stop_at: int, stages: list[Stage] = STAGES) -> tuple[Learner, TrainOutcome]:
    """The learner after a job that was stopped and resumed."""
    stopped = run(make(), root, 1, stop_at, stages=stages)
    assert stopped.stopped
    learner = make()
    saved = stopped.checkpoint and stopped.checkpoint.path  # none before the end of the first validation
    return learner, run(learner, root, 2, resume_from=saved, stages=stages)


def frozen_by_hand() -> Learner:
    learner = a_learner()
    learner.model[0][0].weight.requires_grad_(False)
    return learner


@pytest.mark.parametrize("stages", [STAGES, [FitStage(1), FreezeStage(1), FitStage(1)]], ids=["fits", "freeze_to"])
def test_f095_parameters_frozen_by_hand_stay_frozen_in_a_resumed_job(tmp_path: Path, stages: list[Stage]) -> None:
    whole = frozen_by_hand()
    expected = run(whole, tmp_path / "whole", stages=stages)
    learner, outcome = in_two(tmp_path / "parts", frozen_by_hand, 5, stages)
    assert torch.equal(learner.model[0][0].weight, frozen_by_hand().model[0][0].weight)
    assert outcome.checkpoint.model_sha256 == expected.checkpoint.model_sha256
    assert outcome.checkpoint.optimizer_sha256 == expected.checkpoint.optimizer_sha256


class Draws(Callback):
    """Draws a number at the start of every epoch and of every validation, and disturbs the gradients by them."""

    def __init__(self) -> None:
        self.drawn: list[float] = []

    def on_epoch_begin(self, state: TrainState) -> None:
        self.drawn.append(float(torch.rand(1)))

    def on_batch_begin(self, state: TrainState) -> None:
        if not state.train:
            self.drawn.append(float(torch.rand(1)))

    def state_dict(self) -> dict[str, Any]:
        return {"drawn": self.drawn}

    def load_state_dict(self, values: dict[str, Any]) -> None:
        self.drawn = list(values["drawn"])


@pytest.mark.parametrize("stop_at", [1, 3, 4, 6])
def test_f095_what_is_drawn_outside_of_steps_is_drawn_again(tmp_path: Path, stop_at: int) -> None:
    whole = a_learner(callbacks=[Draws()])
    run(whole, tmp_path / "whole")
    learner, _ = in_two(tmp_path / "parts", lambda: a_learner(callbacks=[Draws()]), stop_at)
    assert learner.callbacks[0].state_dict() == whole.callbacks[0].state_dict()
    assert len(set(whole.callbacks[0].state_dict()["drawn"])) == 8


class CountsFits(Callback):
    """Remembers something from fit to fit."""

    def __init__(self) -> None:
        self.fits = 0

    def on_train_begin(self, state: TrainState) -> None:
        self.fits += 1

    def state_dict(self) -> dict[str, Any]:
        return {"fits": self.fits}

    def load_state_dict(self, values: dict[str, Any]) -> None:
        self.fits = values["fits"]


def test_f095_a_callback_that_lives_for_many_fits_keeps_its_state_between_them(tmp_path: Path) -> None:
    """The job is resumed where one stage has ended and the next has not begun."""
    learner = a_learner(callbacks=[CountsFits()])
    first = run(learner, tmp_path, stages=STAGES[:1])
    resumed = a_learner(callbacks=[CountsFits()])
    run(resumed, tmp_path, 2, resume_from=first.checkpoint.path)
    assert resumed.callbacks[0].state_dict() == {"fits": 2}


def test_f095_an_appending_table_has_no_line_twice_when_a_job_is_resumed(tmp_path: Path) -> None:
    def make(path: Path) -> Learner:
        learner = a_learner(path=path, add_time=False)
        learner.callbacks.append(CSVLogger(learner, append=True))
        return learner

    for stop_at in (2, 4, 6):
        whole, parts = tmp_path / f"whole{stop_at}", tmp_path / f"parts{stop_at}"
        run(make(whole), whole / "checkpoints")
        in_two(parts / "checkpoints", lambda place=parts: make(place), stop_at)
        assert (parts / "history.csv").read_text() == (whole / "history.csv").read_text()


class ListsCheckpoints(Callback):
    """The steps of the checkpoints that are on the disk when a fit begins."""

    def __init__(self, root: Path) -> None:
        self._root, self.found = root, list[list[int]]()

    def on_train_begin(self, state: TrainState) -> None:
        self.found.append([int(path.name.split("-")[1]) for path in list_checkpoints(self._root)])


def test_f081_f095_a_stage_is_on_the_disk_before_the_next_could_replace_what_it_has_saved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A job that dies then must find its stage finished, or the best model that the stage is to end with."""
    slow_disk, write = threading.Event(), manifest.write_manifest

    def write_slowly(folder: Path, **values: Any) -> manifest.Manifest:
        slow_disk.wait(0.3)
        return write(folder, **values)

    monkeypatch.setattr(manifest, "write_manifest", write_slowly)
    lists = ListsCheckpoints(tmp_path)
    run(a_learner(callbacks=[lists]), tmp_path)
    assert lists.found == [[], [4]]


class SumsOwnInputs(Callback):
    """Keeps something of each rank's own."""

    def __init__(self) -> None:
        self.total, self.restored = torch.zeros(()), False

    def on_batch_begin(self, state: TrainState) -> None:
        self.total += state.last_input.sum() * state.train

    def rank_tensors(self) -> dict[str, Tensor]:
        return {"total": self.total}

    def load_rank_tensors(self, tensors: dict[str, Tensor]) -> None:
        self.total, self.restored = tensors["total"], True


def _stopped_and_resumed_on_ranks(rank: int, folder: Path) -> list[float]:
    whole = a_learner(callbacks=[SumsOwnInputs()])
    run(whole, folder / "whole")
    learner, _ = in_two(folder / "parts", lambda: a_learner(callbacks=[SumsOwnInputs()]), 3)
    return [float(item.callbacks[0].total) for item in (whole, learner)]  # type: ignore[attr-defined]


def test_f095_each_rank_gets_back_what_it_had_for_itself(tmp_path: Path) -> None:
    first, second = run_ranks([_stopped_and_resumed_on_ranks], tmp_path)["_stopped_and_resumed_on_ranks"]
    assert first[0] == first[1]
    assert second[0] == second[1]
    assert first != second


def test_f095_a_job_resumed_on_fewer_ranks_leaves_what_each_had_for_itself(tmp_path: Path) -> None:
    run_ranks([_stopped], tmp_path)
    sums = SumsOwnInputs()
    learner = a_learner(callbacks=[sums])
    newest = newest_valid(tmp_path / "_stopped", "job")
    assert newest is not None
    assert not run(learner, tmp_path / "_stopped", 2, resume_from=newest.path).exact
    assert not sums.restored


def _stopped(rank: int, folder: Path) -> None:
    assert run(a_learner(callbacks=[SumsOwnInputs()]), folder, 1, 3).stopped


def test_f095_a_checkpoint_tells_of_an_optimisers_plain_numbers_with_all_their_digits() -> None:
    learner = a_learner()
    learner.fit(1)
    optimizer = learner.require_optimizer()
    parameter = optimizer.parameters()[0]
    optimizer.inner.state[parameter]["mu"] = 0.1
    saved = optimizer.tensors()
    optimizer.load_tensors({name: value.clone() for name, value in saved.items()})
    assert optimizer.inner.state[parameter]["mu"] == 0.1


def test_f095_the_state_of_a_checkpoint_is_json(tmp_path: Path) -> None:
    outcome = run(a_learner(callbacks=[CountsFits()], metrics="accuracy"), tmp_path)
    state = json.loads((outcome.checkpoint.path / "state.json").read_text())
    assert state["job"]["position"]["stage"] == 2
    assert state["callbacks"] == {"CountsFits": {"fits": 2}}
    assert (state["frozen"], state["opt_func"]) == ([], "adam")


def test_f051_what_callbacks_write_goes_with_the_learner_when_its_path_changes(tmp_path: Path) -> None:
    """A service builds a learner once, and each of its jobs has a folder of its own."""
    learner = a_learner(path=tmp_path / "data")
    names = ("csv_logger", "track_epoch", "tensorboard", "save_model")
    learner.callbacks.extend(build_callback(name, {}, learner) for name in names)
    learner.path = tmp_path / "job"
    learner.fit(1)
    assert not (tmp_path / "data").exists()
    assert {path.name for path in (tmp_path / "job").iterdir()} == {"history.csv", "models", "tensorboard"}
