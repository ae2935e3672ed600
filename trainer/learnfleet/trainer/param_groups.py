"""torch's parameter groups: their options by one set of names, and fewer of them for a step."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

ParamGroup = dict[str, Any]


def merged_groups(groups: Sequence[ParamGroup]) -> list[ParamGroup]:
    """Neighbouring groups with the same options as one: a step costs the same for each group, however small it is."""
    merged: list[ParamGroup] = []
    options: dict[str, Any] | None = None
    for group in groups:
        own = {key: value for key, value in group.items() if key != "params"}
        if own == options:
            merged[-1]["params"] = [*merged[-1]["params"], *group["params"]]
        else:
            merged.append({**own, "params": group["params"]})
        options = own
    return merged


def read_option(group: ParamGroup, name: str) -> float:
    """A hyper-parameter by learnfleet's name: `mom` is SGD's momentum or Adam's first beta, and so on."""
    if name == "mom":
        return float(group["betas"][0] if "betas" in group else group.get("momentum", 0.0))
    if name == "beta":
        return float(group["betas"][1] if "betas" in group else group["alpha"])
    return float(group[name])


def write_option(group: ParamGroup, name: str, value: float) -> None:
    """Set what `read_option` reads."""
    if name in ("mom", "beta") and "betas" in group:
        first, second = group["betas"]
        group["betas"] = (value, second) if name == "mom" else (first, value)
    else:
        group[{"mom": "momentum", "beta": "alpha"}.get(name, name)] = value
