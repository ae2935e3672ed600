"""The learner for asyncio has what the plain one has, with the same arguments, or it is said here why not."""

from __future__ import annotations

import inspect

from learnfleet.client.aio import AsyncClient, AsyncJob, AsyncLearner
from learnfleet.client.aio_datasets import AsyncDatasets
from learnfleet.client.aio_models import AsyncModels
from learnfleet.client.client import Client
from learnfleet.client.datasets import Datasets
from learnfleet.client.job import Job
from learnfleet.client.learner import RemoteLearner
from learnfleet.client.registry import Models

WAITING = {"wait", "timeout"}  # is awaited, and ended by asyncio.timeout
SHOWN = {"figsize"}  # pictures of a notebook
NOT_THERE = {
    "Job": {
        "follow": "shows a table while it blocks; of events a task makes what it likes",
        "check": "is part of `wait`",
        "data_read": "is among the events",
        "wait_tracked": "polls",
    },
    "Client": {},
    "Datasets": {},
    "Models": {},
    "RemoteLearner": {"done": "blocks"},
}


def methods(kind: type) -> dict[str, set[str]]:
    """Public ones, with the names of their arguments."""
    names = [name for name in dir(kind) if not name.startswith("_")]
    return {
        name: set(inspect.signature(value).parameters) if callable(value := getattr(kind, name)) else set()
        for name in names
    }


def test_every_method_and_argument_of_the_plain_client_is_there_or_there_is_a_reason() -> None:
    pairs: list[tuple[type, type]] = [
        (RemoteLearner, AsyncLearner),
        (Job, AsyncJob),
        (Client, AsyncClient),
        (Datasets, AsyncDatasets),
        (Models, AsyncModels),
    ]
    for plain, ours in pairs:
        reasons, there = NOT_THERE[plain.__name__], methods(ours)
        missing = {name for name in methods(plain) if name not in there}
        assert missing == set(reasons), plain.__name__
        for name, arguments in methods(plain).items():
            if name not in reasons:
                assert arguments - there[name] <= WAITING | SHOWN, f"{plain.__name__}.{name}"
