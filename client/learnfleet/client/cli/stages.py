"""Stages as text: `fit_one_cycle(4, lr=1e-3)`, `unfreeze`, `fit(2, lr=slice(1e-5, 1e-3))`."""

from __future__ import annotations

import ast
from typing import Any

from learnfleet.client.specs import Fit, FitOneCycle, FreezeTo, Stage

_EXAMPLES = "fit(2), fit_one_cycle(4, lr=1e-3), fit(2, lr=slice(1e-5, 1e-3)), freeze, unfreeze, freeze_to(1)"
_ARGUMENTS = {
    "fit": ("lr", "wd"),
    "fit_one_cycle": ("lr", "moms", "div_factor", "pct_start", "final_div", "wd"),
}


def parse_stage(text: str) -> Stage:
    """The stage that `text` describes. Only numbers, tuples, lists and slice(...) are read; nothing is run.

    Raises ValueError saying what would be right.
    """
    try:
        tree = ast.parse(text.strip(), mode="eval").body
        if isinstance(tree, ast.Name):
            return _stage(tree.id, [], {})
        if isinstance(tree, ast.Call) and isinstance(tree.func, ast.Name):
            keywords = {str(item.arg): _value(item.value) for item in tree.keywords}
            return _stage(tree.func.id, [_value(item) for item in tree.args], keywords)
    except (SyntaxError, ValueError, TypeError) as error:
        raise ValueError(f"stage '{text}' cannot be read ({error}); examples: {_EXAMPLES}") from None
    raise ValueError(f"stage '{text}' cannot be read; examples: {_EXAMPLES}")


def _stage(name: str, arguments: list[Any], keywords: dict[str, Any]) -> Stage:
    if name == "freeze" and not arguments and not keywords:
        return FreezeTo(-1)
    if name == "unfreeze" and not arguments and not keywords:
        return FreezeTo(0)
    if name == "freeze_to" and len(arguments) == 1 and not keywords:
        return FreezeTo(int(arguments[0]))
    if name not in _ARGUMENTS:
        raise ValueError(f"there is no stage {name}")
    if len(arguments) == 2:
        keywords = {"lr": arguments.pop(), **keywords}
    unknown = sorted(set(keywords) - set(_ARGUMENTS[name]))
    if len(arguments) != 1 or unknown:
        raise ValueError(f"{name} takes the number of epochs and {', '.join(_ARGUMENTS[name])}")
    epochs = arguments[0]
    if not isinstance(epochs, int):
        raise ValueError("epochs must be a whole number")
    if name == "fit":
        return Fit(epochs, keywords.get("lr", slice(3e-3)), keywords.get("wd"))
    default = FitOneCycle(epochs)
    return FitOneCycle(
        epochs,
        keywords.get("lr", default.max_lr),
        keywords.get("moms", default.moms),
        keywords.get("div_factor", default.div_factor),
        keywords.get("pct_start", default.pct_start),
        keywords.get("final_div"),
        keywords.get("wd"),
    )


def parse_lr(text: str) -> float | slice | list[float]:
    """A number, `slice(a, b)` or a list. Raises ValueError."""
    try:
        value: float | slice | list[float] = _value(ast.parse(text.strip(), mode="eval").body)
    except (SyntaxError, ValueError) as error:
        raise ValueError(f"learning rate '{text}' must be like 1e-3, slice(1e-5, 1e-3) or [1e-4, 1e-3]") from error
    return value


def _value(node: ast.expr) -> Any:
    is_slice = isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "slice"
    if is_slice:
        assert isinstance(node, ast.Call)
        return slice(*(ast.literal_eval(argument) for argument in node.args))
    return ast.literal_eval(node)
