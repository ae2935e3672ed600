"""Whether probabilities are true: of what is said with 80 % confidence, 80 % should be right.

Sources: Naeini, Cooper, Hauskrecht, "Obtaining well calibrated probabilities using Bayesian binning", 2015 (ECE, MCE);
Brier, "Verification of forecasts expressed in terms of probability", 1950; Guo et al., "On calibration of modern neural
networks", 2017, arXiv:1706.04599 (temperature).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

BINS = 15
_TINY = 1e-12  # a probability of 0 has no logarithm
_LOG_LIMIT = math.log(100.0)  # beyond such a temperature the likelihood has no greatest value


@dataclass(frozen=True)
class CalibrationBin:
    """Predictions whose confidence is in (lower, upper]; that of 0 is in the first."""

    lower: float
    upper: float
    confidence: float | None  # their mean; None: there are none
    accuracy: float | None  # share of right ones
    count: int


@dataclass(frozen=True)
class Calibration:
    """How far confidence and accuracy are apart."""

    ece: float  # mean over the predictions of their bin's |accuracy - confidence|
    mce: float  # greatest of them
    brier: float  # mean of sum over classes (probability - truth)^2, in [0, 2]; of labels each is one, in [0, 1]
    temperature: float | None  # logits / temperature have the greatest likelihood; None: there is no such number
    ece_at_temperature: float | None  # of each half of the items with the temperature of the other half
    bins: tuple[CalibrationBin, ...]


def calibration_of_classes(probabilities: Tensor, actual: Tensor, bins: int = BINS) -> Calibration:
    """Of one class an item.

    Args:
        probabilities: [N, C], or [N, 1] of a single output that says yes.
        actual: class indices [N].
    """
    rows, actual = _both_columns(probabilities.double()), actual.long()
    of_actual = rows.gather(1, actual.unsqueeze(1)).squeeze(1)
    brier = float((rows.square().sum(dim=1) - 2 * of_actual + 1).mean())  # with no matrix of zeros and ones
    logits = rows.clamp_min(_TINY).log()

    confidence, given = rows.max(dim=1)
    found = reliability(confidence, given == actual, bins)
    after = _cross_fitted(logits, actual, bins)
    return Calibration(_ece(found), _mce(found), brier, temperature_of(logits, actual), after, found)


def _cross_fitted(logits: Tensor, actual: Tensor, bins: int) -> float | None:
    """ECE of each half of the items with the temperature of the other half; None where one has none."""
    confidence, right = torch.zeros(len(actual), dtype=torch.float64), torch.zeros(len(actual), dtype=torch.bool)
    for fit, seen in ((slice(0, None, 2), slice(1, None, 2)), (slice(1, None, 2), slice(0, None, 2))):
        temperature = temperature_of(logits[fit], actual[fit])
        if temperature is None:
            return None
        confidence[seen], given = (logits[seen] / temperature).softmax(dim=1).max(dim=1)
        right[seen] = given == actual[seen]
    return _ece(reliability(confidence, right, bins))


def calibration_of_labels(probabilities: Tensor, actual: Tensor, bins: int = BINS) -> Calibration:
    """Of any number of labels an item, both [N, C]: each probability is a statement of its own that is true or not."""
    flat, truth = probabilities.double().reshape(-1, 1), (actual > 0.5).reshape(-1)
    found = reliability(flat[:, 0], truth, bins)
    of_each = calibration_of_classes(flat, truth.long(), bins)
    brier = float((flat[:, 0] - truth.double()).square().mean())
    return Calibration(_ece(found), _mce(found), brier, of_each.temperature, None, found)


def reliability(confidence: Tensor, right: Tensor, bins: int = BINS) -> tuple[CalibrationBin, ...]:
    """Predictions [N] sorted into bins of equal width: what is drawn as a reliability diagram."""
    places = (confidence * bins).ceil().long().clamp(1, bins) - 1
    counts = torch.bincount(places, minlength=bins)
    sums = [torch.bincount(places, value.double(), bins) for value in (confidence, right)]
    confident, accurate = ((part / counts.clamp_min(1)).tolist() for part in sums)
    return tuple(
        CalibrationBin(
            place / bins,
            (place + 1) / bins,
            confident[place] if count else None,
            accurate[place] if count else None,
            count,
        )
        for place, count in enumerate(counts.tolist())
    )


def temperature_of(logits: Tensor, actual: Tensor) -> float | None:
    """What logits [N, C] are to be divided by so that the likelihood of the classes [N] is greatest, by LBFGS.

    Logarithms of probabilities do as well: they differ from logits by a number an item. None where all are
    right, as any sharper answer would be likelier still.
    """
    if bool((logits.argmax(dim=1) == actual).all()):
        return None
    log_t = torch.zeros((), dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([log_t], max_iter=60, tolerance_grad=1e-9, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = cross_entropy(logits.double() / log_t.exp(), actual)
        loss.backward()  # type: ignore[no-untyped-call]
        return loss

    with torch.enable_grad():
        optimizer.step(closure)  # type: ignore[no-untyped-call]
    found = float(log_t.detach())
    return math.exp(found) if math.isfinite(found) and abs(found) < _LOG_LIMIT else None


def _both_columns(rows: Tensor) -> Tensor:
    return torch.cat((1 - rows, rows), dim=1) if rows.shape[1] == 1 else rows


def _gaps(bins: tuple[CalibrationBin, ...]) -> list[tuple[float, int]]:
    return [
        (abs(one.accuracy - one.confidence), one.count)
        for one in bins
        if one.accuracy is not None and one.confidence is not None
    ]


def _ece(bins: tuple[CalibrationBin, ...]) -> float:
    gaps = _gaps(bins)
    return sum(gap * count for gap, count in gaps) / max(sum(count for _, count in gaps), 1)


def _mce(bins: tuple[CalibrationBin, ...]) -> float:
    return max((gap for gap, _ in _gaps(bins)), default=0.0)
