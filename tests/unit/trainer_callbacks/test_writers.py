"""What is written and shown: CSV, TensorBoard, memory, graph, progress, and the recorder's plots."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
import torch
from support.memory_data import MemoryData, a_learner
from support.ranks import run_ranks
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from learnfleet.trainer.callback import Callback
from learnfleet.trainer.csv_logger import CSVLogger
from learnfleet.trainer.errors import LearnerError
from learnfleet.trainer.peak_memory import PeakMemMetric
from learnfleet.trainer.progress import ProgressCallback, html_table
from learnfleet.trainer.show_graph import ShowGraph
from learnfleet.trainer.state import SmoothedLoss, TrainState
from learnfleet.trainer.tensorboard import LearnerTensorboardWriter, gradient_stats


def test_f073_the_file_has_fastais_format(tmp_path: Path) -> None:
    learner = a_learner(MemoryData(path=tmp_path), metrics=["accuracy"])
    learner.fit(2, callbacks=[CSVLogger(learner)])
    lines = (tmp_path / "history.csv").read_text().splitlines()
    assert lines[0] == "epoch,train_loss,valid_loss,accuracy,time"
    for line, row in zip(lines[1:], learner.recorder.rows, strict=True):
        cells = line.split(",")
        assert cells[0] == str(row.epoch)
        assert cells[1:4] == [f"{v:.6f}" for v in (row.train_loss, row.valid_loss or 0.0, row.metrics["accuracy"])]
        assert cells[4] == "00:00"
    assert len(learner.csv_logger.read_logged_file()) == 2  # type: ignore[attr-defined]


def test_f073_a_new_fit_begins_the_file_anew_or_appends_without_headings(tmp_path: Path) -> None:
    learner = a_learner(MemoryData(path=tmp_path))
    for _ in range(2):
        learner.fit(1, callbacks=[CSVLogger(learner, "plain")])
    for _ in range(2):
        learner.fit(1, callbacks=[CSVLogger(learner, "kept", append=True)])
    assert len((tmp_path / "plain.csv").read_text().splitlines()) == 2
    kept = (tmp_path / "kept.csv").read_text().splitlines()
    assert [line.split(",")[0] for line in kept] == ["epoch", "0", "0"]


def test_f073_an_epoch_without_validation_is_na(tmp_path: Path) -> None:
    from learnfleet.trainer.trackers import StopAfterNBatches

    learner = a_learner(MemoryData(path=tmp_path), metrics=["accuracy"])
    learner.fit(1, callbacks=[CSVLogger(learner), StopAfterNBatches(1)])
    assert (tmp_path / "history.csv").read_text().splitlines()[1].split(",")[2:4] == ["#na#", "#na#"]


def _logged(rank: int, folder: Path) -> list[str]:
    learner = a_learner(MemoryData(28, 9, path=folder.parent), metrics=["accuracy"])
    writer = LearnerTensorboardWriter(learner, folder.parent, f"of rank {rank}")
    learner.fit(1, callbacks=[CSVLogger(learner), PeakMemMetric(learner), writer])
    return sorted(path.name for path in folder.parent.iterdir())


def test_f051_f073_only_rank_0_writes(tmp_path: Path) -> None:
    found = run_ranks([_logged], tmp_path / "ranks")["_logged"]
    names = set(found[0]) | set(found[1])
    assert "history.csv" in names
    assert "of rank 0" in names
    assert "of rank 1" not in names
    assert len((tmp_path / "ranks" / "history.csv").read_text().splitlines()) == 2


def test_f084_memory_has_four_columns_of_whole_megabytes() -> None:
    learner = a_learner(metrics=["accuracy"])
    learner.fit(2, callbacks=[PeakMemMetric(learner)])
    recorder = learner.recorder
    assert recorder.metric_names == ["accuracy", "cpu used", "cpu peak", "gpu used", "gpu peak"]
    for row in recorder.rows:
        assert all(isinstance(row.metrics[name], int) for name in recorder.metric_names[1:])
        assert row.metrics["cpu peak"] >= 0
        assert (row.metrics["gpu used"], row.metrics["gpu peak"]) == (0, 0)


def test_f086_tensorboard_holds_losses_weights_and_gradients(tmp_path: Path) -> None:
    learner = a_learner(MemoryData(35, 5), metrics=["accuracy"])
    writer = LearnerTensorboardWriter(learner, tmp_path, "run", loss_iters=2, hist_iters=4, stats_iters=5)
    learner.fit(2, callbacks=[writer])
    events = EventAccumulator(str(tmp_path / "run"), {"histograms": 0}).Reload()  # 0: keep all, not the last
    tags = events.Tags()
    assert [e.step for e in events.Scalars("metrics/train_loss")] == [2, 4, 6, 8]
    assert len(events.Scalars("metrics/valid_loss")) == len(events.Scalars("metrics/accuracy")) == 2
    assert [e.step for e in events.Scalars("model_stats/gradients/avg_norm")] == [0, 5]
    assert {f"model_stats/gradients/{name}" for name in gradient_stats([torch.ones(2)])} <= set(tags["scalars"])
    names = {f"model/weights/{name}" for name, _ in learner.model.named_parameters()}
    assert set(tags["histograms"]) == names
    assert [e.step for e in events.Histograms("model/weights/2.3.weight")] == [4, 8]
    assert tags["graph"]


def test_f084_what_an_epoch_keeps_is_used_and_what_it_gives_back_is_peak() -> None:
    class Allocates(Callback):
        kept: bytearray | None = None

        def on_epoch_begin(self, state: TrainState) -> None:
            if state.epoch == 0:
                self.kept = bytearray(20 * 2**20)
            bytearray(50 * 2**20)

    learner, holder = a_learner(), Allocates()
    learner.fit(2, callbacks=[PeakMemMetric(learner), holder])
    first, second = learner.recorder.rows
    assert first.metrics["cpu used"] == pytest.approx(20, abs=2)
    assert first.metrics["cpu peak"] == pytest.approx(50, abs=2)
    assert second.metrics["cpu used"] == pytest.approx(0, abs=2)
    assert second.metrics["cpu peak"] == pytest.approx(50, abs=2)


class Losses(Callback):
    """Each training batch's, not smoothed."""

    def __init__(self) -> None:
        self.seen: list[float] = []

    def on_batch_end(self, state: TrainState) -> None:
        if state.train:
            self.seen.append(state.last_loss)


