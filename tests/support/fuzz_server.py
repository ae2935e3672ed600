"""A server for fuzzing as a process of its own: `python -m support.fuzz_server FOLDER ROOT`, until its input ends.

Its first line is its address, the second has names of what it knows, separated by blanks.
"""

from __future__ import annotations

import sys
from pathlib import Path

from support.rpc_server import FakeRuntime, running_server

from learnfleet.server.domain import Job
from learnfleet.server.store.sql import SqlStore
from learnfleet.v1 import job_pb2, learner_pb2, training_service_pb2


class Forgetful(FakeRuntime):
    """Remembers nothing of what it is told: its memory is watched."""

    def job_queued(self, job: Job) -> None:
        pass


def main(folder: Path, root: Path) -> None:
    store = SqlStore(f"sqlite:///{folder / 'fuzz.db'}")
    with running_server(folder, root, store=store, runtime=Forgetful(store), max_queued=500) as server:
        data = learner_pb2.DataSpec(folder=learner_pb2.FolderSource(path="pets"), batch_size=4)
        spec = learner_pb2.LearnerSpec(data=data, architecture="resnet18")
        fit = job_pb2.Stage(fit=job_pb2.Fit(epochs=1))
        job = server.training.Train(training_service_pb2.TrainRequest(learner_spec=spec, stages=[fit]))
        server.train_to_a_checkpoint(job.name)
        known = [job.name, job.learner, f"{job.learner}/checkpoints/{job.name.removeprefix('jobs/')}", "pets"]
        sys.stdout.write(f"{server.address}\n{' '.join(known)}\n")
        sys.stdout.flush()
        sys.stdin.read()


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
