"""Several processes train, measure and predict as one does, with uneven shards."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
import torch
from support.memory_data import MemoryData, a_learner, tiny_model
from support.ranks import run_ranks

from learnfleet.trainer.callback import Callback
from learnfleet.trainer.data import DatasetType
from learnfleet.trainer.errors import NonFiniteLoss
from learnfleet.trainer.learner import Learner
from learnfleet.trainer.run import RunContext, run_train
from learnfleet.trainer.spec import FitStage
from learnfleet.trainer.state import TrainState

# Batches of 7 are 4 + 3 on two ranks; 13 validation pictures in batches of 5 are 3+2, 3+2, 2+1. Without BatchNorm and
# dropout, which work on each rank's own share, the numbers must be those of one process.
N_VALID = 11  # 3+2, 3+2, 1+0: one rank has a batch more than the other


def whole_learner(**options: Any) -> Learner:
    data = MemoryData(n_valid=N_VALID)
    return a_learner(data, tiny_model(dropout=0, bn=False), metrics=["accuracy", "error_rate"], **options)


def train_and_measure(rank: int, folder: Path) -> dict[str, Any]:
    """What one rank sees of a fit and of predictions."""
    learner = whole_learner()
    learner.fit(2, 1e-2)
    probabilities, targets, losses = learner.get_preds(DatasetType.Valid, with_loss=True)
    return {
        "losses": learner.recorder.losses,
        "val_losses": learner.recorder.val_losses,
        "metrics": learner.recorder.metrics,
        "weights": torch.cat([value.flatten() for value in learner.model.parameters()]).tolist(),
        "probabilities": probabilities.tolist(),
        "targets": targets.tolist(),
        "pred_losses": losses.tolist(),
        "validate": learner.validate(),
    }


def test_f049_f050_two_ranks_with_uneven_shards_equal_one_process(two_ranks: dict[str, Any], tmp_path: Path) -> None:
    alone = train_and_measure(0, tmp_path)
    ranks = two_ranks["train_and_measure"]
    for seen in ranks:
        assert seen["losses"] == pytest.approx(alone["losses"], rel=1e-5)
        assert seen["val_losses"] == pytest.approx(alone["val_losses"], rel=1e-5)
        assert seen["metrics"] == alone["metrics"]
        assert seen["weights"] == pytest.approx(alone["weights"], rel=1e-3, abs=1e-5)
        assert seen["targets"] == alone["targets"]
        assert torch.allclose(torch.tensor(seen["probabilities"]), torch.tensor(alone["probabilities"]), atol=1e-5)
        assert seen["pred_losses"] == pytest.approx(alone["pred_losses"], rel=1e-3)
        assert seen["validate"] == pytest.approx(alone["validate"], rel=1e-5)
    assert ranks[0] == ranks[1]


def own_buffers(rank: int, folder: Path) -> dict[str, Any]:
    """BatchNorm statistics differ between ranks in training; both must validate with rank 0's."""
    learner = a_learner(metrics="accuracy")
    learner.fit(1, 1e-2)
    return {"buffers": [value.tolist() for value in learner.model.buffers()], "loss": learner.recorder.val_losses}


def test_f049_all_ranks_validate_with_the_buffers_of_rank_0(two_ranks: dict[str, Any]) -> None:
    first, second = two_ranks["own_buffers"]
    assert first == second


def with_others_weights(rank: int, folder: Path) -> list[float]:
    """One rank begins with other weights, once with other statistics alone; and one fit is undisturbed."""
    return [*_fitted("weights", rank), *_fitted("statistics", rank), *_fitted("nothing", rank)]


def _fitted(differs: str, rank: int) -> list[float]:
    learner = a_learner()
    own = {"weights": learner.model.parameters(), "statistics": learner.model.buffers()}
    with torch.no_grad():
        for value in own.get(differs, ()):
            value += rank
    learner.fit(1, 1e-2)
    return [float(value.double().sum()) for value in learner.model.state_dict().values()]


def test_all_ranks_begin_with_the_weights_and_statistics_of_rank_0(two_ranks: dict[str, Any]) -> None:
    first, second = two_ranks["with_others_weights"]
    assert first == second
    third = len(first) // 3
    assert first[:third] == first[third : 2 * third] == first[2 * third :]


