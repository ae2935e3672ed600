"""How far a consumer says that it is behind."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import pytest

from learnfleet.server.store.base import Store
from learnfleet.server.telemetry.server_metrics import Behind
from learnfleet.server.tracking.consumer import Consumer


class Lab:
    """A consumer with a clock that is set by hand, of jobs that are exported as `export` says."""

    def __init__(self) -> None:
        self.now_s = 100.0
        self.export: Callable[[str], float | None] = lambda job_id: None
        self.is_reached = True
        store = cast(Store, type("Nothing", (), {"jobs_behind": lambda *_: []})())
        self.consumer = Consumer("mlflow", store, lambda job_id: self.export(job_id), self.ask, lambda: self.now_s)

    def ask(self) -> None:
        if not self.is_reached:
            raise ConnectionError("nobody is there")

    def fail(self, job_id: str) -> Any:
        raise ConnectionError("it failed")


@pytest.fixture
def lab() -> Lab:
    return Lab()


def test_nothing_to_send_is_no_lag(lab: Lab) -> None:
    lab.consumer.step()

    assert lab.consumer.behind() == Behind(0, 0.0, is_away=False)


def test_what_is_sent_is_no_lag_any_more(lab: Lab) -> None:
    lab.consumer.wake("a")
    lab.consumer.step()

    assert lab.consumer.behind() == Behind(0, 0.0, is_away=False)


def test_a_job_that_is_refused_is_behind_since_it_first_was(lab: Lab) -> None:
    lab.export = lab.fail
    for name in ("a", "b"):
        lab.consumer.wake(name)
        lab.consumer.step()
        lab.now_s += 50

    assert lab.consumer.behind() == Behind(2, 100.0, is_away=False)


def test_while_nobody_is_reached_all_are_behind(lab: Lab) -> None:
    lab.export, lab.is_reached = lab.fail, False
    lab.consumer.wake("a")
    lab.consumer.step()
    lab.now_s += 30

    assert lab.consumer.behind() == Behind(1, 30.0, is_away=True)


def test_an_export_that_hangs_is_behind_meanwhile(lab: Lab) -> None:
    seen = []

    def hang(job_id: str) -> None:
        lab.now_s += 700
        seen.append(lab.consumer.behind())

    lab.export = hang
    lab.consumer.wake("a")
    lab.consumer.step()

    assert seen == [Behind(1, 700.0, is_away=False)]


def test_what_is_put_off_on_purpose_is_not_behind(lab: Lab) -> None:
    lab.export = lambda job_id: 60.0
    lab.consumer.wake("a")
    lab.consumer.step()
    lab.now_s += 30

    assert lab.consumer.behind() == Behind(1, 0.0, is_away=False)
