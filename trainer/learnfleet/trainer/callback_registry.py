"""Callbacks by name: what a spec may ask for.

Other packages add theirs by the entry-point group `learnfleet.callbacks`: a name, and a class or function that makes a
Callback. One whose first argument is called `learn` is given the learner there.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING, Any

from learnfleet.trainer.arguments import arguments_of, check_arguments
from learnfleet.trainer.callback import Callback
from learnfleet.trainer.errors import LearnerError
from learnfleet.trainer.gradients import AccumulateScheduler, BnFreeze, GradientAccumulation, GradientClipping
from learnfleet.trainer.mixed_precision import MixedPrecision
from learnfleet.trainer.named_callbacks import NAMED
from learnfleet.trainer.schedules import FlatCosAnnealScheduler, OneCycleScheduler, general_scheduler

if TYPE_CHECKING:
    from learnfleet.trainer.learner import Learner

ENTRY_POINT_GROUP = "learnfleet.callbacks"

_BUILT_IN: dict[str, Callable[..., Callback]] = {
    "accumulate": AccumulateScheduler,
    "bn_freeze": BnFreeze,
    "flat_cos": FlatCosAnnealScheduler,
    "general_scheduler": general_scheduler,
    "gradient_accumulation": GradientAccumulation,
    "gradient_clipping": GradientClipping,
    "mixed_precision": MixedPrecision,
    "one_cycle": OneCycleScheduler,
    **NAMED,
}


def _plugins() -> dict[str, EntryPoint]:
    return {entry.name: entry for entry in entry_points(group=ENTRY_POINT_GROUP)}


def available_callbacks() -> dict[str, list[dict[str, Any]]]:
    """Each callback's arguments: name, type and default (and whether they are required), as JSON-able data."""
    found: Mapping[str, Any] = {**{name: entry.load() for name, entry in _plugins().items()}, **_BUILT_IN}
    return {name: [item.describe() for item in arguments_of(make).values()] for name, make in sorted(found.items())}


def build_callback(name: str, arguments: Mapping[str, Any] | None, learner: Learner) -> Callback:
    """A registered callback with its arguments. Raises LearnerError for a name or argument that is not known."""
    make = _BUILT_IN.get(name) or (_plugins()[name].load() if name in _plugins() else None)
    if make is None:
        raise LearnerError("callbacks", f"there is no callback {name!r}; known: {', '.join(available_callbacks())}")
    checked = check_arguments(f"callbacks.{name}", make, arguments or {})
    callback = make(learner, **checked) if _takes_learner(make) else make(**checked)
    if not isinstance(callback, Callback):
        raise LearnerError(f"callbacks.{name}", f"it makes a {type(callback).__name__}, which is no Callback")
    return callback


def _takes_learner(make: Callable[..., object]) -> bool:
    return next(iter(inspect.signature(make).parameters), None) == "learn"
