"""Creating, reading and watching jobs over a real port."""

from __future__ import annotations

import os
import threading
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import grpc
import pytest
from support.rpc_server import RunningServer, refusal

from learnfleet.server import names
from learnfleet.server.domain import JobState, NewEvent
from learnfleet.server.store.base import Page
from learnfleet.v1 import job_pb2, job_service_pb2, learner_pb2, training_service_pb2

Make = Callable[..., training_service_pb2.TrainRequest]
Watch = job_service_pb2.WatchJobRequest


def a_log(number: int) -> NewEvent:
    return NewEvent(f"log/{number}", "log", {"severity": "info", "message": str(number)}, datetime.now(UTC), 1)


def test_a_job_is_answered_as_it_was_asked_for_with_the_defaults_filled_in(
    server: RunningServer, a_request: Make
) -> None:
    stages = [
        job_pb2.Stage(freeze=job_pb2.Freeze()),
        job_pb2.Stage(fit_one_cycle=job_pb2.FitOneCycle(epochs=4, max_lr=learner_pb2.LearningRate(value=0.01))),
    ]
    made = server.training.Train(a_request(stages=stages, learner_id="pets", resources={"num_workers": 2}), timeout=20)
    assert server.runtime.queued == [names.parse_job(made.name)]
    assert (made.kind, made.state) == (job_pb2.JOB_KIND_TRAIN, job_pb2.JOB_STATE_QUEUED)
    assert made.resources.num_workers == 2
    cycle = made.stages[1].fit_one_cycle
    assert (made.stages[0].freeze_to.n, cycle.epochs, cycle.max_lr.value) == (-1, 4, 0.01)
    assert (list(cycle.moms), cycle.div_factor, cycle.pct_start) == ([0.95, 0.85], 25, 0.3)
    assert server.jobs.GetJob(job_service_pb2.GetJobRequest(name=made.name), timeout=20) == made
    learner = server.training.GetLearner(training_service_pb2.GetLearnerRequest(name="learners/pets"), timeout=20)
    assert learner.active_job == made.name
    assert (learner.spec.data.batch_size, learner.spec.data.size.rows) == (4, 224)
    assert (learner.spec.optimizer.wd, learner.spec.train_bn, list(learner.spec.head.ps)) == (0.01, True, [0.5])


def test_a_specification_that_was_answered_is_accepted_as_it_is_and_answered_the_same(
    server: RunningServer, a_request: Make
) -> None:
    request = a_request(learner_id="one")
    request.learner_spec.data.transforms.max_rotate = 0
    request.learner_spec.head.linear_only = True
    request.learner_spec.train_bn = False
    request.learner_spec.metrics.add(name="top_k_accuracy").arguments.update({"k": 2})
    server.training.Train(request, timeout=20)
    first = server.training.GetLearner(training_service_pb2.GetLearnerRequest(name="learners/one"), timeout=20).spec
    server.training.Train(a_request(learner_id="two", learner_spec=first), timeout=20)
    second = server.training.GetLearner(training_service_pb2.GetLearnerRequest(name="learners/two"), timeout=20).spec
    assert second == first
    assert (first.train_bn, first.head.linear_only, first.metrics[0].arguments["k"]) == (False, True, 2)
    assert first.data.transforms.max_rotate == 0


def test_the_same_request_id_gives_the_same_job_and_another_body_is_refused(
    server: RunningServer, a_request: Make
) -> None:
    request = a_request(request_id=str(uuid.uuid4()))
    first = server.training.Train(request, timeout=20)
    request.request_id = request.request_id.upper()
    assert server.training.Train(request, timeout=20).name == first.name
    request.stages[0].fit.epochs = 2
    refused = refusal(lambda: server.training.Train(request, timeout=20))
    assert refused.code is grpc.StatusCode.ALREADY_EXISTS
    assert len(server.store.list_jobs(Page())[0]) == len(server.store.list_learners(Page())[0]) == 1


