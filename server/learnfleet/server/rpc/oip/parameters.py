"""Values of the protocol's parameters: named, typed by whoever sends them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TypeAlias

from learnfleet.oip import inference_pb2 as pb
from learnfleet.server.inference.ports import InferOptions, Output
from learnfleet.server.rpc.violations import Violations

Value: TypeAlias = bool | int | float | str
_NUMBERS = ("int64_param", "uint64_param", "double_param")
_KNOWN = {"tta": ("bool_param",), "thresh": _NUMBERS, "timeout": ("int64_param", "uint64_param")}
_TYPES = {"tta": "a truth value", "thresh": "a number", "timeout": "a whole number (microseconds)"}


def read_options(request: pb.ModelInferRequest, outputs: Iterable[Output], found: Violations) -> InferOptions:
    """How the items of a request are to be predicted."""
    values = _read(request.parameters, found)
    thresh = values.get("thresh")
    if thresh is not None:
        found.number("parameters[thresh]", float(thresh), 0, 1)
    return InferOptions(None if thresh is None else float(thresh), bool(values.get("tta")), frozenset(outputs))


def timeout_s(request: pb.ModelInferRequest) -> float | None:
    """How long the caller waits, if the request says so."""
    parameter = request.parameters.get("timeout")
    kind = parameter.WhichOneof("parameter_choice") if parameter is not None else None
    return getattr(parameter, kind) / 1e6 if kind in _KNOWN["timeout"] and getattr(parameter, kind) > 0 else None


def _read(parameters: Mapping[str, pb.InferParameter], found: Violations) -> dict[str, Value]:
    values: dict[str, Value] = {}
    for name in sorted(parameters):
        field, kind = f"parameters[{name[:40]}]", parameters[name].WhichOneof("parameter_choice")
        if not found.check(name in _KNOWN, field, f"is not known; there are {', '.join(sorted(_KNOWN))}"):
            continue
        if found.check(kind in _KNOWN[name], field, f"must be {_TYPES[name]}"):
            values[name] = getattr(parameters[name], kind or "")
    return values


def refuse_parameters(parameters: Mapping[str, object], field: str, found: Violations) -> None:
    """Of what has none here."""
    for name in sorted(parameters):
        shared = "; shared memory is not offered: send the data in the message" if "shared_memory" in name else ""
        found.add(f"{field}.parameters[{name[:40]}]", f"is not known here{shared}")
