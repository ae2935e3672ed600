"""What an interrupt becomes while a job is followed."""

from __future__ import annotations

import threading

import pytest

from learnfleet.client.detached import Detached, detaching


def test_an_interrupt_detaches() -> None:
    with pytest.raises(Detached, match="jobs/j goes on"), detaching("jobs/j"):
        raise KeyboardInterrupt


def interrupted_wait() -> None:
    """An interrupt while a wait takes its lock again."""
    condition = threading.Condition()
    with condition:
        condition.release()
        raise KeyboardInterrupt


def test_an_interrupt_in_a_wait_that_has_lost_its_lock_detaches() -> None:
    with pytest.raises(Detached, match="jobs/j goes on"), detaching("jobs/j"):
        interrupted_wait()


def test_other_errors_stay_what_they_are() -> None:
    with pytest.raises(RuntimeError, match="of its own"), detaching("jobs/j"):
        raise RuntimeError("of its own")
