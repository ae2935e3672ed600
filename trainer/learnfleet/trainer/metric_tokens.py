"""Metrics of texts, as token numbers, over a whole data set."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from learnfleet.trainer.loss_functions import flat_rows
from learnfleet.trainer.metric_counts import Counts
from learnfleet.trainer.metrics import misfit


class Perplexity(Counts):
    """exp of the mean cross entropy of all tokens, [N, steps, C] against [N, steps]."""

    def count(self, output: Tensor, target: Tensor) -> Tensor:
        total = F.cross_entropy(flat_rows(output, -1).float(), target.reshape(-1), reduction="sum")
        return torch.stack([total.double(), total.new_full((), target.numel(), dtype=torch.float64)])

    def value(self, sums: Tensor) -> float:
        return float((sums[0] / sums[1]).exp()) if sums.numel() else math.nan


class CorpusBLEUMetric:
    """BLEU of token numbers [N, steps] against targets [N, steps], over the whole corpus (Papineni et al. 2002).

    Args:
        n_grams: up to this length.
        pad: tokens of this number end a text. None: none does.
    """

    name = "corpus_bleu_metric"

    def __init__(self, n_grams: int = 4, pad: int | None = None) -> None:
        self.n_grams, self.pad = n_grams, pad
        self.reset()

    def reset(self) -> None:
        self._sums = torch.zeros(2 + 2 * self.n_grams, dtype=torch.float64)

    def update(self, output: Tensor, target: Tensor) -> None:
        predicted = output.argmax(dim=-1) if output.ndim == target.ndim + 1 else output
        if len(predicted) != len(target):
            raise misfit(self.name, output, target)
        for candidate, reference in zip(predicted.tolist(), target.tolist(), strict=True):
            self._note(self._cut(candidate), self._cut(reference))

    def _cut(self, tokens: list[int]) -> list[int]:
        return tokens[: tokens.index(self.pad)] if self.pad is not None and self.pad in tokens else tokens

    def _note(self, candidate: list[int], reference: list[int]) -> None:
        counts = [float(len(candidate)), float(len(reference))]
        for n in range(1, self.n_grams + 1):
            have, want = _grams(candidate, n), _grams(reference, n)
            counts += [sum(min(count, want.get(gram, 0)) for gram, count in have.items()), sum(have.values())]
        self._sums += torch.tensor(counts, dtype=torch.float64)

    def sums(self) -> Tensor:
        return self._sums

    def value(self, sums: Tensor) -> float:
        length, wanted, *pairs = sums.tolist()
        hits, totals = pairs[::2], pairs[1::2]
        if not length or min(hits) == 0:
            return 0.0
        brevity = 1.0 if length > wanted else math.exp(1 - wanted / length)
        logs = [math.log(hit / total) for hit, total in zip(hits, totals, strict=True)]
        return brevity * math.exp(sum(logs) / len(logs))


def _grams(tokens: list[int], n: int) -> dict[tuple[int, ...], int]:
    found: dict[tuple[int, ...], int] = {}
    for start in range(len(tokens) - n + 1):
        gram = tuple(tokens[start : start + n])
        found[gram] = found.get(gram, 0) + 1
    return found


ALL: tuple[Callable[..., object], ...] = (
    CorpusBLEUMetric,
    Perplexity,
)
