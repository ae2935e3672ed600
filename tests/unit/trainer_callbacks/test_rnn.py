"""A recurrent learner with AR and TAR, on real text."""

from __future__ import annotations

import math
import pydoc_data.topics
from collections import Counter
from pathlib import Path

import pytest
import torch
from support.ranks import run_ranks
from torch import Tensor, nn

from learnfleet.trainer.callback import Callback, Changes
from learnfleet.trainer.carried_state import carried_state, load_carried_state
from learnfleet.trainer.errors import LearnerError
from learnfleet.trainer.language_model import LSTMLanguageModel, language_model_learner
from learnfleet.trainer.learner import Learner
from learnfleet.trainer.rnn_trainer import RNNTrainer
from learnfleet.trainer.state import TrainState
from learnfleet.trainer.text import LanguageModelData, tokenize, vocabulary


def documentation(characters: int = 60_000) -> str:
    """Documentation that comes with the interpreter."""
    return "\n".join(text for _, text in sorted(pydoc_data.topics.topics.items()))[:characters]


def a_language_learner(text: str, **options: object) -> Learner:
    data = LanguageModelData.from_text(text, bs=8, bptt=16, max_vocab=600)
    sizes = {"emb_sz": 24, "n_hid": 32, "n_layers": 1, "silent": True}
    return language_model_learner(data, **{**sizes, **options})  # type: ignore[arg-type]


def test_f078_a_language_model_beats_the_frequencies_of_words() -> None:
    learner = a_language_learner(documentation(), metrics=["accuracy", "Perplexity"], drop_mult=0.0)
    data = learner.data
    assert isinstance(data, LanguageModelData)
    counts = Counter(data.train_tokens.tolist())
    total = sum(counts.values())
    unigram = [-math.log((counts[t] + 1) / (total + data.c)) for t in data.valid_tokens.tolist()]
    learner.fit_one_cycle(4, 2e-2)
    perplexity = learner.recorder.rows[-1].metrics["perplexity"]
    assert perplexity == pytest.approx(math.exp(learner.recorder.val_losses[-1]), rel=1e-4)
    assert perplexity < 0.8 * math.exp(sum(unigram) / len(unigram))


def test_f078_ar_and_tar_are_added_as_the_formulas_say() -> None:
    class Compares(Callback):
        order = 1

        def __init__(self, trainer: RNNTrainer) -> None:
            self.trainer, self.plain, self.differences = trainer, torch.zeros(()), list[float]()

        def on_backward_begin(self, state: TrainState) -> Changes:
            assert state.loss is not None
            raw, dropped = self.trainer._raw[-1], self.trainer._dropped[-1]
            ar = 2.0 * dropped.pow(2).mean()
            tar = 1.0 * (raw[:, 1:] - raw[:, :-1]).pow(2).mean()
            plain = state.learner.loss_func(state.last_output, state.last_target)
            self.differences.append(float((state.loss - plain - ar - tar).detach().abs()))
            return None

    learner = a_language_learner(documentation(20_000), alpha=2.0, beta=1.0)
    trainer = learner.callbacks[0]
    assert isinstance(trainer, RNNTrainer)
    compares = Compares(trainer)
    learner.fit(1, callbacks=[compares])
    assert compares.differences
    assert max(compares.differences) < 1e-5


def test_f078_sequences_of_one_step_have_no_differences() -> None:
    data = LanguageModelData.from_text(documentation(5_000), bs=4, bptt=1, max_vocab=100)
    learner = language_model_learner(data, emb_sz=8, n_hid=8, n_layers=1, silent=True)
    learner.fit(1)
    assert math.isfinite(learner.recorder.losses[-1])


def test_f078_the_state_goes_on_within_a_text_and_is_forgotten_between_epochs() -> None:
    model = LSTMLanguageModel(20, 8, 8, 1).eval()
    tokens = torch.randint(20, (2, 6))
    whole = model(tokens)[0]
    model.reset()
    halves = torch.cat([model(tokens[:, :3])[0], model(tokens[:, 3:])[0]], dim=1)
    assert torch.allclose(whole, halves, atol=1e-6)
    model.reset()
    assert torch.allclose(model(tokens)[0], whole)


def test_f078_what_a_model_carries_is_found_wherever_its_modules_hold_it() -> None:
    class Inner(nn.LSTM):
        hidden: object

    def make() -> nn.ModuleDict:
        model = nn.ModuleDict({"encoder": Inner(2, 3), "cache": nn.Linear(1, 1)})
        model["cache"].register_buffer("seen", torch.zeros(2), persistent=False)
        return model

    model, other = make(), make()
    model["encoder"].hidden = [(torch.ones(1, 2), torch.zeros(3)), torch.full((2,), 5.0)]
    model["encoder"].shared = [model["cache"].weight]
    model["cache"].seen.fill_(7)
    tensors = carried_state(model)
    assert len(tensors) == 4
    load_carried_state(other, tensors)
    assert str(other["encoder"].hidden) == str(model["encoder"].hidden)
    assert torch.equal(other["cache"].seen, torch.full((2,), 7.0))


def test_f078_a_model_without_reset_or_of_another_form_is_refused() -> None:
    from support.memory_data import a_learner

    learner = a_learner()
    with pytest.raises(LearnerError, match="`reset`"):
        learner.fit(1, callbacks=[RNNTrainer(learner)])

    class Plain(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = nn.Sequential(nn.Flatten(), nn.Linear(192, 3))

        def reset(self) -> None: ...

        def forward(self, x: Tensor) -> Tensor:
            return self.inner(x)

    plain = a_learner(model=Plain())
    with pytest.raises(LearnerError, match="raw outputs"):
        plain.fit(1, callbacks=[RNNTrainer(plain)])


def test_windows_follow_the_text_in_every_row() -> None:
    data = LanguageModelData(torch.arange(101), torch.arange(10), ["a"] * 101, bs=4, bptt=5)
    batches = list(data.train_dl.epoch(0))
    assert len(batches) == len(data.train_dl) == 5
    assert batches[0].x[:, 0].tolist() == [0, 25, 50, 75]
    assert torch.equal(batches[1].x[0], torch.arange(5, 10))
    assert all(torch.equal(batch.y, batch.x + 1) for batch in batches)
    assert torch.equal(next(iter(data.train_dl.epoch(0, start_batch=3))).x, batches[3].x)


def test_a_vocabulary_is_ordered_by_frequency() -> None:
    tokens = tokenize("The cat. The dog, the CAT!")
    assert tokens[:4] == ["the", "cat", ".", "the"]
    assert vocabulary(tokens, max_vocab=3, min_freq=2) == ["xxunk", "the", "cat"]


def _on_ranks(rank: int, folder: Path) -> list[float]:
    learner = a_language_learner(documentation(20_000))
    learner.fit(1, 1e-2)
    return [learner.recorder.losses[-1], learner.recorder.val_losses[-1]]


def test_f078_two_ranks_read_their_rows_of_the_text(tmp_path: Path) -> None:
    first, second = run_ranks([_on_ranks], tmp_path)["_on_ranks"]
    assert first == second
