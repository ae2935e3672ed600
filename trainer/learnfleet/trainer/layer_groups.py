"""Layer groups: the parts of a model that are frozen together and have a learning rate of their own."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from torch import nn

from learnfleet.trainer.head import BATCH_NORMS

_NORMS = (*BATCH_NORMS, nn.LayerNorm, nn.GroupNorm)
_WITH_BIAS = (nn.Linear, nn.modules.conv._ConvNd)
Splits = Sequence[nn.Module] | Sequence[Sequence[nn.Module]]
SplitOn = Callable[[nn.Module], Splits | nn.Module] | Splits | nn.Module


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
    """Cut a model into layer groups (fastai v1 `split_model`).

    Args:
        split_on: modules, or a function of the model that gives them: a group begins at each, in the order of the
            model's modules, so n of them give n + 1 groups (n when nothing is before the first). Or a list of lists:
            each list's modules, with all that is in them, are a group. None: one group.

    A parameter that is used by several modules belongs to the first.

    Raises:
        ValueError: what is given is no module nor a list; a module is not in the model; or lists of lists leave
            parameters out or take them twice (fastai v1 would never train the first, and step the second twice).
    """
    splits = _splits(model, split_on)
    modules = [item for item in splits if isinstance(item, nn.Module)]
    if len(modules) == len(splits):
        return _at_boundaries(model, modules)
    return _of_lists(model, [[item] if isinstance(item, nn.Module) else item for item in splits])


def as_layer_groups(model: nn.Module, given: Sequence[LayerGroup | nn.Module] | None) -> tuple[LayerGroup, ...]:
    """What a learner takes as `layer_groups`: those of `split_model`; or modules, each with all that is in it; or None.

    Raises ValueError as `split_model` does.
    """
    modules = [item for item in given or () if isinstance(item, nn.Module)]
    if given is None or modules:
        return split_model(model, [[module] for module in modules] or None)
    return tuple(item for item in given if isinstance(item, LayerGroup))


def _splits(model: nn.Module, split_on: SplitOn | None) -> Splits:
    if split_on is None:
        return ()
    if isinstance(split_on, nn.Module):  # also callable, so this comes first
        return [split_on]
    splits = split_on(model) if callable(split_on) else split_on
    if isinstance(splits, nn.Module):
        return [splits]
    if isinstance(splits, str) or not isinstance(splits, Sequence):
        raise ValueError(f"split_on: {splits!r} is neither a module, nor a list of modules or of lists of them")
    return splits


def _at_boundaries(model: nn.Module, modules: Sequence[nn.Module]) -> tuple[LayerGroup, ...]:
    boundaries = {id(module) for module in modules}
    groups: list[list[tuple[str, nn.Module]]] = [[]]
    for name, module in model.named_modules():
        if id(module) in boundaries:
            boundaries.discard(id(module))
            if groups[-1]:
                groups.append([])
        if _holds_parameters(module):
            groups[-1].append((name, module))
    if boundaries:
        raise ValueError(f"split_on names {len(boundaries)} module(s) that are not in the model")
    return tuple(LayerGroup(tuple(group)) for group in groups if group)


def _holds_parameters(module: nn.Module) -> bool:
    return next(module.parameters(recurse=False), None) is not None


def _of_lists(model: nn.Module, lists: Sequence[Sequence[nn.Module]]) -> tuple[LayerGroup, ...]:
    group_of: dict[int, int] = {}
    for index, modules in enumerate(lists):
        for part in {id(part): part for module in modules for part in module.modules()}.values():
            if group_of.setdefault(id(part), index) != index and _holds_parameters(part):
                raise ValueError(
                    f"split_on has a {type(part).__name__} in list {group_of[id(part)]} and in list {index}"
                )
    groups: list[list[tuple[str, nn.Module]]] = [[] for _ in lists]
    left_out = []
    for name, module in model.named_modules():
        if not _holds_parameters(module):
            continue
        if id(module) in group_of:
            groups[group_of[id(module)]].append((name, module))
        else:
            left_out.append(name or type(module).__name__)
    if left_out:
        raise ValueError(f"split_on leaves out {len(left_out)} module(s) with parameters: {', '.join(left_out[:5])}")
    return tuple(LayerGroup(tuple(group)) for group in groups if group)


def boundary_names(model: nn.Module, split_on: SplitOn) -> tuple[str, ...] | None:
    """The names in the model of the modules that `split_on` begins groups at; None when it is of lists of modules."""
    splits = _splits(model, split_on)
    names = {id(module): name for name, module in model.named_modules()}
    if not all(isinstance(item, nn.Module) and id(item) in names for item in splits):
        return None
    return tuple(names[id(item)] for item in splits)


def boundaries_named(names: Sequence[str]) -> Callable[[nn.Module], list[nn.Module]]:
    """Inverse of `boundary_names`: what to split a model on. The function raises ValueError for a name not in it."""

    def find(model: nn.Module) -> list[nn.Module]:
        known = dict(model.named_modules())
        missing = [name for name in names if name not in known]
        if missing:
            raise ValueError(
                f"the model has no module {', '.join(missing)}; names are as in {', '.join(list(known)[1:4])}"
            )
        return [known[name] for name in names]

    return find


def describe_groups(groups: Sequence[LayerGroup]) -> list[dict[str, int]]:
    """Modules, parameters and trainable parameters of each layer group, as JSON-able data."""
    return [
        {
            "modules": len(group.modules),
            "parameters": sum(item.parameter.numel() for item in group.parameters()),
            "trainable": group.count_trainable(),
        }
        for group in groups
    ]
