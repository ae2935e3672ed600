"""float16 and bfloat16: what is computed in them, and how the loss is scaled."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from support.memory_data import a_learner, tiny_model
from torch import Tensor, nn

from learnfleet.trainer.callback import Callback
from learnfleet.trainer.errors import LearnerError
from learnfleet.trainer.learner import Learner
from learnfleet.trainer.loss_scaler import LossScaler
from learnfleet.trainer.mixed_precision import MixedPrecision
from learnfleet.trainer.run import RunContext, run_train
from learnfleet.trainer.spec import FitStage, LearningRate
from learnfleet.trainer.state import TrainState


class Seen(nn.Module):
    """A model that notes the formats of what it computes."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(192, 3)
        self.formats: list[torch.dtype] = []

    def forward(self, x: Tensor) -> Tensor:
        output = self.linear(x.flatten(1))
        self.formats.append(output.dtype)
        return output


class Watch(Callback):
    """Notes the output's format when the loss begins, and the loss and gradient norm that callbacks are shown."""

    def __init__(self) -> None:
        self.formats: set[torch.dtype] = set()
        self.losses: list[float] = []
        self.norms: list[float] = []

    def on_loss_begin(self, state: TrainState) -> None:
        self.formats.add(state.last_output.dtype)

    def on_backward_begin(self, state: TrainState) -> None:
        assert state.loss is not None
        self.losses.append(float(state.loss.detach()))

    def on_backward_end(self, state: TrainState) -> None:
        self.norms.append(norm_of(state.learner))


def norm_of(learner: Learner) -> float:
    grads = [p.grad.double().flatten() for p in learner.model.parameters() if p.grad is not None]
    return float(torch.cat(grads).norm())


def to_fp16(learner: Learner) -> Learner:
    return learner.to_fp16()


def to_bf16(learner: Learner) -> Learner:
    return learner.to_bf16()


@pytest.mark.parametrize(("switch", "dtype"), [(to_fp16, torch.float16), (to_bf16, torch.bfloat16)])
def test_f047_the_model_computes_in_half_on_float32_weights_in_training_and_after(
    switch: Callable[[Learner], Learner], dtype: torch.dtype
) -> None:
    model, watch = Seen(), Watch()
    learner = switch(a_learner(model=model))
    learner.fit(1, callbacks=[watch])
    learner.get_preds()
    learner.pred_batch(batch=torch.zeros(2, 3, 8, 8))
    assert set(model.formats) == {dtype}
    assert watch.formats == {torch.float32}  # the loss is computed in float32
    assert model.linear.weight.dtype == torch.float32


def test_f047_to_fp32_goes_back_and_nothing_is_left_of_it() -> None:
    model = Seen()
    learner = a_learner(model=model).to_fp16().to_fp16().to_fp32()
    learner.fit(1)
    assert set(model.formats) == {torch.float32}
    assert learner.callbacks == []


def test_f047_without_loss_fp32_the_loss_sees_half() -> None:
    watch = Watch()
    a_learner(model=Seen()).to_fp16(loss_fp32=False).fit(1, callbacks=[watch])
    assert watch.formats == {torch.float16}


@pytest.mark.parametrize("switch", [to_fp16, to_bf16])
def test_f047_half_precision_learns_what_float32_learns(switch: Callable[[Learner], Learner]) -> None:
    plain, half = a_learner(), switch(a_learner())
    for learner in (plain, half):
        learner.fit_one_cycle(3, 1e-2)
    assert half.recorder.losses == pytest.approx(plain.recorder.losses, rel=0.02)


def test_f076_losses_and_gradients_are_shown_unscaled() -> None:
    plain, half = Watch(), Watch()
    a_learner(model=tiny_model(dropout=0)).fit(1, lr=1e-5, callbacks=[plain])
    a_learner(model=tiny_model(dropout=0)).to_fp16(loss_scale=1024.0).fit(1, lr=1e-5, callbacks=[half])
    assert half.losses == pytest.approx(plain.losses, rel=0.02)
    assert half.norms == pytest.approx(plain.norms, rel=0.05)


def gradients(value: float) -> list[Tensor]:
    return [torch.full((2,), value), torch.ones(1)]


def test_f076_the_scale_halves_at_an_overflow_and_doubles_after_max_noskip_good_steps() -> None:
    world = a_learner().world
    scaler = LossScaler(64.0, max_noskip=2, max_scale=64.0)
    assert scaler.unscale(gradients(math.inf), 1.0, world)
    assert (scaler.scale, scaler.good_steps) == (32.0, 0)
    assert scaler.unscale(gradients(math.nan), 1.0, world)
    for expected in (16.0, 32.0, 32.0, 64.0, 64.0, 64.0):
        assert not scaler.unscale(gradients(1.0), 1.0, world)
        assert scaler.scale == expected


def test_f076_the_scale_does_not_fall_below_one_and_a_fixed_one_stays() -> None:
    world = a_learner().world
    low, fixed = LossScaler(1.0), LossScaler(8.0, dynamic=False)
    assert low.unscale(gradients(math.inf), 1.0, world)
    assert fixed.unscale(gradients(math.inf), 1.0, world)
    assert (low.scale, fixed.scale) == (1.0, 8.0)


