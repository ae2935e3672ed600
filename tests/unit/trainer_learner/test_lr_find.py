"""The learning-rate search: what it tries, when it stops, and that it leaves nothing behind."""

from __future__ import annotations

import math
import random
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from support.memory_data import MemoryData, a_learner
from torch import Tensor, nn

from learnfleet.trainer.callback import Callback, LearnerCallback
from learnfleet.trainer.errors import LearnerError
from learnfleet.trainer.gradients import GradientClipping
from learnfleet.trainer.learner import Learner
from learnfleet.trainer.lr_find import LRFinder
from learnfleet.trainer.lr_suggest import minimum, valley
from learnfleet.trainer.state import TrainState


def everything(learner: Learner) -> dict[str, object]:
    """All that a search must leave as it is."""
    optimizer = learner.opt
    return {
        "model": {name: value.clone() for name, value in learner.model.state_dict().items()},
        "moments": {name: value.clone() for name, value in optimizer.tensors().items()} if optimizer else None,
        "hyper": optimizer.hyper_parameters() if optimizer else None,
        "counters": (learner.global_step, learner.lifetime_epoch, learner.frozen_to),
        "grads": [value.grad for value in learner.model.parameters()],
        "torch": torch.get_rng_state(),
        "python": random.getstate(),
        "numpy": np.random.get_state()[1],
    }


def same(a: object, b: object) -> bool:
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if isinstance(a, Tensor | np.ndarray):
        return bool((torch.as_tensor(a) == torch.as_tensor(b)).all())
    return a == b


def test_f056_batch_i_is_trained_with_the_oracles_rate() -> None:
    learner = a_learner(MemoryData(n_train=35, bs=7))
    learner.lr_find(stop_div=False)
    expected = [1e-7 * 10 ** (8 * i / 100) for i in range(100)]
    assert learner.recorder.lrs == pytest.approx(expected, rel=1e-9)
    assert learner.recorder.lrs[-1] == pytest.approx(8.317637711026709)
    assert len(learner.recorder.losses) == 100


def test_f056_a_slice_gives_each_layer_group_a_range_of_its_own() -> None:
    rates: list[list[float]] = []

    class Watch(Callback):
        in_lr_find = True

        def on_batch_begin(self, state: TrainState) -> None:
            rates.append([group["lr"] for group in state.learner.require_optimizer().param_groups[::2]])

    learner = a_learner(callbacks=[Watch()])
    learner.lr_find(slice(1e-7, 1e-5), [1e-3, 1e-2, 1e-1], num_it=10, stop_div=False)
    assert rates[0] == pytest.approx([1e-7, 1e-6, 1e-5])
    assert rates[5] == pytest.approx([1e-5, 1e-4, 1e-3])


class Explode(LearnerCallback):
    """Makes the loss of a step what it is told, from `at` on."""

    in_lr_find = True

    def __init__(self, learn: Learner, at: int, factor: float) -> None:
        super().__init__(learn)
        self.at, self.factor = at, factor

    def on_loss_begin(self, state: TrainState) -> None:
        if state.iteration >= self.at:
            state.last_output = state.last_output * self.factor


@pytest.mark.parametrize("factor", [1e6, math.nan])
def test_f057_the_search_stops_at_the_batch_whose_loss_has_diverged(factor: float) -> None:
    learner = a_learner()
    learner.callbacks.append(Explode(learner, 6, factor))
    learner.lr_find(1e-6, 1e-5)
    assert len(learner.recorder.losses) == 7


def test_f057_without_stop_div_all_batches_are_run() -> None:
    learner = a_learner()
    learner.callbacks.append(Explode(learner, 6, 1e6))
    learner.lr_find(num_it=12, stop_div=False)
    assert len(learner.recorder.losses) == 12


def test_f058_weights_buffers_optimizer_counters_and_generators_are_as_before() -> None:
    learner = a_learner(wd=[0.1, 0.2, 0.3])
    learner.fit(1, slice(1e-4, 1e-3))
    learner.opt.mom = 0.7  # type: ignore[union-attr]
    before = everything(learner)
    learner.lr_find(num_it=20, wd=0.5)
    assert same(everything(learner), before)


def test_f058_a_learner_without_an_optimizer_has_none_afterwards() -> None:
    learner = a_learner()
    before = everything(learner)
    learner.lr_find(num_it=8)
    assert learner.opt is None
    assert same(everything(learner), before)


def test_f058_training_goes_on_as_if_there_had_been_no_search() -> None:
    searched, plain = a_learner(), a_learner()
    for learner in (searched, plain):
        learner.fit(1)
    searched.lr_find(num_it=10)
    for learner in (searched, plain):
        learner.fit(1)
    assert same(everything(searched), everything(plain))


def test_f058_everything_is_put_back_after_an_error_too() -> None:
    class Break(Callback):
        in_lr_find = True

        def on_backward_end(self, state: TrainState) -> None:
            if state.iteration == 3:
                raise RuntimeError("broken")

    learner = a_learner()
    learner.fit(1)
    before = everything(learner)
    learner.callbacks.append(Break())
    with pytest.raises(RuntimeError, match="broken"):
        learner.lr_find(num_it=10)
    assert same(everything(learner), before)


