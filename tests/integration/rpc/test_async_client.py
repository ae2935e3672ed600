"""The client for asyncio over a real port: the same requests, answers and errors as the plain one's."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

import pytest
from support.rpc_server import RunningServer

from learnfleet.client import (
    DeadlineExceededError,
    ImageDataBunch,
    InvalidArgumentError,
    JobCancelledError,
    NotFoundError,
    accuracy,
    models,
)
from learnfleet.client.aio import AsyncClient, AsyncLearner
from learnfleet.client.client import Client
from learnfleet.client.events import EpochFinished, LogLine
from learnfleet.server import names
from learnfleet.server.domain import JobState, NewEvent

T = TypeVar("T")


def with_client(server: RunningServer, act: Callable[[AsyncClient], Awaitable[T]]) -> T:
    async def run() -> T:
        async with AsyncClient.connect(server.address, retry_s=5.0) as client:
            return await act(client)

    return asyncio.run(run())


def pets() -> ImageDataBunch:
    return ImageDataBunch.from_folder("pets", size=16, bs=4)


def a_learner(client: AsyncClient, name: str = "") -> AsyncLearner:
    return client.cnn_learner(pets(), models.resnet18, pretrained=False, metrics=accuracy, name=name)


def an_epoch(number: int) -> NewEvent:
    data = {"stage": 0, "epoch": number, "step": number, "train_loss": 1.5, "valid_loss": 0.5, "time_s": 1.0}
    return NewEvent(f"epoch/{number}", "epoch", {**data, "metrics": {"accuracy": 0.75}}, datetime.now(UTC), 1)


def test_a_fit_is_queued_as_the_plain_client_queues_it(server: RunningServer) -> None:
    async def act(client: AsyncClient) -> str:
        learn = a_learner(client, "theirs")
        learn.freeze()
        return (await learn.fit_one_cycle(2, slice(1e-4, 1e-3), callbacks=("mixup", {"alpha": 0.2}))).name

    asked = server.store.get_job(names.parse_job(with_client(server, act)))
    with Client.connect(server.address) as client:
        learn = client.cnn_learner(pets(), models.resnet18, pretrained=False, metrics=accuracy, name="ours")
        learn.freeze()
        job = learn.fit_one_cycle(2, slice(1e-4, 1e-3), callbacks=("mixup", {"alpha": 0.2}), wait=False)
    again = server.store.get_job(names.parse_job(job.name))
    assert asked.work == again.work
    specs = [server.store.get_learner(learner).spec for learner in ("theirs", "ours")]
    assert specs[0] == specs[1]


def test_events_are_watched_in_order_while_other_tasks_run(server: RunningServer) -> None:
    async def act(client: AsyncClient) -> list[object]:
        job = await a_learner(client).fit(2)
        job_id = names.parse_job(job.name)
        seen: list[object] = []

        async def watch() -> None:
            async for event in job.watch():
                seen.append(event.payload)

        watching = asyncio.create_task(watch())
        for state in (JobState.STARTING, JobState.RUNNING):
            await asyncio.to_thread(server.store.transition, job_id, state)
        await asyncio.to_thread(server.store.append_events, job_id, [an_epoch(0), an_epoch(1)])
        await asyncio.to_thread(server.store.transition, job_id, JobState.SUCCEEDED)
        server.notify(job_id)
        await watching
        assert [row.valid_loss for row in (await job.recorder()).rows] == [0.5, 0.5]
        return seen

    seen = with_client(server, act)
    assert [payload.epoch for payload in seen if isinstance(payload, EpochFinished)] == [0, 1]


def test_validation_waits_for_its_values_in_the_trainers_order(server: RunningServer) -> None:
    async def act(client: AsyncClient) -> list[float]:
        learn = a_learner(client)
        job = await learn.fit(1)
        await asyncio.to_thread(server.train_to_a_checkpoint, job.name)
        await job.wait()
        validating = asyncio.create_task(learn.validate(metrics=["top_k_accuracy", "accuracy"]))
        while learn.last_job is None or learn.last_job.name == job.name:  # noqa: ASYNC110  # until it is queued
            await asyncio.sleep(0)
        values = {"accuracy": 0.9, "top_k_accuracy": 1.0, "valid_loss": 0.25}
        await asyncio.to_thread(server.finish, learn.last_job.name, {"metrics": values})
        return await validating

    assert with_client(server, act) == [0.25, 1.0, 0.9]


def test_a_prediction_is_a_triple(server: RunningServer) -> None:
    async def act(client: AsyncClient) -> tuple[str, int, list[float]]:
        category, index, probabilities = await client.predict("models/pets@best", b"a picture")
        return str(category), int(index), probabilities.tolist()

    assert with_client(server, act) == ("dog", 1, [0.2, 0.7, 0.1])


def test_a_cancelled_job_raises_where_it_is_waited_for(server: RunningServer) -> None:
    async def act(client: AsyncClient) -> None:
        job = await a_learner(client).fit(1)
        waiting = asyncio.create_task(job.wait())
        await (await client.job(job.name)).cancel()
        server.notify(names.parse_job(job.name))
        await waiting

    with pytest.raises(JobCancelledError):
        with_client(server, act)


def test_a_wait_ends_in_time_and_leaves_the_job(server: RunningServer) -> None:
    async def act(client: AsyncClient) -> str:
        job = await a_learner(client).fit(1)
        with pytest.raises(DeadlineExceededError, match="is still QUEUED after"):
            await job.wait(timeout=0.01)
        return (await job.refresh()).state

    assert with_client(server, act) == "QUEUED"


def test_errors_are_those_of_the_plain_client(server: RunningServer) -> None:
    async def wrong(client: AsyncClient) -> None:
        await client.cnn_learner(pets(), "resnet1", metrics="acuracy").fit(0)

    with pytest.raises(InvalidArgumentError) as caught:
        with_client(server, wrong)
    fields = {violation.field for violation in caught.value.violations}
    assert {"learner_spec.architecture", "learner_spec.metrics[0].name", "stages[0].fit.epochs"} <= fields

    async def missing(client: AsyncClient) -> None:
        await client.job("jobs/nothing-here")

    with pytest.raises(NotFoundError):
        with_client(server, missing)


def test_jobs_and_learners_are_listed_page_by_page(server: RunningServer) -> None:
    async def act(client: AsyncClient) -> tuple[list[str], list[str]]:
        for name in ("a", "b"):
            await a_learner(client, name).fit(1)
        found = [job.learner async for job in client.jobs(states=["QUEUED"])]
        return found, [learner.name async for learner in client.learners()]

    jobs, learners = with_client(server, act)
    assert jobs == learners == ["learners/b", "learners/a"]


def test_logs_go_on_to_the_end_of_the_job(server: RunningServer) -> None:
    async def act(client: AsyncClient) -> list[object]:
        job = await a_learner(client).fit(1)
        job_id = names.parse_job(job.name)
        note = NewEvent("log/1", "log", {"severity": "warning", "message": "odd"}, datetime.now(UTC), 1)
        await asyncio.to_thread(server.store.append_events, job_id, [note])
        await asyncio.to_thread(server.finish, job.name)
        return [event.payload async for event in job.watch() if isinstance(event.payload, LogLine)]

    assert with_client(server, act) == [LogLine("warning", "odd")]


def test_data_sets_are_uploaded_registered_listed_and_deleted(server: RunningServer, tmp_path: Path) -> None:
    (tmp_path / "cat").mkdir()
    (tmp_path / "cat" / "1.txt").write_text("one")

    async def act(client: AsyncClient) -> None:
        uploaded = await client.datasets.upload(tmp_path, "texts")
        registered = await client.datasets.register("pets", "animals")
        assert (uploaded.version.state, registered.version.state) == ("READY", "READY")
        assert registered.classes == {"cat": 9, "dog": 9}
        assert await client.datasets.get("datasets/texts") == uploaded
        names_listed = [found.name async for found in client.datasets.list()]
        assert names_listed == ["datasets/animals", "datasets/texts"]
        await client.datasets.delete("datasets/texts")
        with pytest.raises(NotFoundError):
            await client.datasets.get("datasets/texts")
        with pytest.raises(InvalidArgumentError, match="uri:"):
            await client.datasets.register("/etc")
        with pytest.raises(OSError, match="nothing-here"):
            await client.datasets.upload(tmp_path / "nothing-here")

    with_client(server, act)