def test_the_same_request_from_many_callers_at_once_makes_one_job(server: RunningServer, a_request: Make) -> None:
    request = a_request(request_id=str(uuid.uuid4()))
    calls = [server.training.Train.future(request, timeout=20) for _ in range(8)]
    assert len({call.result().name for call in calls}) == 1
    assert len(server.store.list_jobs(Page())[0]) == 1


def test_an_existing_learner_is_continued_on_what_its_last_job_had(server: RunningServer, a_request: Make) -> None:
    first = server.training.Train(a_request(learner_id="pets", resources={"num_workers": 3}), timeout=20)
    again = server.training.Train(a_request(learner="learners/pets"), timeout=20)
    assert (again.learner, again.resources) == ("learners/pets", first.resources)
    taken = refusal(lambda: server.training.Train(a_request(learner_id="pets"), timeout=20))
    assert taken.code is grpc.StatusCode.ALREADY_EXISTS
    missing = refusal(lambda: server.training.Train(a_request(learner="learners/dogs"), timeout=20))
    assert missing.code is grpc.StatusCode.NOT_FOUND


def test_an_unknown_job_is_not_found_by_every_call(server: RunningServer) -> None:
    name = "jobs/nobody"
    calls = [
        lambda: server.jobs.GetJob(job_service_pb2.GetJobRequest(name=name), timeout=20),
        lambda: server.jobs.CancelJob(job_service_pb2.CancelJobRequest(name=name), timeout=20),
        lambda: list(server.jobs.WatchJob(Watch(name=name), timeout=20)),
    ]
    assert {refusal(call).code for call in calls} == {grpc.StatusCode.NOT_FOUND}


def test_pages_of_jobs_are_complete_and_filtered(server: RunningServer, a_request: Make) -> None:
    made = [server.training.Train(a_request(), timeout=20).name for _ in range(5)]
    server.finish(made[1])
    listed, token = [], ""
    while True:
        page = server.jobs.ListJobs(job_service_pb2.ListJobsRequest(page_size=2, page_token=token), timeout=20)
        listed += [job.name for job in page.jobs]
        token = page.next_page_token
        if not token:
            break
    assert listed == made[::-1]
    done = job_service_pb2.ListJobsRequest(states=[job_pb2.JOB_STATE_SUCCEEDED])
    assert [job.name for job in server.jobs.ListJobs(done, timeout=20).jobs] == [made[1]]


def watched(server: RunningServer, name: str, after: int = 1) -> Iterator[job_pb2.Event]:
    for message in server.jobs.WatchJob(Watch(name=name, after_sequence=after), timeout=20):
        yield from message.events


def test_a_watch_sees_what_was_and_what_comes_and_ends_with_the_job(server: RunningServer, a_request: Make) -> None:
    name = server.training.Train(a_request(), timeout=20).name
    stream = server.jobs.WatchJob(Watch(name=name), timeout=30)
    assert next(stream).events[0].state_changed.state == job_pb2.JOB_STATE_QUEUED
    server.store.append_events(names.parse_job(name), [a_log(1)])
    server.notify(names.parse_job(name))
    assert next(stream).events[0].log.message == "1"
    server.finish(name)
    rest = [event for message in stream for event in message.events]
    assert [event.state_changed.state for event in rest] == [
        job_pb2.JOB_STATE_STARTING,
        job_pb2.JOB_STATE_RUNNING,
        job_pb2.JOB_STATE_SUCCEEDED,
    ]
    assert [event.sequence for event in rest] == [3, 4, 5]


def test_a_watch_sees_events_that_nobody_told_this_server_of(server: RunningServer, a_request: Make) -> None:
    name = server.training.Train(a_request(), timeout=20).name
    stream = server.jobs.WatchJob(Watch(name=name, after_sequence=1), timeout=30)
    server.store.append_events(names.parse_job(name), [a_log(1)])
    assert next(stream).events[0].log.message == "1"
    stream.cancel()


