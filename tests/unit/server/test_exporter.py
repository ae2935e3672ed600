"""What MLflow holds of the jobs, whatever it refuses and whenever it is away. MLflow is a real one, in SQLite."""

from __future__ import annotations

import logging
import shutil
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from support.tracked_jobs import NOW, FaultyMlflow, add_epoch, queue_job, run_job, start_job

from learnfleet.server.config import Config
from learnfleet.server.domain import JobState
from learnfleet.server.store.base import Store
from learnfleet.server.store.sql import SqlStore
from learnfleet.server.tracking.exporter import MlflowExporter
from learnfleet.server.tracking.mlflow_client import EXPERIMENT, mlflow_client


@pytest.fixture(scope="module")
def empty_mlflow(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with MLflow's tables, which take seconds to make."""
    config = Config(tmp_path_factory.mktemp("empty"))
    (config.data_dir / "mlflow").mkdir()
    mlflow_client(config).search_experiments()
    return config.data_dir / "mlflow"


@dataclass
class Tracking:
    """A store, an MLflow, and an exporter between them that steps when it is told to."""

    config: Config
    store: Store
    mlflow: FaultyMlflow
    now_s: float = 0.0
    exporter: MlflowExporter = field(init=False)

    def __post_init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        connect: Any = lambda config: self.mlflow  # noqa: E731
        self.exporter = MlflowExporter(self.config, self.store, connect, lambda: self.now_s)

    def step_for(self, seconds: float) -> None:
        """Let time pass, with a step whenever there is something to do."""
        until_s = self.now_s + seconds
        while (next_s := self.now_s + max(self.exporter.step(), 0.01)) <= until_s:
            self.now_s = next_s
        self.now_s = until_s

    def run_of(self, name: str) -> Any:
        experiment = self.mlflow.real.get_experiment_by_name(EXPERIMENT)
        runs = self.mlflow.real.search_runs([experiment.experiment_id]) if experiment else []
        return next((run for run in runs if run.info.run_name == name), None)

    def points(self, job_id: str, metric: str = "valid_loss") -> list[tuple[int, float]]:
        run = self.run_of(f"jobs/{job_id}")
        return [] if run is None else [(p.step, p.value) for p in self.history(job_id, metric)]

    def artifact(self, job_id: str, name: str) -> str:
        run = self.run_of(f"jobs/{job_id}")
        return Path(self.mlflow.real.download_artifacts(run.info.run_id, name)).read_text()

    def history(self, job_id: str, metric: str) -> list[Any]:
        return list(self.mlflow.real.get_metric_history(self.run_of(f"jobs/{job_id}").info.run_id, metric))


@pytest.fixture
def tracking(tmp_path: Path, empty_mlflow: Path) -> Iterator[Tracking]:
    shutil.copytree(empty_mlflow, tmp_path / "mlflow")
    config, store = Config(tmp_path), SqlStore(f"sqlite:///{tmp_path / 'store.db'}", lambda: NOW)
    yield Tracking(config, store, FaultyMlflow(mlflow_client(config)))
    store.close()


TWO_EPOCHS = [(10, 3.0), (20, 2.999)]


def test_a_job_that_mlflow_fails_on_does_not_keep_later_jobs_back_and_gets_its_points_when_it_works(
    tracking: Tracking,
) -> None:
    for job_id in ("first", "second"):
        run_job(tracking.store, job_id)

    def fault(call: str, arguments: tuple[Any, ...]) -> Exception | None:
        run = tracking.run_of("jobs/first")
        is_hit = call == "log_batch" and run is not None and run.info.run_id in arguments
        return RuntimeError("500: a fault of this run alone") if is_hit else None

    tracking.mlflow.fault = fault
    tracking.step_for(30)
    assert tracking.points("second") == TWO_EPOCHS
    assert tracking.points("first") == []
    assert 3 <= tracking.mlflow.calls.count("log_batch") <= 15  # it is tried at longer and longer intervals
    tracking.mlflow.fault = lambda call, arguments: None
    tracking.step_for(60)
    assert tracking.points("first") == TWO_EPOCHS


def test_a_metric_that_mlflow_will_never_take_is_logged_once_and_noted_and_the_others_arrive(
    tracking: Tracking, caplog: pytest.LogCaptureFixture
) -> None:
    run_job(tracking.store, "odd", epochs=2, **{"accuracy": 0.5, "dice (macro)!": 0.25})
    with caplog.at_level(logging.WARNING):
        tracking.step_for(300)
    assert len([record for record in caplog.records if "dice (macro)!" in record.getMessage()]) == 1
    assert tracking.points("odd") == TWO_EPOCHS
    assert tracking.points("odd", "accuracy") == [(10, 0.5), (20, 0.5)]
    run = tracking.run_of("jobs/odd")
    assert "metric dice (macro)!: " in run.data.tags["learnfleet.left_behind"]
    assert run.info.status == "FINISHED"
    assert tracking.store.jobs_behind("mlflow") == []


def test_a_job_whose_run_was_deleted_is_left_behind_and_not_tried_for_ever(tracking: Tracking) -> None:
    queue_job(tracking.store, "deleted")
    start_job(tracking.store, "deleted")
    add_epoch(tracking.store, "deleted", 0)
    tracking.step_for(61)
    tracking.mlflow.real.delete_run(tracking.run_of("jobs/deleted").info.run_id)
    add_epoch(tracking.store, "deleted", 1)
    run_job(tracking.store, "other")
    tracking.step_for(120)
    calls = len(tracking.mlflow.calls)
    tracking.step_for(600)
    assert len(tracking.mlflow.calls) == calls
    assert tracking.points("other") == TWO_EPOCHS
    assert tracking.store.jobs_behind("mlflow") == []


def test_more_parameters_than_mlflow_takes_at_once_arrive(tracking: Tracking) -> None:
    queue_job(tracking.store, "many", stages=150)
    start_job(tracking.store, "many")
    tracking.step_for(1)
    assert tracking.run_of("jobs/many").data.params["stages.149.epochs"] == "2"


def test_while_the_experiment_is_deleted_nothing_is_left_behind(tracking: Tracking) -> None:
    run_job(tracking.store, "before")
    tracking.step_for(1)
    experiment = tracking.mlflow.real.get_experiment_by_name(EXPERIMENT).experiment_id
    tracking.mlflow.real.delete_experiment(experiment)
    run_job(tracking.store, "after")
    tracking.step_for(100)
    tracking.mlflow.real.restore_experiment(experiment)
    tracking.step_for(600)
    assert tracking.points("after") == TWO_EPOCHS


def test_when_mlflow_is_away_nobody_is_blamed_and_it_is_asked_every_few_seconds(
    tracking: Tracking, caplog: pytest.LogCaptureFixture
) -> None:
    for number in range(5):
        run_job(tracking.store, f"job-{number}")
    tracking.mlflow.fault = lambda call, arguments: ConnectionError("refused")
    with caplog.at_level(logging.WARNING):
        tracking.step_for(3600)
    assert [record.getMessage() for record in caplog.records] == [
        "MLflow cannot be reached; 5 jobs wait for it: refused"
    ]
    tracking.mlflow.fault = lambda call, arguments: None
    tracking.step_for(6)
    assert [tracking.points(f"job-{number}") for number in range(5)] == [TWO_EPOCHS] * 5


def test_a_job_has_a_run_when_it_leaves_the_queue_and_not_before(tracking: Tracking) -> None:
    queue_job(tracking.store, "waiting")
    tracking.step_for(120)
    assert tracking.run_of("jobs/waiting") is None
    assert tracking.mlflow.calls == []
    tracking.store.transition("waiting", JobState.STARTING, attempt=1)
    tracking.exporter.wake("waiting")
    tracking.step_for(1)
    assert tracking.run_of("jobs/waiting").info.status == "RUNNING"


def test_a_job_that_is_cancelled_in_the_queue_has_a_run_that_was_killed(tracking: Tracking) -> None:
    queue_job(tracking.store, "unwanted")
    tracking.step_for(1)
    tracking.store.transition("unwanted", JobState.CANCELLED)
    tracking.exporter.wake("unwanted")
    tracking.step_for(1)
    assert tracking.run_of("jobs/unwanted").info.status == "KILLED"


def test_what_nobody_told_of_is_found_within_a_minute_and_a_wake_looks_at_its_job_alone(
    tracking: Tracking, monkeypatch: pytest.MonkeyPatch
) -> None:
    scans: list[float] = []
    look = tracking.store.jobs_behind
    monkeypatch.setattr(tracking.store, "jobs_behind", lambda *limits: [scans.append(tracking.now_s), look(*limits)][1])
    queue_job(tracking.store, "told")
    start_job(tracking.store, "told")
    tracking.step_for(1)
    for epoch in range(5):
        add_epoch(tracking.store, "told", epoch)
        tracking.exporter.wake("told")
        tracking.step_for(1)
        assert len(tracking.points("told")) == epoch + 1
    assert scans == [0.0]
    run_job(tracking.store, "untold")
    tracking.step_for(60)
    assert len(scans) == 2
    assert tracking.points("untold") == TWO_EPOCHS


def test_the_epoch_table_grows_without_reading_the_log_anew(
    tracking: Tracking, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[int] = []
    read_events = tracking.store.read_events

    def counted(*arguments: Any) -> list[Any]:
        events = read_events(*arguments)
        read.extend(stored.sequence for stored in events)
        return events

    monkeypatch.setattr(tracking.store, "read_events", counted)
    queue_job(tracking.store, "long")
    start_job(tracking.store, "long")
    for epoch in range(8):
        if epoch == 5:
            tracking.restart()
        add_epoch(tracking.store, "long", epoch)
        tracking.exporter.wake("long")
        tracking.step_for(1)
    assert [line.split(",")[:3] for line in tracking.artifact("long", "epochs.csv").splitlines()[1:]] == [
        ["0", str(epoch), str(10 * (epoch + 1))] for epoch in range(8)
    ]
    assert Counter(read) == Counter(
        [*range(1, 12), *range(1, 9)]
    )  # once, and after the restart what was sent before it


def test_times_of_points_never_decrease_when_a_clock_is_set_back(tracking: Tracking) -> None:
    queue_job(tracking.store, "clock")
    start_job(tracking.store, "clock")
    for epoch, after_s in enumerate([100, 40, 120, 110]):
        if epoch == 3:
            tracking.restart()
        add_epoch(tracking.store, "clock", epoch, after_s=after_s)
        tracking.exporter.wake("clock")
        tracking.step_for(1)
    tracking.store.transition("clock", JobState.SUCCEEDED)
    tracking.exporter.wake("clock")
    tracking.step_for(1)
    start_ms = round(NOW.timestamp() * 1000)
    points = tracking.history("clock", "valid_loss")
    assert [point.timestamp - start_ms for point in points] == [100_000, 100_000, 120_000, 120_000]
    assert tracking.run_of("jobs/clock").info.end_time - start_ms == 120_000


@pytest.mark.parametrize("restarts", [False, True])
def test_points_whose_cursor_was_not_written_are_sent_again_and_are_there_once(
    tracking: Tracking, monkeypatch: pytest.MonkeyPatch, restarts: bool
) -> None:
    queue_job(tracking.store, "again")
    start_job(tracking.store, "again")
    add_epoch(tracking.store, "again", 0, after_s=100)
    tracking.step_for(1)
    add_epoch(tracking.store, "again", 1, after_s=40)
    tracking.exporter.wake("again")
    with monkeypatch.context() as patched:
        patched.setattr(tracking.store, "advance_cursor", lambda *arguments: 1 / 0)
        tracking.step_for(1)
    if restarts:
        tracking.restart()
    tracking.step_for(10)
    assert tracking.points("again") == TWO_EPOCHS
    assert tracking.mlflow.calls.count("log_batch") > 3
    assert tracking.store.jobs_behind("mlflow") == []


def test_points_that_mlflow_did_not_take_are_not_passed_over(tracking: Tracking) -> None:
    run_job(tracking.store, "lost")

    def fault(call: str, arguments: tuple[Any, ...]) -> Exception | None:
        has_points = call == "log_batch" and arguments[-1] and hasattr(arguments[-1][0], "step")
        return RuntimeError("500") if has_points else None

    tracking.mlflow.fault = fault
    tracking.step_for(1)
    tracking.mlflow.fault = lambda call, arguments: None
    tracking.restart()
    tracking.step_for(1)
    assert tracking.points("lost") == TWO_EPOCHS
