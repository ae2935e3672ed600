"""Text for a language model: tokens, a vocabulary, and windows of them as batches."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Self

import torch
from torch import Tensor

from learnfleet.trainer.batch import Batch, Loader, PairsOfBatches, Shard
from learnfleet.trainer.dataset import DatasetType
from learnfleet.trainer.errors import LearnerError

UNKNOWN = "xxunk"  # fastai's token for words that are not in the vocabulary
_TOKEN = re.compile(r"\w+|[^\w\s]|\n")


def tokenize(text: str) -> list[str]:
    """Words in lower case, punctuation marks and line ends."""
    return _TOKEN.findall(text.lower())


def vocabulary(tokens: Sequence[str], max_vocab: int = 60_000, min_freq: int = 2) -> list[str]:
    """The unknown token, then the most frequent ones; equally frequent ones in alphabetical order."""
    counts = Counter(tokens)
    frequent = sorted(counts, key=lambda token: (-counts[token], token))
    return [UNKNOWN, *(token for token in frequent if counts[token] >= min_freq)][:max_vocab]


class WindowLoader(PairsOfBatches):
    """Implements `Loader` over one long sequence of token numbers, cut into `batch_size` rows that are read side by
    side, `bptt` tokens at a time: x int64 [rows, bptt], y the tokens that follow. What does not fill the last window
    of all rows is left out. The order is that of the text: a recurrent model carries its state from window to window.
    """

    def __init__(self, tokens: Tensor, batch_size: int, bptt: int, device: torch.device) -> None:
        self.batch_size, self.bptt, self._device, self._shard = batch_size, bptt, device, Shard()
        per_row = (len(tokens) - 1) // batch_size if len(tokens) else 0
        self._windows = per_row // bptt
        used = self._windows * bptt
        starts = torch.arange(batch_size).unsqueeze(1) * per_row + torch.arange(used + 1).unsqueeze(0)
        self._rows = tokens[starts] if used else torch.empty(batch_size, 0, dtype=torch.int64)

    def __len__(self) -> int:
        return self._windows

    def shard(self, shard: Shard) -> None:
        self._shard = shard

    def epoch(self, epoch: int, start_batch: int = 0) -> Iterator[Batch]:
        mine = torch.arange(self.batch_size)[self._shard.rank :: self._shard.world_size]
        rows = self._rows[mine].to(self._device)
        for number in range(start_batch, self._windows if len(mine) else 0):
            window = rows[:, number * self.bptt : (number + 1) * self.bptt + 1]
            yield Batch(window[:, :-1].contiguous(), window[:, 1:].contiguous(), mine)


class LanguageModelData:
    """Training and validation text for a language model.

    Attributes:
        classes, vocab: the tokens, in the order of their numbers.
    """

    def __init__(
        self,
        train: Tensor,
        valid: Tensor,
        vocab: Sequence[str],
        bs: int = 64,
        bptt: int = 70,
        path: Path | str = ".",
        device: torch.device | None = None,
    ) -> None:
        self.classes = self.vocab = list(vocab)
        self.path, self.device = Path(path), device or torch.device("cpu")
        self.train_dl: Loader = WindowLoader(train, bs, bptt, self.device)
        self._valid = WindowLoader(valid, bs, bptt, self.device)
        self.train_tokens, self.valid_tokens = train, valid

    @classmethod
    def from_text(
        cls,
        text: str,
        valid_pct: float = 0.1,
        bs: int = 64,
        bptt: int = 70,
        max_vocab: int = 60_000,
        min_freq: int = 2,
        path: Path | str = ".",
        device: torch.device | None = None,
    ) -> Self:
        """The end of the text validates. Raises LearnerError for a text too short for one window."""
        tokens = tokenize(text)
        cut = len(tokens) - int(valid_pct * len(tokens))
        vocab = vocabulary(tokens[:cut], max_vocab, min_freq)
        numbers = {token: number for number, token in enumerate(vocab)}
        ids = torch.tensor([numbers.get(token, 0) for token in tokens], dtype=torch.int64)
        if (cut - 1) // bs < bptt:
            raise LearnerError("text", f"{cut} tokens are not one window of {bptt} tokens in {bs} rows")
        return cls(ids[:cut], ids[cut:], vocab, bs, bptt, path, device)

    @property
    def c(self) -> int:
        """Size of the vocabulary."""
        return len(self.vocab)

    @property
    def valid_dl(self) -> Loader | None:
        return self._valid if len(self._valid) else None

    def dl(self, ds_type: DatasetType) -> Loader:
        """The loader of that part. Raises LearnerError if there is none."""
        if ds_type in (DatasetType.Train, DatasetType.Fix):
            return self.train_dl
        if ds_type is DatasetType.Valid and self.valid_dl is not None:
            return self.valid_dl
        raise LearnerError("ds_type", f"this text has no {ds_type.name} part")

    def shard(self, shard: Shard) -> None:
        """From the next epoch on, all loaders yield this rank's rows of every batch."""
        self.train_dl.shard(shard)
        self._valid.shard(shard)

    def textify(self, numbers: Tensor) -> str:
        """Tokens as text."""
        return " ".join(self.vocab[number] for number in numbers.tolist())
