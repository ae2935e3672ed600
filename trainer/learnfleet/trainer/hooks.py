"""Hooks on modules: what flows through a model while it runs (fastai v1 `Hook`, `HookCallback`, `ActivationStats`)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, ClassVar, Self

import torch
from torch import Tensor, nn

from learnfleet.trainer.callback import LearnerCallback
from learnfleet.trainer.state import TrainState

if TYPE_CHECKING:
    from learnfleet.trainer.learner import Learner

HookFunction = Callable[[nn.Module, Any, Any], Any]


class Hook:
    """Keeps in `stored` what a function makes of a module's input and output at its last call.

    Args:
        is_forward: False listens to the gradients of the backward pass.
        detach: give the function tensors without their graph.
    """

    def __init__(
        self, module: nn.Module, hook_func: HookFunction, is_forward: bool = True, detach: bool = True
    ) -> None:
        self.hook_func, self.detach, self.stored = hook_func, detach, None
        register = module.register_forward_hook if is_forward else module.register_full_backward_hook
        self._handle = register(self._hear)

    def _hear(self, module: nn.Module, given: Any, output: Any) -> None:
        if self.detach:
            given, output = detached(given), detached(output)
        self.stored = self.hook_func(module, given, output)

    def remove(self) -> None:
        """Stop listening. Safe to repeat."""
        self._handle.remove()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.remove()


def detached(values: Any) -> Any:
    """Tensors, or tuples and lists of them, without their graph."""
    if isinstance(values, Tensor):
        return values.detach()
    return type(values)(detached(value) for value in values) if isinstance(values, tuple | list) else values


class Hooks:
    """A hook on each of several modules."""

    def __init__(
        self, modules: Iterable[nn.Module], hook_func: HookFunction, is_forward: bool = True, detach: bool = True
    ) -> None:
        self.hooks = [Hook(module, hook_func, is_forward, detach) for module in modules]

    def __getitem__(self, index: int) -> Hook:
        return self.hooks[index]

    def __len__(self) -> int:
        return len(self.hooks)

    @property
    def stored(self) -> list[Any]:
        return [hook.stored for hook in self.hooks]

    def remove(self) -> None:
        for hook in self.hooks:
            hook.remove()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.remove()


def hook_output(module: nn.Module, detach: bool = True, grad: bool = False) -> Hook:
    """A hook that keeps a module's output (`grad`: the gradient of its output)."""
    if grad:
        return Hook(module, lambda _, __, gradients: gradients[0], is_forward=False, detach=detach)
    return Hook(module, lambda _, __, output: output, detach=detach)


def hook_outputs(modules: Iterable[nn.Module], detach: bool = True) -> Hooks:
    """Hooks that keep the outputs of several modules."""
    return Hooks(modules, lambda _, __, output: output, detach=detach)


def leaves(model: nn.Module) -> list[nn.Module]:
    """Modules without children, in the model's order."""
    return [module for module in model.modules() if not any(True for _ in module.children())]


def leaves_with_parameters(model: nn.Module) -> list[nn.Module]:
    """Modules without children that hold parameters."""
    return [module for module in leaves(model) if next(module.parameters(), None) is not None]


def model_sizes(model: nn.Module, size: tuple[int, int] = (64, 64), channels: int = 3) -> list[torch.Size]:
    """Shapes of what the model's children give for one blank picture of `size`."""
    was_training = model.training
    device = next(model.parameters()).device
    with hook_outputs(model.children()) as hooks, torch.no_grad():
        model.eval()(torch.zeros(1, channels, *size, device=device))
        shapes = [stored.shape for stored in hooks.stored]
    model.train(was_training)
    return shapes


class HookCallback(LearnerCallback):
    """Listens to modules for the time of a fit. A subclass says in `hook` what is kept, and finds it in `hooks.stored`.

    Args:
        modules: default: all modules without children that hold parameters.
        do_remove: stop listening at the end of the fit.
    """

    def __init__(self, learn: Learner, modules: Sequence[nn.Module] | None = None, do_remove: bool = True) -> None:
        super().__init__(learn)
        self.modules, self.do_remove = list(modules) if modules is not None else None, do_remove
        self.hooks: Hooks | None = None

    def hook(self, module: nn.Module, given: Any, output: Any) -> Any:
        """What is kept of a module's input and output."""
        return output

    def on_train_begin(self, state: TrainState) -> None:
        if self.hooks is not None:
            self.hooks.remove()
        self.hooks = Hooks(self.modules or leaves_with_parameters(state.learner.model), self.hook)

    def on_train_end(self, state: TrainState) -> None:
        if self.do_remove:
            self.remove()

    def remove(self) -> None:
        """Stop listening."""
        if self.hooks is not None:
            self.hooks.remove()
            self.hooks = None


class ActivationStats(HookCallback):
    """Mean and std (torch's, unbiased) of what each module gives, a batch at a time.

    Attributes:
        stats: after a fit: float32 [2, modules, training batches]; mean, then std.
    """

    order: ClassVar[int] = 5

    def __init__(self, learn: Learner, modules: Sequence[nn.Module] | None = None, do_remove: bool = True) -> None:
        super().__init__(learn, modules, do_remove)
        self._batches: list[Tensor] = []
        self.stats = torch.empty(2, 0, 0)

    def hook(self, module: nn.Module, given: Any, output: Any) -> Any:
        first = output[0] if isinstance(output, tuple | list) else output
        return first.mean(), first.std()

    def on_train_begin(self, state: TrainState) -> None:
        super().on_train_begin(state)
        self._batches = []

    def on_batch_end(self, state: TrainState) -> None:
        if state.train and self.hooks is not None:
            self._batches.append(torch.tensor([[float(m), float(s)] for m, s in self.hooks.stored]))

    def on_train_end(self, state: TrainState) -> None:
        super().on_train_end(state)
        if self._batches:
            self.stats = torch.stack(self._batches, dim=2).permute(1, 0, 2)

    def tensors(self) -> dict[str, Tensor]:
        return {"batches": torch.stack(self._batches)} if self._batches else {}

    def load_tensors(self, tensors: dict[str, Tensor]) -> None:
        self._batches = list(tensors["batches"])
