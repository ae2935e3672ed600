"""How the others train, for the benchmarks of loops and epochs: one optimiser, one recipe of each, nothing printed."""

from __future__ import annotations

import logging
import warnings
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn


def quiet() -> None:
    """Have nobody advise on loaders or GPUs."""
    for name in ("lightning.pytorch", "lightning.pytorch.utilities.rank_zero", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.ERROR)
    warnings.filterwarnings("ignore")


def adam_w(model: nn.Module) -> torch.optim.Optimizer:
    return torch.optim.AdamW(model.parameters(), 1e-3, (0.9, 0.99), weight_decay=0.01, fused=True)


def fastai_learner(loaders: Any, model: nn.Module) -> Any:
    import fastai.callback.progress  # noqa: F401  # adds no_bar
    from fastai.learner import Learner
    from fastai.metrics import accuracy
    from fastai.optimizer import OptimWrapper

    optimizer = partial(OptimWrapper, opt=partial(torch.optim.AdamW, betas=(0.9, 0.99), fused=True))
    return Learner(loaders, model, nn.functional.cross_entropy, optimizer, lr=1e-3, metrics=accuracy)


def fit_fastai(learner: Any) -> None:
    """One epoch."""
    with learner.no_bar(), learner.no_logging():
        learner.fit(1)


def lightning_module(network: nn.Module) -> Any:
    """Cross entropy of ten classes and accuracy, logged as its documentation does."""
    import lightning
    from torchmetrics.classification import MulticlassAccuracy

    class Module(lightning.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.network, self.accuracy = network, MulticlassAccuracy(10, average="micro")

        def training_step(self, batch: tuple[Tensor, Tensor], index: int) -> Tensor:
            loss = nn.functional.cross_entropy(self.network(batch[0]), batch[1])
            self.log("train_loss", loss)
            return loss

        def validation_step(self, batch: tuple[Tensor, Tensor], index: int) -> None:
            output = self.network(batch[0])
            self.accuracy(output, batch[1])
            self.log("valid_loss", nn.functional.cross_entropy(output, batch[1]))
            self.log("accuracy", self.accuracy)

        def configure_optimizers(self) -> torch.optim.Optimizer:
            return adam_w(self.network)

    return Module()


def fit_lightning(module: Any, train: Any, valid: Any) -> None:
    """One epoch."""
    import lightning

    trainer = lightning.Trainer(
        accelerator="cpu",
        devices=1,
        max_epochs=1,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
    )
    trainer.fit(module, train, valid)
