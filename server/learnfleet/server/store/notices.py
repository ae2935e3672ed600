"""What servers on one PostgreSQL tell each other: that there is something to read. A lost notice costs a delay only."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from threading import Event, Thread

from sqlalchemy import Connection, func, make_url, select

from learnfleet.server.store import postgres

CHANNEL = "learnfleet"
_LOOK_S = 1.0
_PAUSE_S = 1.0

_log = logging.getLogger(__name__)


class Topic(StrEnum):
    """What a notice is about."""

    EVENTS = "events"  # the job has new ones
    QUEUED = "queued"  # the job is new
    WANTED = "wanted"  # something was asked of the job
    RELEASE = "release"  # the learner's workers are to go, if they are idle


@dataclass(frozen=True)
class Notice:
    """`subject` is the id of a job or a learner; `sender` the id of a server."""

    topic: Topic
    subject: str
    sender: str


def announce(connection: Connection, notice: Notice) -> None:
    """Told to all listeners when the transaction ends well. On SQLite there is nobody else."""
    if connection.dialect.name == "postgresql":
        words = f"{notice.topic} {notice.subject} {notice.sender}"
        connection.execute(select(func.pg_notify(CHANNEL, words)))


def _read(words: str) -> Notice | None:
    """None for what a server of another version says."""
    parts = words.split(" ")
    if len(parts) != 3 or parts[0] not in set(Topic):
        return None
    return Notice(Topic(parts[0]), parts[1], parts[2])


class Listener:
    """A thread that hears what other servers announce."""

    def __init__(self, url: str, own_id: str, heard: Callable[[Notice], None], missed: Callable[[], None]) -> None:
        """`missed` is called whenever it begins to listen (again): anything may have been told before."""
        self._url, self._own_id, self._heard, self._missed = make_url(url), own_id, heard, missed
        self._stopping = Event()
        self._thread = Thread(target=self._run, name="listener", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()

    def _run(self) -> None:
        is_told = False
        while not self._stopping.is_set():
            try:
                self._listen()
                is_told = False
            except Exception as error:
                if not is_told:
                    _log.warning("other servers are not heard, which delays what they tell: %s", error)
                is_told = True
                self._stopping.wait(_PAUSE_S)

    def _listen(self) -> None:
        with postgres.connect(self._url) as connection:
            connection.execute(f"LISTEN {CHANNEL}")
            self._missed()
            while not self._stopping.is_set():
                for notification in connection.notifies(timeout=_LOOK_S):
                    notice = _read(notification.payload)
                    if notice is not None and notice.sender != self._own_id:
                        self._heard(notice)
