"""The control server is killed at every failpoint, while clients submit, repeat themselves, cancel and watch.

One fault a run. A run counts only if the server was killed and enough went on; FAULTS_SEED plays it again.

Light workers are real processes that outlive the server and do all that workers do but train (light_worker.py): with
them the walk takes minutes. Workers on Ray, which train for real, are at stake at the moments that concern them.
"""

from __future__ import annotations

import pytest
from support.faults.campaign import ROUNDS, SEED, Disturbed, hits, play, progressed
from support.faults.scenes import scene_of

from learnfleet.server.failpoints import DEEDS, RARE_STORE_WRITES, SHARED_STORE_WRITES, STORE_WRITES, names

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

# A store that nobody shares has no leases: test_shared_store.py. Nor does a scene last until the rare ones come.
_ELSEWHERE = tuple(f"store.{write}." for write in (*SHARED_STORE_WRITES, *RARE_STORE_WRITES))
ALONE = [name for name in names() if not name.startswith(_ELSEWHERE)]


def kill_at(failpoint: str, seed: int, disturbed: Disturbed) -> None:
    scene, most = scene_of(failpoint)
    nth = hits(failpoint, seed, most)
    run = play(disturbed, f"{failpoint}=kill:{nth}", scene, seed)
    told = f"{failpoint}=kill:{nth} in the scene {scene.__name__}, seed {seed}"
    assert not run.wrong, f"{told}: {run}"
    assert run.deaths == 1, f"{told}: it does not come to the failpoint"
    assert progressed(run.history), f"{told}: too little happened to mean anything"


@pytest.mark.parametrize("seed", range(SEED, SEED + ROUNDS))
@pytest.mark.parametrize("failpoint", ALONE)
def test_nothing_is_lost_doubled_or_different_when_a_server_with_light_workers_is_killed_at(
    failpoint: str, seed: int, lightly_disturbed: Disturbed
) -> None:
    kill_at(failpoint, seed, lightly_disturbed)


@pytest.mark.parametrize("seed", range(SEED, SEED + ROUNDS))
@pytest.mark.parametrize("failpoint", DEEDS)
def test_nothing_is_lost_doubled_or_different_when_a_server_with_workers_on_ray_is_killed_at(
    failpoint: str, seed: int, disturbed: Disturbed
) -> None:
    kill_at(failpoint, seed, disturbed)


@pytest.mark.parametrize("action", ["err:1", "exec_then_err:1"])
@pytest.mark.parametrize("write", [f"store.{write}" for write in STORE_WRITES])
def test_nothing_is_lost_doubled_or_different_with_light_workers_when_a_write_fails_or_is_made_and_said_to_have_failed(
    write: str, action: str, lightly_disturbed: Disturbed
) -> None:
    scene, _ = scene_of(write)
    run = play(lightly_disturbed, f"{write}={action}", scene, SEED)
    wrong = {name: found for name, found in run.wrong.items() if name != "refused"}  # callers may be told of it
    assert not wrong, f"{write}={action}: {run}"
    assert progressed(run.history)
