"""What every store promises. One contract test (tests/contract) runs against each of them."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from learnfleet.server.domain import (
    Cause,
    Checkpoint,
    Group,
    Job,
    JobBrief,
    JobKind,
    JobState,
    Json,
    Learner,
    NewEvent,
    StoredEvent,
    Wanted,
)
from learnfleet.server.store.datasets import DatasetStore
from learnfleet.server.store.lease import Lease
from learnfleet.server.store.notices import Topic
from learnfleet.server.store.paging import Page as Page


@dataclass(frozen=True)
class JobFilter:
    """Which jobs to list."""

    learner_id: str | None = None
    states: tuple[JobState, ...] = ()
    kinds: tuple[JobKind, ...] = ()
    tenant: str | None = None


@dataclass(frozen=True)
class LogPage:
    """Some events of a job, in order, and whether it has ended and these are its last."""

    events: list[StoredEvent]
    is_over: bool


class Store(DatasetStore):
    """The only truth about learners, jobs and events.

    Methods block and are safe to call from several threads. Each is one transaction: all of it is durable when it
    returns, or none of it happened. Times are timezone-aware UTC. All may raise StoreUnavailable, after which a
    write may have happened nevertheless.
    """

    # -- learners and jobs are created together, so that a refused job leaves no learner behind

    @abstractmethod
    def create_job(
        self, job: Job, *, learner: Learner | None, fingerprint: str, most_unfinished: int | None = None
    ) -> Job:
        """Insert `job` (and its new `learner`), with a first `state` event, and return it as stored.

        With a `request_id` that an earlier job of the tenant's has: return that job if its `fingerprint` (SHA-256 of
        the canonical request) is the same, else raise AlreadyExists; nothing is inserted. Raises AlreadyExists if the
        learner's id is taken, NotFound if `learner` is None and `job.learner_id` does not exist, ResourceExhausted if
        the tenant has `most_unfinished` jobs already that have not ended.
        """

    @abstractmethod
    def get_learner(self, learner_id: str) -> Learner:
        """Raises NotFound."""

    @abstractmethod
    def list_learners(self, page: Page, tenant: str | None = None) -> tuple[list[Learner], str]:
        """A page of a tenant's or (None) of everybody's, and the next page's token ("" on the last).

        Raises InvalidArgument for a bad token.
        """

    @abstractmethod
    def update_learner(self, learner: Learner) -> Learner:
        """Write its classes, frozen_to, checkpoint_id, epochs and steps; `revision` and `updated_at` move on.

        Raises FailedPrecondition if somebody else has changed it since `learner.revision`, NotFound.
        """

    @abstractmethod
    def delete_learner(self, learner_id: str) -> None:
        """Forget a learner with its jobs, their events and its checkpoints. Its id may be used again.

        Raises FailedPrecondition while one of its jobs has not ended, WorkersEnding while it has a worker group,
        NotFound.
        """

    # -- owners

    @abstractmethod
    def tenant_of_learner(self, learner_id: str) -> str | None:
        """None where there is no such learner."""

    @abstractmethod
    def tenant_of_job(self, job_id: str) -> str | None:
        """None where there is no such job."""

    # -- checkpoints

    @abstractmethod
    def put_checkpoint(self, checkpoint: Checkpoint) -> None:
        """Insert or replace by (learner_id, id). Raises NotFound for the learner."""

    @abstractmethod
    def get_checkpoint(self, learner_id: str, checkpoint_id: str) -> Checkpoint:
        """Raises NotFound."""

    @abstractmethod
    def get_checkpoints(self, ids: Sequence[tuple[str, str]]) -> dict[tuple[str, str], Checkpoint]:
        """By (learner_id, id). Those that do not exist are left out."""

    @abstractmethod
    def list_checkpoints(self, learner_id: str) -> list[Checkpoint]:
        """All of a learner that have a name, newest first. Raises NotFound for the learner."""

    # -- jobs

    @abstractmethod
    def get_job(self, job_id: str) -> Job:
        """Raises NotFound."""

    @abstractmethod
    def list_jobs(self, page: Page, where: JobFilter = JobFilter()) -> tuple[list[Job], str]:
        """A page and the next page's token ("" on the last). Raises InvalidArgument for a bad token."""

    @abstractmethod
    def active_jobs(self, learner_ids: Sequence[str]) -> dict[str, str]:
        """By learner, the id of its oldest unfinished job that has left the queue, else of its oldest queued one."""

    @abstractmethod
    def unfinished_jobs(self) -> list[JobBrief]:
        """All jobs that are not in a final state, in the order in which they were created."""

    @abstractmethod
    def transition(
        self,
        job_id: str,
        to: JobState,
        reason: str = "",
        *,
        attempt: int | None = None,
        start_checkpoint_id: str | None = None,
        result: Json | None = None,
        learner: Learner | None = None,
        checkpoint: Checkpoint | None = None,
        cause: Cause | None = None,
        retries: Mapping[str, int] | None = None,
        workers: int | None = None,
        exact: bool | None = None,
    ) -> Job:
        """Move a job on by the table in job_states.py, with its `state` event, and with it whatever else is given.

        `attempt`, `start_checkpoint_id`, `result`, `cause` (which its event tells, too), `retries`, `workers` and
        `exact` are written to the job; `learner` as by update_learner and
        `checkpoint` as by put_checkpoint, in the same transaction. Sets started_at on the first RUNNING and ended_at
        on a final state. Moving to the state it is in already changes nothing but `reason`. Raises IllegalTransition,
        NotFound.
        """

    @abstractmethod
    def set_wanted(self, job_id: str, wanted: Wanted) -> Job:
        """Say what is asked of a job that has not ended.

        Raises FailedPrecondition if it has, or if it is being cancelled, from which there is no way back; NotFound.
        """

    @abstractmethod
    def delete_job(self, job_id: str) -> None:
        """Forget a job that has ended, with its events, and the checkpoint of its name unless that is still needed.

        Needed is one that the learner stands on, that an unfinished job started from, or that the job's policy keeps.
        Raises FailedPrecondition if the job has not ended, NotFound.
        """

    @abstractmethod
    def set_reasons(self, reasons: Mapping[str, str]) -> None:
        """Say anew, by job, why they wait (no event). Jobs no longer QUEUED or RESTARTING are left alone.

        Many are written in several transactions.
        """

    @abstractmethod
    def set_tracking(self, job_id: str, tracking: Json) -> None:
        """Write where the tracking server holds the job, unless that is known: the first to say so is right."""

    # -- events

    @abstractmethod
    def append_events(self, job_id: str, events: Sequence[NewEvent]) -> int:
        """Append all or none, number them on from the last, and return the last number.

        Safe to repeat: events whose id the job has already are dropped. `progress` of the job becomes the data of the
        last `batch` or `epoch` event. Raises NotFound.
        """

    @abstractmethod
    def read_events(self, job_id: str, after: int, limit: int = 500) -> list[StoredEvent]:
        """The next events after sequence number `after`, in order. Raises NotFound."""

    @abstractmethod
    def read_log(self, job_id: str, after: int, limit: int) -> LogPage:
        """As read_events, with what a watcher wants to know at the same moment. Raises NotFound."""

    @abstractmethod
    def last_sequences(self, job_ids: Sequence[str]) -> dict[str, int]:
        """The number of each job's last event. Jobs that do not exist are left out."""

    # -- exporters: consumers of the event log with a durable place in it

    @abstractmethod
    def cursor(self, consumer: str, job_id: str) -> int:
        """The last sequence number that `consumer` has dealt with; 0 at first."""

    @abstractmethod
    def advance_cursor(self, consumer: str, job_id: str, sequence: int) -> None:
        """Remember it; never moves backwards."""

    @abstractmethod
    def jobs_behind(self, consumer: str, limit: int = 100) -> list[str]:
        """Ids of jobs with events after `consumer`'s cursor, oldest first."""

    # -- worker groups

    @abstractmethod
    def next_generation(self, learner_id: str) -> int:
        """A number that no earlier call for this learner has returned; starts with 1. Durable before it returns."""

    @abstractmethod
    def put_group(self, group: Group) -> None:
        """Insert or replace the learner's group."""

    @abstractmethod
    def delete_group(self, learner_id: str) -> None:
        """Forget the learner's group, if there is one."""

    @abstractmethod
    def list_groups(self) -> list[Group]:
        """All groups."""

    # -- several servers on one store

    @property
    @abstractmethod
    def is_shared(self) -> bool:
        """Whether other servers may work on it at the same time."""

    @abstractmethod
    def get_lease(self, name: str) -> Lease | None:
        """None: nobody has ever had it."""

    @abstractmethod
    def take_lease(self, name: str, holder: str, seen: Lease | None) -> Lease | None:
        """Take it for a new term from whoever has it, if it still is as it was `seen`; else None.

        Waits for writes that are under way in the term before; later ones are refused.
        """

    @abstractmethod
    def renew_lease(self, lease: Lease) -> bool:
        """Move its beat on; False if it is another's by now."""

    @abstractmethod
    def give_back_lease(self, lease: Lease) -> None:
        """Let others take it at once. Nothing happens if it is another's by now."""

    @abstractmethod
    def fenced(self, lease: Lease) -> Store:
        """This store, whose writes raise Deposed, and change nothing, once somebody else has taken the lease."""

    @abstractmethod
    def tell(self, topic: Topic, subject: str) -> None:
        """Announce something to the other servers (notices.py). They may miss it."""

    # -- use of the cluster, for fair shares

    @abstractmethod
    def usage(self, half_life_s: float) -> dict[str, float]:
        """What each tenant has used, by tenant; what lies a half-life back counts half."""

    @abstractmethod
    def add_usage(self, added: Mapping[str, float], half_life_s: float) -> None:
        """Add to what is stored, by tenant. The half-life must be the same in all calls."""

    @abstractmethod
    def close(self) -> None:
        """Release files and connections."""
