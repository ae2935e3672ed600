"""A training job that is killed at given places and started again, in real processes.

`python -m support.killed_job <folder> <world size> <kills as JSON>` runs the same job twice, once undisturbed and once
with kills, and writes what both came to to `<folder>/result.json`. A kill is [step, event, rank]: SIGKILL from within.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

from support.memory_data import a_learner
from support.ranks import fork_ranks, join

from learnfleet.trainer.callback import Callback
from learnfleet.trainer.manifest import newest_valid
from learnfleet.trainer.run import RunContext, run_train
from learnfleet.trainer.spec import FitOneCycleStage, FitStage, FreezeStage, LearningRate, Stage
from learnfleet.trainer.state import TrainState

JOB = "job"
STAGES: list[Stage] = [FitOneCycleStage(2, LearningRate(value=0.05)), FreezeStage(-1), FitStage(1)]


class KillAt(Callback):
    """Ends this process without a word."""

    order = 950  # right after the checkpoint was handed to its writer

    def __init__(self, step: int, event: str) -> None:
        self._step, self._event = step, event

    def _at(self, event: str, state: TrainState) -> None:
        if event == self._event and state.global_step == self._step:
            os.kill(os.getpid(), signal.SIGKILL)

    def on_backward_end(self, state: TrainState) -> None:
        self._at("on_backward_end", state)

    def on_batch_end(self, state: TrainState) -> None:
        self._at("on_batch_end" if state.train else "validation", state)

    def on_epoch_end(self, state: TrainState) -> None:
        self._at("on_epoch_end", state)


def attempt(folder: Path, number: int, world_size: int, rank: int, kill: list[Any] | None) -> None:
    """One start of the job, from its newest checkpoint."""
    join(rank, world_size, folder / f"rendezvous{number}")
    callbacks = [KillAt(kill[0], kill[1])] if kill and kill[2] == rank else []
    learner = a_learner(metrics="accuracy", callbacks=callbacks)
    journal = (folder / f"events{rank}.jsonl").open("a")

    def emit(event_id: str, kind: str, data: dict[str, Any]) -> None:
        journal.write(json.dumps([event_id, kind, data]) + "\n")
        journal.flush()

    root = folder / "checkpoints"
    context = RunContext(JOB, number, emit, lambda: False, root, checkpoint_every_s=None, checkpoint_every_steps=2)
    newest = newest_valid(root, JOB) if rank == 0 else None
    resume_from = learner.world.broadcast_json(str(newest.path) if newest else None)
    outcome = run_train(learner, STAGES, context, Path(resume_from) if resume_from else None)
    result = {
        "model": outcome.checkpoint.model_sha256,
        "optimizer": outcome.checkpoint.optimizer_sha256,
        "metrics": outcome.metrics,
        "exact": outcome.exact,
        "attempt": number,
    }
    (folder / f"result{rank}.json").write_text(json.dumps(result))


def run_job(folder: Path, world_size: int, kills: list[list[Any]]) -> dict[str, Any]:
    """Start the job, again after each kill, until it ends."""
    folder.mkdir()
    for number, kill in enumerate([*kills, None], start=1):

        def body(rank: int, number: int = number, kill: list[Any] | None = kill) -> None:
            attempt(folder, number, world_size, rank, kill)

        if fork_ranks(world_size, body):
            break
    ranks = [json.loads((folder / f"result{rank}.json").read_text()) for rank in range(world_size)]
    events = [json.loads(line) for line in (folder / "events0.jsonl").read_text().splitlines()]
    return {"ranks": ranks, "epochs": {event[0]: _timeless(event[2]) for event in events if event[1] == "epoch"}}


def _timeless(data: dict[str, Any]) -> dict[str, Any]:
    return {**data, "time_s": 0, "values": data["values"][:-1]}


def _main(folder: Path, world_size: int, kills: list[list[Any]]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    result = {
        "whole": run_job(folder / "whole", world_size, []),
        "killed": run_job(folder / "killed", world_size, kills),
    }
    (folder / "result.json").write_text(json.dumps(result))


if __name__ == "__main__":
    _main(Path(sys.argv[1]), int(sys.argv[2]), json.loads(sys.argv[3]))
