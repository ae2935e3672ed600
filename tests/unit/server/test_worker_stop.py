"""What a worker answers of a run that was asked to stop."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.memory_data import a_learner

from learnfleet.server.domain import ExamineWork, InterpretWork, PredsWork, ValidateWork
from learnfleet.server.store.rows import work_to_json
from learnfleet.server.workers.protocol import ExamineRun, RunRequest, StartState
from learnfleet.server.workers.run import Run, execute, final_token

WORKS = [ValidateWork(), PredsWork(), InterpretWork()]


@pytest.mark.parametrize("work", WORKS, ids=lambda work: type(work).__name__)
def test_an_examination_that_is_asked_to_stop_says_so_and_leaves_the_state_in_memory(
    tmp_path: Path, work: ExamineWork
) -> None:
    start = StartState(str(tmp_path), "token")
    request = RunRequest("job", 1, ExamineRun(work_to_json(work)), {}, start, None, str(tmp_path), str(tmp_path))
    run = Run(request, rank=0)
    run.stop_requested.set()
    outcome = execute(a_learner(), run)
    assert outcome == {"stopped": True}
    assert final_token(request, outcome) == "token"
