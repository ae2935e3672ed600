"""Searches, float16, accumulation and clipping on two ranks: alike on both, and as in one process."""

from __future__ import annotations

import contextlib
import io
import os
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
from support.memory_data import MemoryData, a_learner, tiny_model
from support.ranks import run_ranks

from learnfleet.trainer.callback import Callback
from learnfleet.trainer.csv_logger import CSVLogger
from learnfleet.trainer.errors import LearnerError
from learnfleet.trainer.gradients import AccumulateScheduler
from learnfleet.trainer.learner import Learner
from learnfleet.trainer.run import RunContext, run_train
from learnfleet.trainer.spec import Component, FitOneCycleStage, FitStage, LearningRate, LrFindStage
from learnfleet.trainer.state import TrainState


def whole_learner(n_train: int = 30, bs: int = 7, **options: Any) -> Learner:
    """Without BatchNorm and dropout, so that the numbers must be those of one process. Batches of 7 are 4 + 3."""
    return a_learner(MemoryData(n_train=n_train, bs=bs), tiny_model(dropout=0, bn=False), **options)


def weights(learner: Learner) -> list[float]:
    return torch.cat([value.detach().flatten() for value in learner.model.parameters()]).tolist()


def search(rank: int, folder: Path) -> dict[str, Any]:
    """A search that diverges, after a fit."""
    learner = whole_learner(metrics="accuracy")
    learner.fit(1, 1e-2)
    before, hyper = weights(learner), learner.require_optimizer().hyper_parameters()
    found = learner.lr_find(1e-3, 1e4, num_it=50)
    after = learner.require_optimizer().hyper_parameters()
    return {
        "losses": learner.recorder.losses,
        "suggestions": list(found),
        "restored": weights(learner) == before and hyper == after,
        "counters": [learner.global_step, learner.lifetime_epoch],
        "files": sorted(path.name for path in Path(learner.path).iterdir() if path.name == "models"),
    }


def accumulate(rank: int, folder: Path) -> dict[str, Any]:
    learner = whole_learner(n_train=35, opt_func="sgd").clip_grad(0.3)
    learner.fit(2, 0.1, callbacks=[AccumulateScheduler(learner, 2)])
    return {"weights": weights(learner), "losses": learner.recorder.losses}


class OverflowOn(Callback):
    """Makes one rank's gradients infinite at one step."""

    order = 5

    def __init__(self, rank: int) -> None:
        self.rank = rank

    def on_backward_begin(self, state: TrainState) -> None:
        assert state.loss is not None
        if state.iteration == 2 and state.learner.world.rank == self.rank:
            state.loss = state.loss * 1e38


def half(rank: int, folder: Path) -> dict[str, Any]:
    scales: list[float] = []

    class Watch(Callback):
        def on_batch_end(self, state: TrainState) -> None:
            if state.train and state.scaler is not None:
                scales.append(state.scaler.scale)

    learner = whole_learner().to_fp16(loss_scale=256.0)
    learner.fit(1, 1e-2, callbacks=[OverflowOn(1), Watch()])
    return {"scales": scales, "weights": weights(learner), "losses": learner.recorder.losses}


STAGES = [
    LrFindStage(num_it=6),
    FitOneCycleStage(2, LearningRate(value=1e-2), callbacks=(Component("accumulate", {"n_step": 3}),)),
    FitStage(1, callbacks=(Component("mixed_precision", {"loss_scale": 1e30}),)),
]


def job(rank: int, folder: Path) -> dict[str, Any]:
    """A job stopped by one rank while gradients are being added up, and resumed; beside it one never stopped."""

    def run(name: str, attempt: int, stop_at: int | None, resume: Path | None = None) -> Any:
        learner, polls = whole_learner(n_train=35), 0

        def is_stopped() -> bool:
            nonlocal polls
            polls += 1
            return stop_at is not None and rank == 1 and polls >= stop_at

        root = folder / name
        context = RunContext("job", attempt, lambda *event: None, is_stopped, root, checkpoint_every_s=None)
        return run_train(learner, STAGES, context, resume)

    whole = run("whole", 1, None)
    stopped = run("parts", 1, 6 + 4)  # the fourth batch of the cycle begins a window: the fifth ends it
    resumed = run("parts", 2, None, stopped.checkpoint.path)
    return {
        "stopped_at": [stopped.stopped, stopped.checkpoint.step],
        "same": whole.checkpoint.model_sha256 == resumed.checkpoint.model_sha256,
        "same_optimizer": whole.checkpoint.optimizer_sha256 == resumed.checkpoint.optimizer_sha256,
        "exact": resumed.exact,
    }


def distributed(rank: int, folder: Path) -> dict[str, Any]:
    """A learner that was made before the group is there joins it later."""
    learner = whole_learner()
    size = learner.world.size
    learner.world = type(learner.world)()
    learner.to_distributed().fit(1, 1e-2)
    return {"size": size, "joined": [learner.world.rank, learner.world.size], "weights": weights(learner)}


