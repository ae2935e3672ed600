"""What would become of a job, as a server sees it that does not schedule: by the store, and not to the second."""

from __future__ import annotations

import math

from learnfleet.server.config import Config
from learnfleet.server.domain import JobBrief
from learnfleet.server.rpc.ports import Capacity
from learnfleet.server.scheduling.planner import AtWork, Planner
from learnfleet.server.scheduling.policy import is_waiting
from learnfleet.server.scheduling.situation import Held, Verdict
from learnfleet.server.store.base import Store


def preview_from_store(config: Config, store: Store, capacity: Capacity, job: JobBrief) -> Verdict:
    """As if all jobs at work had run for long, and their workers were wherever there is room."""
    unfinished = store.unfinished_jobs()
    waiting = [each for each in unfinished if is_waiting(each, set())]
    at_work = [AtWork(each, -math.inf, each.priority, is_stopping=False) for each in unfinished if each.state.at_work]
    busy = {item.job.learner_id for item in at_work}
    held = [Held(group.learner_id, group.resources, group.learner_id not in busy) for group in store.list_groups()]
    return Planner(config, store).preview(job, waiting, at_work, held, capacity)
