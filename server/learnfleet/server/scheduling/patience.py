"""Calls that may not come back, made so that their caller can go on without them."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, InvalidStateError, wait
from threading import Thread
from typing import TypeVar

_LOOK_EVERY_S = 0.05

_T = TypeVar("_T")


class GivenUp(RuntimeError):
    """A call was not waited for any longer."""


def unless(given_up: Callable[[], bool], call: Callable[[], _T], unwanted: Callable[[_T], None] | None = None) -> _T:
    """What `call` gives or raises; it runs in a thread of its own.

    Args:
        given_up: asked a few times a second while the call has not come back.
        unwanted: is told in the call's thread what a call gives that nobody waits for any more.

    Raises:
        GivenUp: `given_up` was true before the call came back. It goes on by itself.
    """
    answer: Future[_T] = Future()
    Thread(target=_answer, args=(answer, call, unwanted), name="patience", daemon=True).start()
    while not wait([answer], _LOOK_EVERY_S).done:
        if given_up() and answer.cancel():
            raise GivenUp
    return answer.result()


def _answer(answer: Future[_T], call: Callable[[], _T], unwanted: Callable[[_T], None] | None) -> None:
    try:
        value = call()
    except BaseException as error:
        if not answer.cancelled():
            answer.set_exception(error)
        return
    try:
        answer.set_result(value)
    except InvalidStateError:
        if unwanted is not None:
            unwanted(value)
