"""The recorder's plots: what they show of a fit, with every argument in fastai's order."""

from __future__ import annotations

import inspect
import math

import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from support.memory_data import a_learner

from learnfleet.trainer.recorder import EpochRow, Recorder
from learnfleet.trainer.run_callbacks import finite

VALIDATED = [(0.9, 0.5), (None, None), (0.7, 0.75)]  # loss and accuracy of each epoch, of 4 batches


def a_recorder() -> Recorder:
    """Three epochs of four batches, of which the second was not validated."""
    recorder = Recorder()
    recorder.metric_names = ["accuracy", "fed"]
    recorder.losses = [2.0 - 0.1 * index for index in range(12)]
    recorder.lrs = [0.001 * (index + 1) for index in range(12)]
    recorder.moms = [0.95 - 0.01 * index for index in range(12)]
    recorder.nb_batches = [4, 4, 4]
    for epoch, (loss, accuracy) in enumerate(VALIDATED):
        metrics = {} if accuracy is None else {"accuracy": accuracy}
        recorder.rows.append(EpochRow(epoch, epoch, 1.0, loss, {**metrics, "fed": 1.0 + epoch}, 0.1))
    return recorder


def curve(axes: Axes, number: int = 0) -> tuple[list[float], list[float]]:
    line = axes.get_lines()[number]
    return list(line.get_xdata()), list(line.get_ydata())  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("plot", ["skip_start", "skip_end", "suggestion", "return_fig", "show_grid", "k"]),
        ("plot_losses", ["skip_start", "skip_end", "return_fig", "show_grid"]),
        ("plot_lr", ["show_moms", "skip_start", "skip_end", "return_fig"]),
        ("plot_metrics", ["skip_start", "skip_end", "return_fig"]),
    ],
)
def test_f123_arguments_are_in_fastais_order_and_return_fig_false_gives_nothing(
    name: str, arguments: list[str]
) -> None:
    plot = getattr(a_recorder(), name)
    assert list(inspect.signature(plot).parameters) == arguments
    assert isinstance(plot(), Figure)
    assert isinstance(plot(return_fig=True), Figure)
    assert plot(return_fig=False) is None


def test_f123_losses_have_a_value_a_batch_and_validation_at_the_end_of_validated_epochs() -> None:
    recorder = a_recorder()
    axes = recorder.plot_losses().axes[0]
    assert curve(axes) == (list(range(12)), recorder.losses)
    assert curve(axes, 1) == ([4, 12], [0.9, 0.7])
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["Train", "Validation"]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("Batches processed", "Loss")


def test_f123_losses_leave_out_batches_and_the_epochs_that_end_in_them() -> None:
    recorder = a_recorder()
    axes = recorder.plot_losses(5, 0).axes[0]
    assert curve(axes) == (list(range(5, 12)), recorder.losses[5:])
    assert curve(axes, 1) == ([12], [0.7])
    axes = recorder.plot_losses(0, 1).axes[0]
    assert curve(axes)[0] == list(range(11))
    assert curve(axes, 1) == ([4], [0.9])


def test_f123_a_grid_is_drawn_only_where_it_is_wanted() -> None:
    recorder = a_recorder()
    for plot in (recorder.plot_losses, lambda **options: recorder.plot(0, 0, **options)):
        shown = [plot(show_grid=wanted).axes[0].xaxis.get_gridlines()[0].get_visible() for wanted in (True, False)]
        assert shown == [True, False]


def test_f123_rates_are_those_of_each_batch_and_momenta_stand_beside_them_if_asked_for() -> None:
    recorder = a_recorder()
    lr, mom = recorder.plot_lr(True, 2, 3).axes
    assert curve(lr) == (list(range(2, 9)), recorder.lrs[2:9])
    assert curve(mom) == (list(range(2, 9)), recorder.moms[2:9])
    assert [axes.get_ylabel() for axes in (lr, mom)] == ["Learning rate", "Momentum"]
    assert len(recorder.plot_lr().axes) == 1


