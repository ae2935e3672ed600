"""Stops in order: where, and what must hold of each."""

from __future__ import annotations

from support.faults.campaign import Disturbed, hits, play, progressed
from support.faults.scenes import scene_of

from learnfleet.server.domain import JobState
from learnfleet.server.failpoints import DEEDS

WITHIN_S = 30.0

# As a job comes into each of its states and as it is in it, before and after each deed on its way, and in the middle of
# what else callers ask for.
PLACES = (
    *(f"store.transition.{state}.{side}" for state in JobState for side in ("before", "after")),
    *DEEDS,
    *(f"store.{write}.before" for write in ("create_job", "append_events", "set_wanted", "put_group", "delete_job")),
    *(f"store.{write}.after" for write in ("create_job", "append_events", "set_wanted", "put_group", "delete_job")),
    *(f"store.{write}.after" for write in ("begin_upload", "advance_upload", "add_version", "put_checkpoint")),
)


def stop_at(place: str, seed: int, disturbed: Disturbed) -> None:
    """One run. Raises AssertionError."""
    scene, most = scene_of(place)
    nth = hits(place, seed, most)
    run = play(disturbed, f"{place}=term:{nth}", scene, seed)
    told = f"{place}=term:{nth} in the scene {scene.__name__}, seed {seed}"
    assert not run.wrong, f"{told}: {run}"
    assert [drain.status for drain in run.drains] == [0], f"{told}: it does not end in order: {run.drains}"
    (drain,) = run.drains
    assert not drain.cut_off, f"{told}: calls were cut off"
    assert drain.took_s <= WITHIN_S, f"{told}: it took {drain.took_s:.1f} s"
    assert progressed(run.history), f"{told}: too little happened to mean anything"
