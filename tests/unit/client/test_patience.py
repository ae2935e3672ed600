"""How long a call is repeated."""

from __future__ import annotations

import logging

import grpc
import pytest
from grpc._cython import cygrpc

from learnfleet.client.errors import InternalError, InvalidArgumentError, UnavailableError, from_rpc
from learnfleet.client.patience import Patience, may_pass
from learnfleet.server.errors import InvalidArgument, ServiceError, Unavailable, WorkersStarting
from learnfleet.server.rpc.status import message_of, status_code, trailing_metadata


class Refused(grpc.RpcError):
    """A server's error as a caller gets it."""

    def __init__(self, error: ServiceError) -> None:
        self._error = error

    def code(self) -> grpc.StatusCode:
        return status_code(self._error)

    def details(self) -> str:
        return message_of(self._error)

    def trailing_metadata(self) -> tuple[tuple[str, bytes]]:
        return trailing_metadata(self._error)


class Clock:
    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def repeated_for_s(patience: Patience, clock: Clock, error: ServiceError, most_s: float = 1e6) -> float:
    """Seconds until the call is given up, or `most_s`."""
    began_s = clock.now_s
    while clock.now_s - began_s < most_s:
        try:
            clock.now_s += patience.pause_after(Refused(error))
        except UnavailableError:
            break
    return clock.now_s - began_s


def test_a_server_that_is_away_is_tried_again_for_as_long_as_was_said() -> None:
    clock = Clock()
    assert 57 < repeated_for_s(Patience(60.0, clock), clock, Unavailable("away")) <= 60


def test_starting_workers_are_waited_for_beyond_that_and_a_server_that_then_goes_is_tried_anew() -> None:
    clock = Clock()
    patience = Patience(60.0, clock)
    assert repeated_for_s(patience, clock, WorkersStarting("the workers are starting"), most_s=200) >= 200
    assert 55 < repeated_for_s(patience, clock, Unavailable("away")) <= 60  # from the last pause but one on


def test_workers_that_never_come_are_not_waited_for_for_ever() -> None:
    clock = Clock()
    assert 800 < repeated_for_s(Patience(60.0, clock), clock, WorkersStarting("the workers are starting")) < 1000


def test_who_waits_for_workers_is_told_now_and_then(caplog: pytest.LogCaptureFixture) -> None:
    clock = Clock()
    with caplog.at_level(logging.WARNING):
        repeated_for_s(Patience(60.0, clock), clock, WorkersStarting("the workers are starting"), most_s=60)
    assert 5 <= len(caplog.records) <= 7
    assert "the workers are starting" in caplog.text


def test_the_server_says_how_long_it_wants_to_be_left_alone() -> None:
    assert Patience(60.0).pause_after(Refused(WorkersStarting("the workers are starting"))) >= 1.0


def test_what_can_never_succeed_is_not_repeated() -> None:
    with pytest.raises(InvalidArgumentError):
        Patience(60.0).pause_after(Refused(InvalidArgument([])))


def test_a_call_that_comes_as_the_door_closes_is_repeated() -> None:
    """gRPC says CANCELLED of it, without a word from the server."""

    class Late(Refused):
        def code(self) -> grpc.StatusCode:
            return grpc.StatusCode.CANCELLED

        def trailing_metadata(self) -> tuple[tuple[str, bytes]]:
            return ()  # type: ignore[return-value]

    assert Patience(1.0).pause_after(Late(Unavailable("CANCELLED"))) > 0


def not_written(code: grpc.StatusCode, why: str) -> grpc.aio.AioRpcError:
    none = grpc.aio.Metadata()
    return grpc.aio.AioRpcError(code, none, none, "Internal error from Core", why)


def test_a_message_that_could_not_be_sent_any_more_is_a_broken_connection() -> None:
    """What grpc.aio says when the write fails before it has read why; an INTERNAL of a server stays one."""
    operation = cygrpc.SendMessageOperation(b"", 0)
    error = not_written(grpc.StatusCode.INTERNAL, f'Failed "execute_batch": {(operation,)}')
    assert may_pass(error)
    assert isinstance(from_rpc(error), UnavailableError)
    of_a_server = not_written(grpc.StatusCode.INTERNAL, "Error received from peer")
    assert not may_pass(of_a_server)
    assert isinstance(from_rpc(of_a_server), InternalError)
