"""What a replica takes of a machine's cores."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from support.golden_exports import golden_export

# In a process of its own, as a replica is: a process keeps the team of every thread that ever computed in it.
_REPLICA = """
import os, sys, threading
from learnfleet.server.inference import wire
from learnfleet.server.inference.plan import ReplicaSettings
from learnfleet.server.inference.ports import InferOptions, PictureFile
from learnfleet.server.inference.replica import Replica

def others():
    return len(os.listdir("/proc/self/task")) - threading.active_count()

replica = Replica(ReplicaSettings("token", threads=3))
replica._computing.run(lambda: None)
before = others()  # torch has some that do nothing
picture = open(os.path.join(sys.argv[1], "input_example.png"), "rb").read()
for key in ("one", "two"):
    reply = replica.load(wire.LoadRequest(key, sys.argv[1]))
    assert not reply.error, reply.error
    asked = wire.InferRequest(key, InferOptions(), (PictureFile(picture),) * 4, 8)
    assert len(replica.infer(asked).items) == 4
print(others() - before)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="counts threads in /proc")
def test_of_its_threads_one_has_a_team_of_openmp_however_many_load_and_decode() -> None:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}  # as Ray sets it
    command = [sys.executable, "-c", _REPLICA, str(golden_export())]
    found = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert found.returncode == 0, found.stderr
    assert int(found.stdout) == 2
