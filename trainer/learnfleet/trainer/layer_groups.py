"""Layer groups: the parts of a model that are frozen together and have a learning rate of their own."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from torch import nn

from learnfleet.trainer.head import BATCH_NORMS

_NORMS = (*BATCH_NORMS, nn.LayerNorm, nn.GroupNorm)
_WITH_BIAS = (nn.Linear, nn.modules.conv._ConvNd)
SplitOn = Callable[[nn.Module], Sequence[nn.Module]] | Sequence[nn.Module]


@dataclass(frozen=True)
class NamedParameter:
    """A parameter and its name in the model."""

    name: str
    parameter: nn.Parameter
    decays: bool  # False: of a normalisation layer, or a bias of a linear or convolution layer


@dataclass(frozen=True)
class LayerGroup:
    """Modules with the parameters they hold themselves, by their names in the model."""

    modules: tuple[tuple[str, nn.Module], ...]

    def parameters(self) -> Iterator[NamedParameter]:
        """Every parameter of the group, in the model's order."""
        for prefix, module in self.modules:
            for name, parameter in module.named_parameters(recurse=False):
                full_name = f"{prefix}.{name}" if prefix else name
                yield NamedParameter(full_name, parameter, _decays(module, name))

    def set_trainable(self, trainable: bool, *, train_bn: bool) -> None:
        """Freeze or unfreeze. With `train_bn` BatchNorm layers of a frozen group stay trainable."""
        for _, module in self.modules:
            keep = train_bn and isinstance(module, BATCH_NORMS)
            for parameter in module.parameters(recurse=False):
                parameter.requires_grad_(trainable or keep)

    def hold_statistics(self) -> None:
        """BatchNorm layers go on with the statistics they have, and do not change them."""
        for _, module in self.modules:
            if isinstance(module, BATCH_NORMS):
                module.eval()

    def count_trainable(self) -> int:
        return sum(item.parameter.numel() for item in self.parameters() if item.parameter.requires_grad)


def _decays(module: nn.Module, name: str) -> bool:
    return not isinstance(module, _NORMS) and not (name == "bias" and isinstance(module, _WITH_BIAS))


def split_model(model: nn.Module, split_on: SplitOn | None = None) -> tuple[LayerGroup, ...]:
    """Cut the model, in the order of its modules, before each module of `split_on`: n boundaries give n + 1 groups.

    A boundary with nothing before it starts the first group. None makes one group. A parameter that is used by
    several modules belongs to the first. Raises ValueError when a boundary is not in the model.
    """
    boundaries = {id(module) for module in _boundaries(model, split_on)}
    groups: list[list[tuple[str, nn.Module]]] = [[]]
    for name, module in model.named_modules():
        if id(module) in boundaries:
            boundaries.discard(id(module))
            if groups[-1]:
                groups.append([])
        if next(module.parameters(recurse=False), None) is not None:
            groups[-1].append((name, module))
    if boundaries:
        raise ValueError(f"split_on names {len(boundaries)} module(s) that are not in the model")
    return tuple(LayerGroup(tuple(group)) for group in groups if group)


def _boundaries(model: nn.Module, split_on: SplitOn | None) -> Sequence[nn.Module]:
    if split_on is None:
        return ()
    return split_on if isinstance(split_on, Sequence) else split_on(model)