def sends_weights(rank: int, folder: Path) -> list[bool]:
    """Whether a second fit sends weights from rank to rank again: of ranks that are alike, and of one that is not."""
    learner = a_learner()
    learner.fit(1, 1e-2)
    told = []
    for difference in (0, rank):
        with torch.no_grad():
            next(learner.model.parameters()).view(-1)[0] += difference
        with mock.patch("torch.nn.parallel.distributed._sync_module_states") as send:
            learner.wrapped_model()
        told.append(send.called)
    return told


def test_weights_that_all_ranks_have_are_not_sent_again(two_ranks: dict[str, Any]) -> None:
    assert two_ranks["sends_weights"] == [[False, True], [False, True]]


class RequestAt(Callback):
    """Asks for a stop in the middle of a step."""

    def __init__(self, step: int) -> None:
        self._step = step

    def on_backward_end(self, state: TrainState) -> None:
        state.stop_request = state.stop_request or state.global_step == self._step


class BreakAt(Callback):
    """Makes one rank's loss infinite."""

    def on_loss_begin(self, state: TrainState) -> None:
        if state.train and state.global_step == 2:
            assert state.last_output is not None
            state.last_output = state.last_output * float("inf")


def _context(folder: Path) -> RunContext:
    return RunContext("job", 1, lambda *event: None, lambda: False, folder / "checkpoints", checkpoint_every_s=None)


def stop_on_rank_1(rank: int, folder: Path) -> dict[str, Any]:
    """One rank is asked to stop."""
    learner = a_learner(callbacks=[RequestAt(5)] if rank == 1 else [])
    outcome = run_train(learner, [FitStage(3)], _context(folder))
    return {"stopped": outcome.stopped, "step": learner.global_step, "checkpoint": outcome.checkpoint.step}


def test_a_stop_asked_of_one_rank_stops_all_at_the_same_batch_with_a_checkpoint(two_ranks: dict[str, Any]) -> None:
    expected = {"stopped": True, "step": 6, "checkpoint": 6}
    assert two_ranks["stop_on_rank_1"] == [expected, expected]


def break_on_rank_1(rank: int, folder: Path) -> str:
    """One rank's loss becomes no number."""
    learner = a_learner(callbacks=[BreakAt()] if rank == 1 else [])
    with pytest.raises(NonFiniteLoss) as caught:
        run_train(learner, [FitStage(1)], _context(folder))
    return str(caught.value)


def test_a_loss_that_is_no_number_on_one_rank_fails_all_at_the_same_step(two_ranks: dict[str, Any]) -> None:
    messages = two_ranks["break_on_rank_1"]
    assert all("at step 2" in message for message in messages)


def interpret_both(rank: int, folder: Path) -> dict[str, Any]:
    """What each rank finds in an interpretation."""
    learner = whole_learner()
    learner.fit(1, 1e-2)
    found = learner.interpret()
    return {"matrix": found.confusion_matrix().tolist(), "top": found.top_losses()[1].tolist()}


def test_an_interpretation_covers_every_picture_once(two_ranks: dict[str, Any]) -> None:
    first, second = two_ranks["interpret_both"]
    assert first == second
    assert sum(map(sum, first["matrix"])) == N_VALID
    assert sorted(first["top"]) == list(range(N_VALID))


def save_and_load(rank: int, folder: Path) -> list[float]:
    """Only rank 0 writes, all read."""
    learner = a_learner(MemoryData(path=folder))
    learner.fit(1)
    learner.save("shared")
    other = a_learner(MemoryData(path=folder), seed=rank + 5)
    other.load("shared")
    files = json.loads((folder / "models" / "shared" / "manifest.json").read_text())["files"]
    assert set(files) >= {"model.safetensors", "optimizer.safetensors", "state.json"}
    return other.validate()


def test_what_one_rank_saves_all_can_load(two_ranks: dict[str, Any]) -> None:
    first, second = two_ranks["save_and_load"]
    assert first == second


@pytest.fixture(scope="module")
def two_ranks(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What both ranks saw of everything above, from one start of two processes."""
    trained = [train_and_measure, own_buffers, with_others_weights, sends_weights]
    functions = [*trained, stop_on_rank_1, break_on_rank_1, interpret_both, save_and_load]
    return run_ranks(functions, tmp_path_factory.mktemp("ranks"))
