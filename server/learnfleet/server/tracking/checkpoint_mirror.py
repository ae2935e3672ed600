"""Checkpoints of training jobs as artifacts: those that the job's policy keeps, and no others."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from learnfleet.server import names
from learnfleet.server.config import Config
from learnfleet.server.domain import Job, TrainWork
from learnfleet.server.store.base import Store
from learnfleet.server.tracking.checkpoint_folder import FOLDER, CheckpointFolder, newest_first, total_bytes
from learnfleet.server.tracking.job_export import CONSUMER as LOG_CONSUMER
from learnfleet.server.tracking.mlflow_client import Connect
from learnfleet.server.tracking.sending import RunWriter, refusal
from learnfleet.server.tracking.tables import note_table, table_json
from learnfleet.trainer import manifest

CONSUMER = "mlflow-checkpoints"
TABLE = "checkpoints.json"
# While a job runs its checkpoints take at most a quarter of the time: a slow line is for the points too.
_REST = 3.0

_log = logging.getLogger(__name__)


class CheckpointMirror:
    """Makes the checkpoints among a run's artifacts the same as those on the disk.

    The disk is what the policy has left, so that whatever is added or pruned there, by whichever attempt, while MLflow
    is away or no server runs, comes to the same: there is no list of what is still to be sent or removed.
    """

    def __init__(
        self, config: Config, store: Store, connect: Connect, clock_s: Callable[[], float] = time.monotonic
    ) -> None:
        self._config, self._store, self._connect, self._clock_s = config, store, connect, clock_s
        self._sent: dict[str, list[str]] = {}  # what was kept when it was last sent, by job
        self._not_before_s: dict[str, float] = {}  # by job

    def forget(self) -> None:
        """What was sent: somebody else may have sent more."""
        self._sent.clear()
        self._not_before_s.clear()

    def export(self, job_id: str) -> float | None:
        """Bring the job's run up to date, and the seconds until the next time at the soonest. Safe to repeat."""
        job = self._store.get_job(job_id)
        if job.tracking is None and not self._can_have_no_run(job):
            return None  # whoever makes the run tells of it
        rest_s = self._not_before_s.get(job_id, 0.0) - self._clock_s()
        if rest_s > 0 and not job.state.final:
            return rest_s
        if isinstance(job.work, TrainWork) and job.tracking is not None:
            why = refusal(partial(self._mirror, job, str(job.tracking["run_id"])))
            if why:
                _log.warning("jobs/%s: MLflow does not get its checkpoints: %s", job.id, why)
        self._store.advance_cursor(CONSUMER, job_id, job.last_sequence)
        if job.state.final:
            self._sent.pop(job_id, None)
            self._not_before_s.pop(job_id, None)
        return None

    def _can_have_no_run(self, job: Job) -> bool:
        return job.state.final and self._store.cursor(LOG_CONSUMER, job.id) >= job.last_sequence

    def _mirror(self, job: Job, run_id: str) -> None:
        kept = self._kept(job)
        names_kept = [path.name for path in kept]
        if not job.state.final and names_kept == self._sent.get(job.id, []):
            return
        began_s = self._clock_s()
        client = self._connect(self._config)
        run = client.get_run(run_id)
        if run.info.lifecycle_stage == "deleted":
            return
        folder = CheckpointFolder(run.info.artifact_uri, self._config.tracking_uri)
        before = folder.names()
        there = self._put(folder, kept, before)
        for name in before:
            if name not in there:
                folder.remove(name)
        if kept or before:
            self._send_table(RunWriter(client, run_id, f"jobs/{job.id}"), job, kept, there)
        self._sent[job.id] = names_kept
        now_s = self._clock_s()
        self._not_before_s[job.id] = now_s + _REST * (now_s - began_s)

    def _put(self, folder: CheckpointFolder, kept: Sequence[Path], before: Sequence[str]) -> set[str]:
        """The names of those that are there now. The newest goes first: it is what somebody would want most."""
        there = set()
        for path in kept:
            try:
                if total_bytes(path) > self._config.mlflow_checkpoint_max_mb * 1_000_000:
                    continue
                if path.name not in before or not folder.is_complete(path.name):
                    folder.put(path)
                there.add(path.name)
            except (manifest.CorruptCheckpoint, FileNotFoundError) as error:
                _log.info("%s is not sent to MLflow: %s", path, error)  # pruned at this moment, or broken
        return there

    def _kept(self, job: Job) -> list[Path]:
        """Of a job that is over what was given a name; of others, and where nothing was, all that its folder has."""
        named = [Path(found.path) for found in self._store.list_checkpoints(job.learner_id)] if job.state.final else []
        mine = [path for path in named if _job_of(path) == job.id and path.is_dir()]
        return newest_first(mine) or manifest.list_checkpoints(self._config.checkpoint_root(job.learner_id), job.id)

    def _send_table(self, writer: RunWriter, job: Job, kept: Sequence[Path], there: set[str]) -> None:
        """A table of them all, also of those that are too large to be sent: they are found by their names."""
        lines = [self._line(job, path, path.name in there) for path in kept]
        metrics = list(dict.fromkeys(name for line in lines for name in line[-1]))
        columns = ["checkpoint", "step", "epoch", *metrics, "megabytes", "model_sha256", "path", "artifact"]
        text = table_json(columns, [[*line[:3], *map(line[-1].get, metrics), *line[3:-1]] for line in lines])
        writer.attempt(TABLE, partial(writer.client.log_text, writer.run_id, text, TABLE))
        writer.attempt(f"note of {TABLE}", partial(note_table, writer.client, writer.run_id, TABLE))
        writer.note()

    def _line(self, job: Job, path: Path, is_there: bool) -> list[Any]:
        try:
            described = manifest.read_manifest(path)
        except manifest.CorruptCheckpoint as error:
            return [path.name, None, None, None, None, str(path), str(error), {}]
        info = manifest.info(path, described)
        megabytes = round(info.size_bytes / 1e6, 3)
        artifact = f"{FOLDER}/{path.name}" if is_there else ""
        name = self._name(job, path)
        return [name, info.step, info.epoch, megabytes, info.model_sha256, str(path), artifact, described.metrics]

    def _name(self, job: Job, path: Path) -> str:
        """The checkpoint's resource name, once it has one."""
        if not job.state.final:
            return path.name
        found = self._store.list_checkpoints(job.learner_id)
        ids = (checkpoint.id for checkpoint in found if Path(checkpoint.path) == path)
        return next((names.checkpoint_name(job.learner_id, one) for one in ids), path.name)


def _job_of(path: Path) -> str | None:
    name = manifest.CheckpointName.parse(path.name)
    return name.job_id if name else None
