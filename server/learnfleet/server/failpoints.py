"""Places where tests let the server fail: killed, slowed or refused just before or after something becomes durable.

Off unless the environment says otherwise: `LEARNFLEET_FAILPOINTS="store.create_job.after=kill:3,export.made=slow:0.5"`.

| action | what happens there |
|---|---|
| `kill`, `kill:3` | SIGKILL to the server itself, the third time |
| `term`, `term:3` | SIGTERM to the server itself, the third time |
| `err`, `err:3` | InjectedFault is raised, every time or the third only |
| `slow:0.5` | half a second passes, every time |

A write has two places, `<write>.before` and `<write>.after`. Of a write, `<write>=err` means that it is not made, and
`<write>=exec_then_err` that it is made and its caller told that it failed.
"""

from __future__ import annotations

import logging
import os
import signal
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from learnfleet.server.domain import JobState

_ACTIONS = ("kill", "term", "err", "slow", "exec_then_err")
VARIABLE = "LEARNFLEET_FAILPOINTS"

# Transactions of the store, as `writing(...)` names them: each fails before its commit and after it.
STORE_WRITES = (
    "create_job",
    "update_learner",
    "put_checkpoint",
    *(f"transition.{state}" for state in JobState),
    "set_reasons",
    "set_tracking",
    "append_events",
    "advance_cursor",
    "next_generation",
    "put_group",
    "delete_group",
    "set_wanted",
    "delete_job",
    "delete_learner",
    "add_version",
    "delete_dataset",
    "set_summary",
    "begin_upload",
    "advance_upload",
    "delete_upload",
)
# Those of servers that share a store.
SHARED_STORE_WRITES = ("take_lease", "renew_lease", "give_back_lease", "tell")
# Those that come every half a minute, which is what a server that dies loses of them.
RARE_STORE_WRITES = ("add_usage",)

# What else lasts, or is told to others: between such a deed and its record the server may die.
DEEDS = (
    "checkpoint.linked",  # a named state's files are in their temporary folder
    "checkpoint.published",  # they have their name, and the store does not know it
    "job.admitted",  # slots are reserved, and nothing is started
    "job.workers_obtained",  # there are workers that the job was not given to
    "job.told_to_workers",  # they have begun, and the job is not RUNNING
    "events.fetched",  # from workers or their journals, and not stored
    "job.done",  # the workers are done, and the job is not
    "job.kept",  # the checkpoints that stay are known, and the job has not ended
    "job.stop_asked",  # of the workers, and nobody has seen them stop
    "job.failed",  # the workers of a failed attempt have been ended, and what follows is not decided
    "group.started",  # new workers have come up
    "group.ended",  # workers have been ended, and the store has them still
    "export.made",  # an export folder is there, and the registry does not know it
    "export.registered",  # the registry has the version, and the job has not ended
    "dataset.moved",  # the files of a version are where they are to stay, and the store does not know it
    "mlflow.run_made",  # MLflow has the run, and the store does not know it
    "mlflow.sent",  # a page of events has been sent, and the cursor stands before it
)


def names() -> list[str]:
    """Every failpoint."""
    writes = (*STORE_WRITES, *SHARED_STORE_WRITES, *RARE_STORE_WRITES)
    return [f"store.{write}.{side}" for write in writes for side in ("before", "after")] + list(DEEDS)


class InjectedFault(OSError):
    """What a failpoint raises: an error such as a full disk or a lost network would bring."""


class UnknownFailpoint(ValueError):
    """The environment names a failpoint that is not there, or an action that is none."""


@dataclass
class Armed:
    """A failpoint that acts."""

    name: str
    act: Callable[[str], None]
    only: int | None  # the hit at which it acts; None: at each
    hits: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def hit(self) -> None:
        with self.lock:
            self.hits += 1
            acts = self.only in (None, self.hits)
        if acts:
            self.act(self.name)


def _kill(name: str) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _terminate(name: str) -> None:
    os.kill(os.getpid(), signal.SIGTERM)


def _raise(name: str) -> None:
    raise InjectedFault(f"failpoint {name}")


def parse(text: str) -> dict[str, Armed]:
    """What the variable asks for, by failpoint. Raises UnknownFailpoint."""
    armed: dict[str, Armed] = {}
    known = set(names())
    for item in filter(None, (part.strip() for part in text.split(","))):
        name, _, action = item.partition("=")
        kind, _, value = action.partition(":")
        if f"{name}.before" in known:
            name += ".after" if kind == "exec_then_err" else ".before"
            kind = "err" if kind == "exec_then_err" else kind
        if name not in known:
            raise UnknownFailpoint(f"{VARIABLE}: there is no failpoint '{name}'; there are {', '.join(sorted(known))}")
        armed[name] = _action(name, kind, value)
    return armed


def _action(name: str, kind: str, value: str) -> Armed:
    try:
        if kind == "kill":
            return Armed(name, _kill, int(value or 1))
        if kind == "term":
            return Armed(name, _terminate, int(value or 1))
        if kind == "err":
            return Armed(name, _raise, int(value) if value else None)
        if kind == "slow":
            seconds = float(value)
            return Armed(name, lambda _: time.sleep(seconds), None)
    except ValueError:
        raise UnknownFailpoint(f"{VARIABLE}: '{value}' of {name} is no number") from None
    raise UnknownFailpoint(f"{VARIABLE}: {name} has no action '{kind}'; there are {', '.join(_ACTIONS)}")


_armed: Mapping[str, Armed] = parse(os.environ.get(VARIABLE, ""))

if _armed:
    logging.getLogger(__name__).warning("failpoints are on, for tests: %s", ", ".join(sorted(_armed)))


def fp(name: str) -> None:
    """Fail here if the environment says so. Costs a look at an empty mapping if not."""
    if _armed and (found := _armed.get(name)) is not None:
        found.hit()
