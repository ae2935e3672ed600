"""Whether what is given one a layer group is given for as many groups as there are, where that can be known."""

from __future__ import annotations

from collections.abc import Iterator

from learnfleet.server.rpc.violations import Violations
from learnfleet.trainer.group_counts import known_group_count
from learnfleet.trainer.spec import LearnerSpec
from learnfleet.v1 import job_pb2, training_service_pb2

_RATES = ("lr", "max_lr", "lr_max", "start_lr", "end_lr")


def check_groups(request: training_service_pb2.TrainRequest, spec: LearnerSpec, found: Violations) -> None:
    """Note learning rates, weight decays and freezes that do not fit. Says nothing where only the workers can know."""
    count = known_group_count(spec)
    if count is None:
        return
    given = [(f"stages[{i}]", stage) for i, stage in enumerate(request.stages)]
    lists = [("learner_spec.optimizer.wd_per_group", len(request.learner_spec.optimizer.wd_per_group))]
    lists += [item for field, stage in given for item in _lists_of(stage, field)]
    for field, length in lists:
        told = f"has {length} values, but {spec.architecture} has {count} layer groups; give one, or {count}"
        found.check(length in (0, 1, count), field, told)
    for field, stage in given:
        if stage.WhichOneof("action") == "freeze_to":
            n = stage.freeze_to.n
            told = f"is {n}, but {spec.architecture} has {count} layer groups; must be from {-count} to {count - 1}"
            found.check(-count <= n < count, f"{field}.freeze_to.n", told)


def _lists_of(stage: job_pb2.Stage, field: str) -> Iterator[tuple[str, int]]:
    """(field, length) of every list of one a group; 0 where there is none."""
    action = stage.WhichOneof("action")
    if action is None:
        return
    message = getattr(stage, action)
    names = message.DESCRIPTOR.fields_by_name
    for name in _RATES:
        if name in names and getattr(message, name).WhichOneof("form") == "values":
            yield f"{field}.{action}.{name}.values", len(getattr(message, name).values.values)
    if "wd_per_group" in names:
        yield f"{field}.{action}.wd_per_group", len(message.wd_per_group)
