"""The remote recorder's plots, drawn from events and without torch."""

from __future__ import annotations

import sys
from datetime import datetime

import numpy as np
import pytest

from learnfleet.client.events import BatchFinished, EpochFinished, Event, LrFound, Payload
from learnfleet.client.lr_rules import of_shown
from learnfleet.client.recorder import Recorder
from learnfleet.client.results import LrFinding
from learnfleet.trainer.lr_suggest import min_gradient, minimum

FINDING = LrFinding(0, (1e-4, 1e-3, 1e-2, 1e-1), (1.0, 0.8, 0.4, 2.0), {"min_gradient": 5e-3, "valley": 2e-3})


def batch(step: int) -> BatchFinished:
    return BatchFinished(0, 0, 2, step, 10, step, 1 / step, step * 1e-3, 0.9, 100.0, 1.0)


def a_recorder(*payloads: Payload) -> Recorder:
    recorder = Recorder()
    for sequence, payload in enumerate(payloads, start=1):
        recorder.take(Event(sequence, datetime(2030, 1, 1), 1, "", payload))
    return recorder


@pytest.fixture
def fitted() -> Recorder:
    rows = [EpochFinished(0, i, 10 * (i + 1), 0.5, 0.4, {"accuracy": 0.8 + i / 10}, 1.0) for i in range(2)]
    return a_recorder(*(batch(step) for step in range(1, 21)), *rows)


def test_losses_are_drawn_against_the_steps_at_which_they_were_reported(fitted: Recorder) -> None:
    figure = fitted.plot_losses(skip_start=5, show_grid=True)
    assert figure is not None
    train, validation = figure.axes[0].get_lines()
    assert list(train.get_xdata()) == list(range(6, 21))
    assert list(validation.get_ydata()) == [0.4, 0.4]


def test_rates_and_momentum_have_a_panel_each_and_metrics_one_by_name(fitted: Recorder) -> None:
    rates, metrics = fitted.plot_lr(show_moms=True), fitted.plot_metrics()
    assert rates is not None
    assert metrics is not None
    assert [axes.get_ylabel() for axes in rates.axes] == ["Learning rate", "Momentum"]
    assert [axes.get_ylabel() for axes in metrics.axes] == ["accuracy"]
    assert fitted.names == ["epoch", "train_loss", "valid_loss", "accuracy", "time"]


def test_a_search_is_drawn_with_the_suggestion_that_is_asked_for() -> None:
    recorder = a_recorder(LrFound(FINDING))
    figure = recorder.plot(skip_start=0, skip_end=1, suggestion=True)
    assert figure is not None
    assert list(figure.axes[0].get_lines()[0].get_xdata()) == [1e-4, 1e-3, 1e-2]
    assert recorder.min_grad_lr == 1e-2, "of the points that are shown"
    with pytest.raises(ValueError, match="'slide' made no suggestion; those that did: min_gradient, valley"):
        recorder.plot(suggestion="slide")


def test_what_there_is_not_is_said_instead_of_drawn() -> None:
    empty = Recorder()
    with pytest.raises(ValueError, match="call lr_find first"):
        empty.plot()
    with pytest.raises(ValueError, match="no metrics to plot"):
        empty.plot_metrics()
    with pytest.raises(ValueError, match="0 or more"):
        empty.plot_losses(skip_start=-1)
    figure = empty.plot_losses()
    assert figure is not None
    assert "nothing was reported" in figure.axes[0].texts[0].get_text()
    assert empty.plot_lr(return_fig=False) is None


def test_without_matplotlib_a_plot_says_what_to_install(fitted: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ImportError, match=r"pip install 'learnfleet\[plots\]'"):
        fitted.plot_losses()


@pytest.mark.parametrize("seed", range(5))
def test_what_a_plot_marks_is_what_the_trainers_marks(seed: int) -> None:
    losses = np.random.RandomState(seed).rand(20).tolist()
    lrs = np.geomspace(1e-5, 1, 20).tolist()
    shown = of_shown(lrs, losses)
    assert shown == {"minimum": minimum(lrs, losses, 20), "min_gradient": min_gradient(lrs, losses, 20)}
