"""GetJobLogs: what a job's workers and its server have logged, followed until the job ends."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from datetime import UTC, datetime

from learnfleet.server import names
from learnfleet.server.config import Config
from learnfleet.server.domain import Json
from learnfleet.server.errors import Draining
from learnfleet.server.rpc.hub import EventHub
from learnfleet.server.rpc.violations import Violations
from learnfleet.server.rpc.write_job import SEVERITY_NUMBERS, timestamp
from learnfleet.server.scheduling.job_log import LOG_FILE, LogReader
from learnfleet.server.store.base import Store
from learnfleet.server.text import utf8
from learnfleet.v1 import job_service_pb2 as pb

_LINES_A_MESSAGE = 200
_POSITION_DIGITS = 18
_POLL_S = 1.0  # for lines that another server has gathered: they come with no wake-up here


@dataclass(frozen=True)
class JobLogs:
    """Streams the lines of a job's log, from any server that sees the data directory."""

    config: Config
    store: Store
    hub: EventHub

    async def messages(self, request: pb.GetJobLogsRequest) -> AsyncGenerator[pb.GetJobLogsResponse, None]:
        found = Violations()
        job_id = found.attempt(lambda: names.parse_job(request.name))
        position = request.after_position or "0"
        is_ours = position.isdecimal() and len(position) <= _POSITION_DIGITS
        found.check(is_ours, "after_position", "is none that this server gave; use `position` of an entry as it was")
        severity = request.min_severity
        found.check(severity in (0, *SEVERITY_NUMBERS.values()), "min_severity", f"{severity} is no Severity")
        found.raise_if_any()
        assert job_id is not None
        job = await asyncio.to_thread(self.store.get_job, job_id)
        path = self.config.job_dir(job.learner_id, job_id) / LOG_FILE
        reader = LogReader(path, int(position))
        with self.hub.watching(job_id):
            while True:
                ticket = self.hub.ticket(job_id)
                # The job is read before its log: if it had ended by then, all lines are there.
                job = await asyncio.to_thread(self.store.get_job, job_id)
                lines = await asyncio.to_thread(reader.next, _LINES_A_MESSAGE)
                told = [_to_proto(line) for line in lines if SEVERITY_NUMBERS[line["severity"]] >= severity]
                position = lines[-1]["line"] if lines else position
                if told:
                    yield pb.GetJobLogsResponse(entries=told)
                if lines:
                    continue
                if job.state.final or not request.follow:
                    return
                if self.hub.is_closed:
                    why = f"the server is stopping; ask again, after_position {position}"
                    raise Draining(why, {"after_position": str(position)})
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(ticket.wait(), _POLL_S)


def _to_proto(line: Json) -> pb.LogEntry:
    return pb.LogEntry(
        position=str(line["line"]),
        time=timestamp(datetime.fromtimestamp(line["time_s"], UTC)),
        attempt=line["attempt"],
        rank=line["rank"],
        severity=SEVERITY_NUMBERS[line["severity"]],
        logger=utf8(line["logger"]),
        message=utf8(line["message"]),
    )