def write(rank: int, folder: Path) -> dict[str, Any]:
    """What a rank prints and writes into a folder that is its own here."""
    own = folder / f"own{rank}"
    own.mkdir()
    learner, printed = whole_learner(silent=False, path=own, metrics="accuracy"), io.StringIO()
    with contextlib.redirect_stdout(printed):
        learner.fit(1, callbacks=[CSVLogger(learner)])
        learner.lr_find(num_it=6)
        learner.save("saved")
    return {"lines": len(printed.getvalue().splitlines()), "files": [path.name for path in sorted(own.iterdir())]}


FUNCTIONS = [search, accumulate, half, job, distributed, write]


@pytest.fixture(scope="module")
def two_ranks(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return run_ranks(FUNCTIONS, tmp_path_factory.mktemp("ranks"))


def test_f056_f057_f059_f060_f061_both_ranks_stop_a_search_at_the_batch_at_which_one_process_does(
    two_ranks: dict[str, Any], tmp_path: Path
) -> None:
    alone = search(0, tmp_path)
    first, second = two_ranks["search"]
    assert first == second
    assert 5 < len(first["losses"]) < 50
    assert first["losses"] == pytest.approx(alone["losses"], rel=1e-3)
    assert first["suggestions"] == pytest.approx(alone["suggestions"])


def test_f058_a_search_on_two_ranks_restores_both(two_ranks: dict[str, Any]) -> None:
    for seen in two_ranks["search"]:
        assert seen["restored"]
        assert seen["counters"] == [4, 1]


def test_f091_f090_accumulation_and_clipping_on_two_ranks_equal_one_process(
    two_ranks: dict[str, Any], tmp_path: Path
) -> None:
    alone = accumulate(0, tmp_path)
    first, second = two_ranks["accumulate"]
    assert first == second
    assert first["weights"] == pytest.approx(alone["weights"], rel=1e-4, abs=1e-6)
    assert first["losses"] == pytest.approx(alone["losses"], rel=1e-5)


def test_f076_an_overflow_on_one_rank_skips_the_step_and_halves_the_scale_on_all(
    two_ranks: dict[str, Any], tmp_path: Path
) -> None:
    first, second = two_ranks["half"]
    assert first == second
    assert first["scales"] == [256.0, 256.0, 128.0, 128.0]


def test_f055_f091_a_stop_on_one_rank_waits_for_the_step_of_all_and_resumes_exactly(two_ranks: dict[str, Any]) -> None:
    for seen in two_ranks["job"]:
        assert seen == {"stopped_at": [True, 5], "same": True, "same_optimizer": True, "exact": True}


def test_f048_to_distributed_joins_the_other_processes(two_ranks: dict[str, Any]) -> None:
    first, second = two_ranks["distributed"]
    assert [first["joined"], second["joined"]] == [[0, 2], [1, 2]]
    assert first["weights"] == second["weights"]


def test_f051_only_rank_0_prints_and_writes(two_ranks: dict[str, Any]) -> None:
    first, second = two_ranks["write"]
    assert first["files"] == ["history.csv", "models"]
    assert first["lines"] >= 2
    assert second == {"lines": 0, "files": []}


def test_f048_to_distributed_alone_says_how_to_start(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(LearnerError, match="torchrun --nproc_per_node"):
        a_learner().to_distributed()


def test_f048_to_distributed_takes_what_torchrun_has_put_into_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    values = {"RANK": "0", "WORLD_SIZE": "1", "MASTER_ADDR": "localhost", "MASTER_PORT": "0"}
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    assert "RANK" in os.environ
    try:
        a_learner().to_distributed().fit(1)
        assert dist.is_initialized()
    finally:
        dist.destroy_process_group()


def test_f048_to_distributed_on_a_gpu_that_is_not_there_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    with pytest.raises(LearnerError, match=r"no GPU 1 here \(0 found\): without, leave `cuda_id` out"):
        a_learner().to_distributed(1)


def test_f048_to_parallel_without_two_gpus_says_so_and_trains_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    with pytest.warns(UserWarning, match="0 CUDA devices here, so training stays on cpu"):
        learner = a_learner().to_parallel()
    learner.fit(1)
    assert learner.global_step == 4


def test_f048_to_parallel_wraps_the_model_for_the_time_of_a_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []

    class Watch(Callback):
        def on_batch_begin(self, state: TrainState) -> None:
            if state.train:
                seen.append(type(state.model).__name__)

    learner = a_learner()
    model = learner.model
    with monkeypatch.context() as patch:
        patch.setattr(torch.cuda, "device_count", lambda: 2)
        learner.to_parallel()
    learner.fit(1, callbacks=[Watch()])
    assert set(seen) == {"DataParallel"}
    assert learner.model is model
