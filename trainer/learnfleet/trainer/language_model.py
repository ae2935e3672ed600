"""A small recurrent language model, after AWD-LSTM (Merity, Keskar, Socher 2017, arXiv:1708.02182)."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from learnfleet.trainer.loss_functions import CrossEntropyFlat
from learnfleet.trainer.rnn_trainer import RNNTrainer
from learnfleet.trainer.text import LanguageModelData

if TYPE_CHECKING:
    from learnfleet.trainer.learner import Learner

State = tuple[Tensor, Tensor]


class SequenceDropout(nn.Module):
    """Drops the same features at all steps of a sequence [N, steps, features]."""

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = p

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.p == 0:
            return x
        mask = x.new_empty(x.shape[0], 1, x.shape[2]).bernoulli_(1 - self.p) / (1 - self.p)
        return x * mask


class LSTMLanguageModel(nn.Module):
    """Token numbers [N, steps] to (scores of the next token [N, steps, vocabulary], raw outputs, dropped outputs).

    The last two are lists of [N, steps, features], one a layer. The state is carried from call to call until `reset`.
    The decoder's weights are the embedding's.
    """

    def __init__(
        self, vocab_size: int, emb_sz: int = 400, n_hid: int = 1152, n_layers: int = 3, drop_mult: float = 1.0
    ) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocab_size, emb_sz)
        nn.init.uniform_(self.embedding.weight, -0.1, 0.1)
        sizes = [emb_sz, *[n_hid] * (n_layers - 1), emb_sz]
        self.layers = nn.ModuleList(nn.LSTM(a, b, batch_first=True) for a, b in itertools.pairwise(sizes))
        self.input_dropout = SequenceDropout(0.25 * drop_mult)
        self.dropouts = nn.ModuleList(SequenceDropout(0.15 * drop_mult) for _ in self.layers)
        self.bias = nn.Parameter(torch.zeros(vocab_size))
        self._state: list[State] = []

    def reset(self) -> None:
        """Forget what was read."""
        self._state = []

    def forward(self, tokens: Tensor) -> tuple[Tensor, list[Tensor], list[Tensor]]:
        x = self.input_dropout(self.embedding(tokens))
        if self._state and self._state[0][0].shape[1] != len(tokens):
            self.reset()  # another number of rows is another text
        raw, dropped, states = [], [], []
        for index, (layer, dropout) in enumerate(zip(self.layers, self.dropouts, strict=True)):
            x, (hidden, cell) = layer(x, self._state[index] if self._state else None)
            states.append((hidden.detach(), cell.detach()))
            raw.append(x)
            x = dropout(x)
            dropped.append(x)
        self._state = states
        return nn.functional.linear(x, self.embedding.weight, self.bias), raw, dropped


def language_model_learner(
    data: LanguageModelData,
    emb_sz: int = 400,
    n_hid: int = 1152,
    n_layers: int = 3,
    drop_mult: float = 1.0,
    alpha: float = 2.0,
    beta: float = 1.0,
    *,
    metrics: object = None,
    path: Path | str | None = None,
    silent: bool = False,
    seed: int = 0,
) -> Learner:
    """A Learner of an LSTM language model with `RNNTrainer(alpha, beta)` among its callbacks (fastai v1 RNNLearner)."""
    from learnfleet.trainer.learner import Learner

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = LSTMLanguageModel(data.c, emb_sz, n_hid, n_layers, drop_mult)
    learner = Learner(data, model, loss_func=CrossEntropyFlat(), metrics=metrics, path=path, silent=silent, seed=seed)
    learner.callbacks.append(RNNTrainer(learner, alpha, beta))
    return learner
