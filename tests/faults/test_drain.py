"""The control server is told to stop (SIGTERM) in every state of a job, while clients submit, cancel, pause and watch.

One stop a run. A stop is in order if the process ends with 0 in time, and no call that it had let in is left without
its answer; a run, if every job ends with the tensors of an undisturbed one. FAULTS_SEED plays it again.
"""

from __future__ import annotations

import pytest
from support.faults.campaign import ROUNDS, SEED, Disturbed
from support.faults.drains import PLACES, stop_at

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.mark.parametrize("seed", range(SEED, SEED + ROUNDS))
@pytest.mark.parametrize("place", PLACES)
def test_a_server_that_is_told_to_stop_at(place: str, seed: int, lightly_disturbed: Disturbed) -> None:
    stop_at(place, seed, lightly_disturbed)
