"""The harness finds bugs: each of those planted here is caught by the validator that is there for it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pytest
from support.faults.campaign import Disturbed, play
from support.faults.scenes import ENDLESS, LEARNER, Scene, Stage, cancelled, everyday, tracked

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


def goes_on(stage: Stage) -> None:
    """A job is stopped after the server was killed and has begun another attempt, which it should not."""
    job = stage.load.train(LEARNER, ENDLESS)
    stage.load.watch(job)
    with contextlib.suppress(AssertionError):
        begun = stage.load.until(job, lambda found: found.attempt > 1, "another attempt").progress.epoch
        stage.load.until(job, lambda found: found.progress.epoch > begun + 3, "what it does")
    stage.load.cancel(job)
    stage.load.until_ended(job)


# Bug, what the server dies of meanwhile, what clients do, who says what is wrong.
PLANTED: list[tuple[str, str, Scene, set[str]]] = [
    ("acknowledges_before_it_commits", "store.create_job.before=kill", everyday, {"no_job_is_lost"}),
    ("forgets_request_ids", "store.create_job.after=kill", everyday, {"a_request_makes_one_job"}),
    ("repeats_an_event_on_resume", "events.fetched=kill:2", everyday, {"watchers_see_every_event_once"}),
    ("skips_an_event_on_resume", "events.fetched=kill:2", everyday, {"watchers_see_every_event_once"}),
    ("runs_again_what_has_ended", "store.transition.succeeded.after=kill", everyday, {"states_follow_the_table"}),
    ("leaves_old_workers_at_work", "events.fetched=kill:2", goes_on, {"no_job_runs_twice"}),
    ("forgets_a_cancellation", "store.set_wanted.after=kill", cancelled, {"no_job_is_lost", "a_cancelled_job_stops"}),
    ("takes_what_was_stored_for_sent", "mlflow.sent=kill", tracked, {"mlflow_has_every_point_once"}),
    ("leaves_the_learner_behind", "job.done=kill", everyday, {"tensors"}),
]


@pytest.fixture
def buggy(lightly_disturbed: Disturbed) -> Iterator[Disturbed]:
    """Without bugs again afterwards."""
    yield lightly_disturbed
    lightly_disturbed.server.sabotage = ""
    lightly_disturbed.server.kill()


@pytest.mark.parametrize(("bug", "failpoints", "scene", "caught_by"), PLANTED, ids=[row[0] for row in PLANTED])
def test_a_planted_bug_is_caught(
    bug: str, failpoints: str, scene: Scene, caught_by: set[str], buggy: Disturbed
) -> None:
    run = play(buggy, failpoints, scene, seed=1, patience_s=60, sabotage=bug)
    assert caught_by & set(run.wrong), str(run) or "nothing was found wrong"
