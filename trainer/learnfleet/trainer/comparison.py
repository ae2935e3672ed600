"""Two models on the same data: what got fixed, what broke."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from torch import Tensor

from learnfleet.trainer.errors import LearnerError
from learnfleet.trainer.interpret import Interpretation
from learnfleet.trainer.interpret_any import interpretation_of
from learnfleet.trainer.measures.paired import Paired, paired
from learnfleet.trainer.one_pass import one_pass
from learnfleet.trainer.sliced import right_of

if TYPE_CHECKING:
    from learnfleet.trainer.learner import Learner


@dataclass(frozen=True)
class Difference:
    """An item that one of the models gets right."""

    index: int  # in the dataset
    actual: str
    baseline: str  # what it says
    candidate: str


@dataclass(frozen=True)
class Comparison:
    """A candidate against a baseline. An item of several labels is right if all of them are."""

    counts: Paired
    baseline_accuracy: float
    candidate_accuracy: float
    baseline_loss: float  # mean
    candidate_loss: float
    fixed: tuple[Difference, ...]  # those that the baseline got wrong the worst first
    broken: tuple[Difference, ...]  # those that the candidate gets wrong the worst first


def compare(
    candidate: Interpretation, baseline: Learner, *, tta: bool = False, cache: Path | None = None
) -> Comparison:
    """Run the baseline over what the candidate was run over. Every rank must call.

    Raises LearnerError for models of other classes or data, and for masks and numbers, of which none is simply right.
    """
    before = interpretation_of(baseline, one_pass(baseline, candidate.ds_type, tta=tta, cache=cache), candidate.ds_type)
    if before.classes != candidate.classes:
        told = f"it knows {', '.join(before.classes)}, not {', '.join(candidate.classes)}"
        raise LearnerError("baseline", f"only models of the same classes can be compared: {told}")
    was, now = right_of(before), right_of(candidate)
    if was is None or now is None:
        raise LearnerError(
            "baseline", "only models of classes or labels can be compared item by item: interpret each by itself"
        )
    if before.indices.tolist() != candidate.indices.tolist():
        raise LearnerError("baseline", "the two models were not shown the same items: give them the same data")
    counts = paired(was, now)
    fixed, broken = (~was & now).nonzero().flatten(), (was & ~now).nonzero().flatten()
    return Comparison(
        counts,
        float(was.double().mean()),
        float(now.double().mean()),
        before.mean_loss,
        candidate.mean_loss,
        tuple(_differences(before, candidate, fixed, before.losses)),
        tuple(_differences(before, candidate, broken, candidate.losses)),
    )


def _differences(before: Interpretation, after: Interpretation, rows: Tensor, losses: Tensor) -> Iterator[Difference]:
    for row in rows[losses[rows].argsort(descending=True, stable=True)].tolist():
        was, now = before.describe(row), after.describe(row)
        yield Difference(now.index, now.actual, was.predicted, now.predicted)