def test_f076_gradients_are_divided_by_the_scale() -> None:
    grads = gradients(8.0)
    LossScaler(4.0).unscale(grads, 2.0, a_learner().world)
    assert grads[0].tolist() == [1.0, 1.0]


def test_f076_a_step_that_overflows_moves_neither_weights_nor_moments_nor_decays() -> None:
    states: list[dict[str, Tensor]] = []

    class Overflow(Callback):
        order = 1

        def on_backward_begin(self, state: TrainState) -> None:
            assert state.loss is not None
            if state.iteration == 2:
                state.loss = state.loss * 1e38

        def on_step_end(self, state: TrainState) -> None:
            optimizer = state.learner.require_optimizer()
            weights = {name: value.detach().clone() for name, value in state.learner.model.named_parameters()}
            states.append({**weights, **{name: value.clone() for name, value in optimizer.tensors().items()}})

    learner = a_learner(wd=0.1).to_fp16(loss_scale=256.0)
    learner.fit(1, callbacks=[Overflow()])
    before, during, after = states[1:4]
    assert all(torch.equal(before[name], during[name]) for name in before)
    assert not all(torch.equal(during[name], after[name]) for name in during)
    assert learner.mixed_precision.loss_scale == 128.0  # type: ignore[attr-defined]


def test_f076_defaults_are_fastais() -> None:
    learner = a_learner()
    assert MixedPrecision(learner).loss_scale == 65536
    assert MixedPrecision(learner, dynamic=False).loss_scale == 512


def test_f076_the_callback_alone_makes_one_fit_half() -> None:
    model = Seen()
    learner = a_learner(model=model)
    learner.fit(1, callbacks=[MixedPrecision(learner)])
    assert set(model.formats) == {torch.float16}
    learner.fit(1)
    assert model.formats[-1] == torch.float32


def test_f076_clip_bounds_each_parameter_group() -> None:
    norms: list[float] = []

    class Groups(Callback):
        order = 1001

        def on_backward_end(self, state: TrainState) -> None:
            for group in state.learner.require_optimizer().param_groups:
                norms.append(float(torch.cat([p.grad.flatten() for p in group["params"]]).norm()))

    a_learner().to_fp16(loss_scale=64.0, clip=0.01).fit(1, callbacks=[Groups()])
    assert max(norms) <= 0.01001
    assert max(norms) > 0.0099


def test_f076_what_autocast_has_no_use_for_is_refused() -> None:
    with pytest.raises(LearnerError, match="flat_master"):
        a_learner().to_fp16(flat_master=True)
    with pytest.raises(LearnerError, match="at least 1"):
        a_learner().to_fp16(max_noskip=0)


@pytest.mark.parametrize("clip", [0.05, 1e9])
def test_f090_clipping_in_float16_bounds_the_true_gradients(clip: float) -> None:
    watch = type("Late", (Watch,), {"order": 1001})()
    learner = a_learner(model=tiny_model(dropout=0)).to_fp16(loss_scale=4096.0).clip_grad(clip)
    learner.fit(1, lr=1e-5, callbacks=[watch])
    plain = Watch()
    a_learner(model=tiny_model(dropout=0)).fit(1, lr=1e-5, callbacks=[plain])
    assert watch.norms == pytest.approx([min(norm, clip) for norm in plain.norms], rel=0.05)


def test_f090_clip_grad_scales_all_gradients_down_to_the_norm_together_and_zero_ends_it() -> None:
    watch = type("Late", (Watch,), {"order": 5})()
    learner = a_learner().clip_grad(0.5).clip_grad(0.01)
    learner.fit(1, callbacks=[watch])
    assert max(watch.norms) == pytest.approx(0.01, rel=1e-4)
    assert len(learner.callbacks) == 1
    again = type("Late", (Watch,), {"order": 5})()
    learner.clip_grad(0).fit(1, callbacks=[again])
    assert max(again.norms) > 0.05
    with pytest.raises(LearnerError, match="not negative"):
        learner.clip_grad(-1)


def run(root: Path, attempt: int, stop_at: int | None, resume_from: Path | None = None) -> tuple[Learner, Path, bool]:
    learner = a_learner().to_fp16(loss_scale=2.0**30, max_noskip=3)  # overflows at first, then grows
    context = RunContext(
        "job",
        attempt,
        lambda *event: None,
        lambda: stop_at is not None and learner.global_step >= stop_at,
        root,
        checkpoint_every_s=None,
    )
    outcome = run_train(learner, [FitStage(6, LearningRate(value=1e-2))], context, resume_from)
    return learner, outcome.checkpoint.path, outcome.exact


def test_f076_a_resumed_run_goes_on_with_its_scale_to_the_same_bits(tmp_path: Path) -> None:
    whole, _, _ = run(tmp_path / "whole", 1, None)
    _, checkpoint, _ = run(tmp_path / "parts", 1, stop_at=13)
    resumed, _, exact = run(tmp_path / "parts", 2, None, checkpoint)
    assert exact
    assert resumed.mixed_precision.state_dict() == whole.mixed_precision.state_dict()
    assert whole.mixed_precision.loss_scale != 2.0**30  # type: ignore[attr-defined]
    pairs = zip(whole.model.state_dict().values(), resumed.model.state_dict().values(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)
