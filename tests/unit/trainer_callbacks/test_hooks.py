"""Hooks, activation statistics and the model summary."""

from __future__ import annotations

from typing import Any

import torch
from support.memory_data import MemoryData, a_learner, tiny_model
from torch import nn

from learnfleet.trainer.hooks import (
    ActivationStats,
    HookCallback,
    Hooks,
    hook_output,
    hook_outputs,
    leaves_with_parameters,
    model_sizes,
)


def test_f077_a_hook_keeps_what_a_module_gives_and_can_be_removed() -> None:
    model, x = tiny_model().eval(), torch.randn(2, 3, 8, 8)
    with hook_output(model[0]) as hook:
        model(x)
        assert torch.equal(hook.stored, model[0](x))
        assert not hook.stored.requires_grad
    hook.stored = None
    model(x)
    assert hook.stored is None


def test_f077_gradients_can_be_listened_to() -> None:
    model = nn.Sequential(nn.Linear(3, 2), nn.Linear(2, 1))
    with hook_output(model[0], grad=True) as hook:
        model(torch.ones(4, 3)).sum().backward()
    assert torch.allclose(hook.stored, model[1].weight.detach().expand(4, 2))


def test_f077_shapes_of_a_models_children() -> None:
    model = tiny_model()
    assert [tuple(size) for size in model_sizes(model, (8, 8))] == [(1, 6, 8, 8), (1, 8, 3, 3), (1, 3)]
    assert model.training


def test_f077_a_callback_listens_for_the_time_of_a_fit_only() -> None:
    class Means(HookCallback):
        def hook(self, module: nn.Module, given: Any, output: Any) -> Any:
            return float(output.mean())

    learner = a_learner()
    callback = Means(learner)
    learner.fit(1, callbacks=[callback])
    assert callback.hooks is None
    kept = Means(learner, modules=[learner.model[0]], do_remove=False)  # type: ignore[index]
    learner.fit(1, callbacks=[kept])
    assert kept.hooks is not None
    assert len(kept.hooks) == 1
    assert isinstance(kept.hooks.stored[0], float)
    kept.remove()


def test_f077_activation_statistics_have_a_row_a_module_and_a_column_a_batch() -> None:
    learner = a_learner(MemoryData(28, 5))
    stats = ActivationStats(learner)
    learner.fit(2, callbacks=[stats])
    modules = leaves_with_parameters(learner.model)
    assert stats.stats.shape == (2, len(modules), 8)
    assert bool((stats.stats[1] >= 0).all())


def test_f077_statistics_are_those_of_the_outputs() -> None:
    class Keeps(ActivationStats):
        def hook(self, module: nn.Module, given: Any, output: Any) -> Any:
            outputs.append(output.clone())
            return super().hook(module, given, output)

    outputs: list[torch.Tensor] = []
    learner = a_learner(MemoryData(14, 0))
    callback = Keeps(learner, modules=[learner.model[1]])  # type: ignore[index]
    learner.fit(1, callbacks=[callback])
    expected = torch.tensor([[float(o.mean()) for o in outputs], [float(o.std()) for o in outputs]])
    assert torch.allclose(callback.stats[:, 0], expected)


def test_f077_several_modules_are_heard_at_once() -> None:
    model = tiny_model().eval()
    with hook_outputs(list(model)) as hooks:
        assert isinstance(hooks, Hooks)
        output = model(torch.zeros(1, 3, 8, 8))
        assert torch.equal(hooks[2].stored, output)


def test_f077_the_summary_counts_what_is_trained() -> None:
    learner = a_learner()
    learner.freeze()
    text = learner.summary()
    total = sum(p.numel() for p in learner.model.parameters())
    trained = sum(p.numel() for p in learner.model.parameters() if p.requires_grad)
    assert f"Total params: {total:,}" in text
    assert f"Total trainable params: {trained:,}" in text
    assert "Conv2d" in text
    assert "[7, 6, 8, 8]" in text
    assert "Loss function: CrossEntropyFlat" in text