def test_watches_that_are_broken_off_and_resumed_lose_and_repeat_nothing(
    server: RunningServer, a_request: Make
) -> None:
    name = server.training.Train(a_request(), timeout=20).name
    job_id = names.parse_job(name)
    total = 1200  # more than the store gives at once

    def write() -> None:
        for start in range(0, total, 60):
            server.store.append_events(job_id, [a_log(number) for number in range(start, start + 60)])
            server.notify(job_id)
        server.store.transition(job_id, JobState.CANCELLED)
        server.notify(job_id)

    writer = threading.Thread(target=write)
    writer.start()
    seen: list[int] = []
    is_over = False
    while not is_over:
        stream = server.jobs.WatchJob(Watch(name=name, after_sequence=seen[-1] if seen else 0), timeout=60)
        for message in stream:
            seen += [event.sequence for event in message.events]
            is_over = message.events[-1].state_changed.state == job_pb2.JOB_STATE_CANCELLED
            if len(seen) % 3 == 0:
                stream.cancel()
                break
    writer.join()
    assert seen == list(range(1, total + 3))


def test_a_job_can_be_watched_though_a_picture_in_it_has_a_name_that_is_not_utf8(
    server: RunningServer, a_request: Make
) -> None:
    name = server.training.Train(a_request(), timeout=20).name
    path = os.fsdecode(b"/data/caf\xe9.jpg")
    data = {"path": path, "reason": "truncated", "policy": "skip", "dataset": "train"}
    event = NewEvent(f"bad_image/{path}", "bad_image", data, datetime.now(UTC), 1)
    last = server.store.append_events(names.parse_job(name), [event])
    assert server.store.append_events(names.parse_job(name), [event]) == last
    server.store.transition(names.parse_job(name), JobState.FAILED, f"{path} is truncated")
    events = list(watched(server, name))
    assert events[0].bad_image.path == "/data/caf\\udce9.jpg"
    assert "caf" in server.jobs.GetJob(job_service_pb2.GetJobRequest(name=name), timeout=20).state_reason


@pytest.mark.parametrize(
    ("kind", "data", "payload"),
    [
        ("data", {"classes": ["a", "b"], "counts": {"train": 3, "valid": 1}, "skipped": 0}, "data_read"),
        ("stage", {"index": 0, "description": "fit(1)", "epochs": 1, "trainable": 9, "groups": 3}, "stage_started"),
        (
            "epoch",
            {
                "stage": 0,
                "epoch": 0,
                "lifetime_epoch": 4,
                "step": 8,
                "names": [],
                "values": [],
                "train_loss": 0.5,
                "valid_loss": None,
                "metrics": {"accuracy": None},
                "time_s": 1.5,
            },
            "epoch_finished",
        ),
        ("checkpoint", {"path": "/x", "step": 8, "model_sha256": "a", "optimizer_sha256": "b"}, "checkpoint_saved"),
        ("picture", {"name": "losses", "path": "/x", "media_type": "image/png"}, "picture_drawn"),
        (
            "batch",
            {
                "stage": 0,
                "epoch": 0,
                "epochs": 1,
                "batch": 1,
                "batches": 2,
                "step": 9,
                "loss": 0.1,
                "lr": 1e-3,
                "mom": 0.9,
                "samples_per_s": 10.0,
                "eta_s": 2.5,
            },
            "batch_finished",
        ),
    ],
)
def test_every_kind_of_event_that_workers_tell_of_is_watched(
    server: RunningServer, a_request: Make, kind: str, data: dict[str, object], payload: str
) -> None:
    name = server.training.Train(a_request(), timeout=20).name
    server.store.append_events(names.parse_job(name), [NewEvent("x", kind, data, datetime.now(UTC), 2)])
    event = next(watched(server, name))
    assert (event.WhichOneof("payload"), event.attempt) == (payload, 2)
    if kind == "batch":
        job = server.jobs.GetJob(job_service_pb2.GetJobRequest(name=name), timeout=20)
        assert (job.progress.batches, job.progress.eta.ToTimedelta().total_seconds()) == (2, 2.5)