def test_f058_buffers_that_are_not_saved_are_put_back_and_a_model_with_reset_is_reset() -> None:
    class Counting(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear = nn.Linear(192, 3)
            self.register_buffer("seen", torch.zeros(()), persistent=False)
            self.resets = 0

        def forward(self, x: Tensor) -> Tensor:
            self.seen += 1
            return self.linear(x.flatten(1))

        def reset(self) -> None:
            self.resets += 1

    model = Counting()
    a_learner(model=model).lr_find(num_it=6)
    assert float(model.seen) == 0
    assert model.resets == 1


def test_f058_f059_nothing_is_written(tmp_path: Path) -> None:
    a_learner(MemoryData(path=tmp_path)).lr_find(num_it=6)
    assert list(tmp_path.iterdir()) == []


def test_f059_searches_side_by_side_in_one_folder_each_find_what_they_find_alone(tmp_path: Path) -> None:
    def search(seed: int) -> tuple[list[float], bool]:
        learner = a_learner(MemoryData(path=tmp_path), seed=seed, model=nn.Sequential(nn.Flatten(), nn.Linear(192, 3)))
        weight = torch.full((3, 192), seed / 100)
        learner.model.load_state_dict({"1.weight": weight, "1.bias": torch.zeros(3)})
        learner.lr_find(num_it=12)
        return learner.recorder.losses, torch.equal(weight, learner.model.state_dict()["1.weight"])

    alone = [search(seed) for seed in (1, 2)]
    with ThreadPoolExecutor(2) as pool:
        together = list(pool.map(search, (1, 2)))
    assert together == alone
    assert all(restored for _, restored in together)


def test_f059_the_learners_own_watchers_do_not_take_part() -> None:
    class Watch(Callback):
        events = 0

        def on_batch_end(self, state: TrainState) -> None:
            Watch.events += 1

    learner = a_learner(callbacks=[Watch()], callback_fns=[lambda learn: Watch()])
    learner.lr_find(num_it=6)
    assert Watch.events == 0


def test_f069_callbacks_that_change_what_a_step_computes_take_part() -> None:
    norms: list[float] = []

    class Watch(Callback):
        order = 1
        in_lr_find = True

        def on_backward_end(self, state: TrainState) -> None:
            grads = [p.grad.flatten() for p in state.learner.model.parameters() if p.grad is not None]
            norms.append(float(torch.cat(grads).norm()))

    learner = a_learner(callback_fns=[partial(GradientClipping, clip=0.01)], callbacks=[Watch()])
    learner.lr_find(num_it=6)
    assert max(norms) == pytest.approx(0.01, rel=1e-3)


def test_f069_the_finder_is_a_callback_of_an_ordinary_fit() -> None:
    learner = a_learner()
    before = everything(learner)
    finder = LRFinder(learner, 1e-6, 1e-2, num_it=7)
    learner.fit(5, callbacks=[finder])
    assert learner.lr_finder is finder
    assert len(learner.recorder.losses) == 7
    assert same(everything(learner)["model"], before["model"])
    assert learner.recorder.val_losses == []
    assert learner.global_step == 0


def test_f069_rates_of_zero_and_searches_of_no_batch_are_refused() -> None:
    with pytest.raises(LearnerError, match="above 0"):
        a_learner().lr_find(0.0)
    with pytest.raises(LearnerError, match="at least 1 batch"):
        a_learner().lr_find(num_it=0)
    with pytest.raises(LearnerError, match=r"8\.5 is not possible: a whole number of batches"):
        a_learner().lr_find(num_it=8.5)  # type: ignore[arg-type]


def test_f060_f061_the_search_returns_suggestions_and_the_plot_marks_them() -> None:
    learner = a_learner()
    found = learner.lr_find(num_it=60, stop_div=False, suggest_funcs=(valley, minimum))
    assert isinstance(found.valley, float)
    assert found.slide is None
    figure = learner.recorder.plot(suggestion=True, k=3, show_grid=True)
    legend = figure.axes[0].get_legend()
    assert legend is not None
    assert [text.get_text().split(":")[0] for text in legend.get_texts()] == ["min_gradient", "minimum"]
    assert learner.recorder.min_grad_lr in learner.recorder.lrs
    assert figure.axes[0].get_xscale() == "log"
    assert len(figure.axes[0].lines[0].get_xdata()) == 60 - 10 - 5  # type: ignore[arg-type]


def test_f060_the_plot_of_too_few_points_says_so() -> None:
    learner = a_learner()
    learner.lr_find(num_it=6)
    legend = learner.recorder.plot(suggestion=True).axes[0].get_legend()
    assert legend is not None
    assert "not enough points" in legend.get_texts()[0].get_text()
    assert learner.recorder.min_grad_lr is None