def test_f086_tensorboard_keeps_the_loss_of_the_batch_and_the_metrics_of_the_epoch(tmp_path: Path) -> None:
    learner, losses = a_learner(MemoryData(35, 5), metrics=["accuracy"]), Losses()
    learner.fit(2, 1e-2, callbacks=[LearnerTensorboardWriter(learner, tmp_path, "run", 2), losses])
    events = EventAccumulator(str(tmp_path / "run")).Reload()
    assert [e.value for e in events.Scalars("metrics/train_loss")] == pytest.approx(losses.seen[2::2])
    assert [e.value for e in events.Scalars("metrics/valid_loss")] == pytest.approx(learner.recorder.val_losses)
    accuracies = [e.value for e in events.Scalars("metrics/accuracy")]
    assert accuracies == pytest.approx([row[0] for row in learner.recorder.metrics])


def test_f086_a_model_that_cannot_be_traced_trains_without_its_graph(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    class Untraceable(torch.nn.Linear):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            if torch.jit.is_tracing():
                raise RuntimeError("not for tracing")
            return super().forward(x.mean(dim=(2, 3)))

    learner = a_learner(model=torch.nn.Sequential(Untraceable(3, 3)))
    learner.fit(1, callbacks=[LearnerTensorboardWriter(learner, tmp_path, "run", 1)])
    assert "graph is left out of TensorBoard: not for tracing" in caplog.text
    assert not EventAccumulator(str(tmp_path / "run")).Reload().Tags()["graph"]


def test_f086_embeddings_are_written_at_every_epochs_end(tmp_path: Path) -> None:
    class Embeds(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.words, self.linear = torch.nn.Embedding(5, 3), torch.nn.Linear(192, 3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.linear(x.flatten(1)) + self.words.weight.sum(dim=0)

    learner = a_learner(model=Embeds())
    learner.fit(2, callbacks=[LearnerTensorboardWriter(learner, tmp_path, "run")])
    table = (tmp_path / "run" / "00008" / "words" / "tensors.tsv").read_text()
    rows = [[float(cell) for cell in line.split("\t")] for line in table.splitlines()]
    found = torch.tensor(rows)
    assert torch.allclose(found, learner.model.words.weight.detach(), atol=1e-5)  # type: ignore[union-attr, arg-type]
    assert (tmp_path / "run" / "00004" / "words").is_dir()


def test_f086_an_interval_of_no_steps_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LearnerError, match="must each be at least 1"):
        LearnerTensorboardWriter(a_learner(), tmp_path, "run", 0)


def test_f087_the_recorder_has_fastais_attributes() -> None:
    losses, learner = Losses(), a_learner(MemoryData(14, 5), metrics=["accuracy", "error_rate"])
    learner.fit_one_cycle(2, slice(1e-4, 1e-2), callbacks=[losses])
    recorder = learner.recorder
    smooth, mean = [], 0.0
    for n, loss in enumerate(losses.seen, start=1):
        mean = 0.98 * mean + 0.02 * loss
        smooth.append(mean / (1 - 0.98**n))
    assert recorder.losses == pytest.approx(smooth)
    assert [row.train_loss for row in recorder.rows] == pytest.approx(smooth[1::2])
    assert recorder.nb_batches == [2, 2]
    assert recorder.names == ["epoch", "train_loss", "valid_loss", "accuracy", "error_rate", "time"]
    assert recorder.lrs[0] == pytest.approx(1e-2 / 25)  # of the last group, at the batch's begin
    assert recorder.moms[:2] == pytest.approx([0.95, 0.85])
    assert len(recorder.val_losses) == len(recorder.metrics) == 2
    assert [accuracy + error for accuracy, error in recorder.metrics] == pytest.approx([1, 1])
    assert recorder.min_grad_lr is None
    assert recorder.val_losses[-1] == pytest.approx(learner.validate()[0])


def test_f087_a_fit_begins_a_new_record() -> None:
    learner = a_learner(MemoryData(14, 5))
    learner.fit(1)
    first = learner.recorder
    learner.fit(2)
    assert (len(first.rows), len(learner.recorder.rows), len(learner.recorder.losses)) == (1, 2, 4)


def test_f086_gradients_are_summed_up_by_hand() -> None:
    found = gradient_stats([torch.tensor([3.0, 4.0]), torch.tensor([0.0, 1.0])])
    assert found["avg_norm"] == pytest.approx(3.0)
    assert (found["max_norm"], found["min_norm"], found["num_zeros"]) == (5.0, 1.0, 1.0)
    assert (found["avg_gradient"], found["max_gradient"], found["min_gradient"]) == (2.0, 4.0, 0.0)


def test_f088_the_graph_grows_with_the_epochs_and_has_room_for_the_rest() -> None:
    learner = a_learner()
    graph = ShowGraph(learner)
    learner.fit(2, callbacks=[graph])
    assert graph.figure is not None
    axis = graph.figure.axes[0]
    assert axis.get_xlim() == (0, 2 * len(learner.data.train_dl))
    assert axis.get_ylim()[0] == 0
    assert axis.get_ylim()[1] >= max(learner.recorder.losses)
    assert len(axis.get_lines()[0].get_xdata()) == len(learner.recorder.losses)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_f087_a_terminal_shows_a_bar_and_then_the_table() -> None:
    stream = Terminal()
    learner = a_learner(metrics=["accuracy"])
    learner.fit(1, callbacks=[ProgressCallback(stream)])
    text = stream.getvalue()
    assert "epoch 1/1 " in text
    assert "loss " in text
    rows = [line.rpartition("\x1b[2K")[2].split() for line in text.splitlines() if line]
    assert ["epoch", "train_loss", "valid_loss", "accuracy", "time"] in rows


def test_f087_a_stream_that_is_no_terminal_gets_rows_only() -> None:
    stream = io.StringIO()
    learner = a_learner(metrics=["accuracy"])
    learner.fit(2, callbacks=[ProgressCallback(stream)])
    lines = stream.getvalue().splitlines()
    assert [line.split()[0] for line in lines] == ["epoch", "0", "1"]
    assert "\x1b" not in stream.getvalue()


def test_f087_a_notebook_gets_the_table_as_html() -> None:
    learner = a_learner(metrics=["accuracy"])
    learner.fit(1)
    table = html_table(learner.recorder, learner.recorder.rows)
    assert "<th>accuracy</th>" in table
    assert f"<td>{learner.recorder.rows[0].train_loss:.6f}</td>" in table


def test_f068_losses_are_smoothed_without_the_bias_of_the_start() -> None:
    smoothed = SmoothedLoss()
    found = [smoothed.add(value) for value in (2.0, 1.0, 4.0, 0.5, 3.0)]
    right = [2.0, 1.4949494949494933, 2.3468915793769543, 1.871083823338464, 2.1060808131264768]
    assert found == pytest.approx(right, rel=1e-6)
