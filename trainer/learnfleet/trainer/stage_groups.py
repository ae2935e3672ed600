"""What of the stages must fit the number of layer groups, told before anything is trained. Imports no torch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields

from learnfleet.trainer.stage_spec import FreezeStage, LearningRate, Stage, kind_of

_FITS_EVERY_LEARNER = (-1, 0)  # freeze(), unfreeze()


@dataclass(frozen=True)
class Misfit:
    """A field that does not fit the learner."""

    field: str  # as a request names it: `stages[1].fit.lr.values`
    message: str


def list_misfit(field: str, values: Sequence[float], groups: int) -> Misfit | None:
    """What is wrong with a list that must have one value, or one for each of `groups` layer groups."""
    if len(values) in (1, groups):
        return None
    right = f"1 value, or {groups}: one a layer group" if groups > 1 else "1 value"
    return Misfit(field, f"has {len(values)} values, but the learner has {_count(groups)}; give {right}")


def misfits(stages: Sequence[Stage], groups: int) -> list[Misfit]:
    """Rates and weight decays of a wrong length, and places to freeze to that are not there, in the stages' order."""
    return [found for index, stage in enumerate(stages) for found in _misfits(f"stages[{index}]", stage, groups)]


def _misfits(prefix: str, stage: Stage, groups: int) -> Iterator[Misfit]:
    place = f"{prefix}.{kind_of(stage)}"
    if isinstance(stage, FreezeStage) and not -groups <= stage.n < groups:
        yield Misfit(
            f"{place}.n", f"is {stage.n}, but the learner has {_count(groups)}; give -{groups} to {groups - 1}"
        )
    for name, values in _lists(stage):
        found = list_misfit(f"{place}.{name}", values, groups)
        if found is not None:
            yield found


def depend_on_groups(stages: Sequence[Stage]) -> bool:
    """Whether there are learners that the stages do not fit."""
    return any(
        (isinstance(stage, FreezeStage) and stage.n not in _FITS_EVERY_LEARNER)
        or any(len(values) > 1 for _, values in _lists(stage))
        for stage in stages
    )


def _lists(stage: Stage) -> Iterator[tuple[str, Sequence[float]]]:
    for item in fields(stage):
        value = getattr(stage, item.name)
        if isinstance(value, LearningRate) and value.values is not None:
            yield f"{item.name}.values", value.values
        elif item.name == "wd" and isinstance(value, tuple):
            yield "wd_per_group", value


def _count(groups: int) -> str:
    return f"{groups} layer groups" if groups > 1 else "1 layer group"