def test_f123_each_metric_has_its_values_by_name_and_a_gap_where_there_is_none() -> None:
    accuracy, fed = a_recorder().plot_metrics().axes
    assert [axes.get_ylabel() for axes in (accuracy, fed)] == ["accuracy", "fed"]
    assert curve(fed) == ([4, 8, 12], [1.0, 2.0, 3.0])
    ends, values = curve(accuracy)
    assert ends == [4, 8, 12]
    assert [finite(value) for value in values] == [0.5, None, 0.75]
    assert curve(a_recorder().plot_metrics(5, 1).axes[1]) == ([8], [2.0])


def test_f123_metrics_of_the_record_keep_their_columns_where_one_has_no_value() -> None:
    recorder = a_recorder()
    recorder.rows[2].metrics.pop("accuracy")
    first, last = recorder.metrics
    assert first == [0.5, 1.0]
    assert math.isnan(last[0])
    assert last[1] == 3.0


def test_f123_a_search_is_shown_by_the_logarithm_of_the_rate_without_10_and_5_points() -> None:
    recorder = a_recorder()
    recorder.losses, recorder.lrs = [float(i) for i in range(30)], [10.0 ** (-6 + i / 5) for i in range(30)]
    axes = recorder.plot().axes[0]
    assert curve(axes) == (recorder.lrs[10:25], recorder.losses[10:25])
    assert axes.get_xscale() == "log"
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("Learning rate", "Loss")
    assert curve(recorder.plot(3, 0).axes[0])[0] == recorder.lrs[3:]


def test_f123_a_plot_of_nothing_says_why_it_is_empty() -> None:
    assert _note(Recorder().plot_losses()) == "nothing was recorded yet"
    assert _note(a_recorder().plot()) == "all 12 batches are left out by skip_start and skip_end"
    assert _note(a_recorder().plot_lr(False, 12)) == "all 12 batches are left out by skip_start and skip_end"
    assert _note(a_recorder().plot_metrics(99)) == "all 12 batches are left out by skip_start and skip_end"


def _note(figure: Figure) -> str:
    return figure.axes[0].texts[0].get_text()


def test_f123_fewer_than_no_batches_are_not_left_out() -> None:
    for plot in (a_recorder().plot, a_recorder().plot_losses, a_recorder().plot_metrics):
        with pytest.raises(ValueError, match="0 or more"):
            plot(skip_start=-1)


def test_f123_without_metrics_there_is_nothing_to_plot() -> None:
    learner = a_learner()
    learner.fit(1)
    for recorder in (learner.recorder, Recorder()):
        with pytest.raises(ValueError, match="no metrics to plot: give the learner metrics"):
            recorder.plot_metrics()


def test_f123_plots_of_a_fit_show_what_it_recorded() -> None:
    learner = a_learner(metrics=["accuracy", "error_rate"])
    learner.fit_one_cycle(2, 1e-2)
    recorder = learner.recorder
    lr, mom = recorder.plot_lr(show_moms=True).axes
    assert (curve(lr)[1], curve(mom)[1]) == (recorder.lrs, recorder.moms)
    losses = recorder.plot_losses().axes[0]
    assert (curve(losses)[1], curve(losses, 1)) == (recorder.losses, ([4, 8], recorder.val_losses))
    accuracy, errors = recorder.plot_metrics().axes
    assert curve(accuracy) == ([4, 8], [values[0] for values in recorder.metrics])
    assert curve(errors)[1] == [values[1] for values in recorder.metrics]


def test_f123_one_loss_that_is_far_off_does_not_press_the_others_onto_the_axis() -> None:
    recorder = a_recorder()
    assert recorder.plot_losses().axes[0].get_yscale() == "linear"
    recorder.rows[0] = EpochRow(0, 0, 1.0, 1060.0, {}, 0.1)
    assert recorder.plot_losses().axes[0].get_yscale() == "log"


def test_f123_many_metrics_are_drawn_in_rows_of_three() -> None:
    recorder = a_recorder()
    recorder.metric_names = [f"metric {number}" for number in range(7)]
    figure = recorder.plot_metrics()
    assert [axes.get_ylabel() for axes in figure.axes] == recorder.metric_names
    width, height = figure.get_size_inches()
    assert (width, height) == (pytest.approx(3 * 6.4), pytest.approx(3 * 4.2))


def test_f123_batches_are_counted_in_whole_numbers() -> None:
    ticks = a_recorder().plot_lr(show_moms=True).axes[1].get_xticks()
    assert all(tick == int(tick) for tick in ticks)
