"""A callback that plants a bug in the worker that builds it: what workers do wrong, the harness must catch, too.

Nothing of the product can be made to misbehave like this: the bugs are put in from outside, as in sabotage.py.
"""

from __future__ import annotations

import types
from collections.abc import Callable
from pathlib import Path

from learnfleet.trainer import checkpoint, learner_state, manifest
from learnfleet.trainer.callback import Callback
from learnfleet.trainer.checkpoint import Snapshot
from learnfleet.trainer.learner import Learner

NAME = "buggy"


def writes_in_place() -> None:
    """A checkpoint has its name while it is being written, and what is there of one that failed stays."""

    def at_once(folder: Path) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    manifest.temporary_for = at_once
    manifest.publish = lambda temporary, folder: None
    checkpoint.shutil = types.SimpleNamespace(rmtree=lambda *_, **__: None)  # type: ignore[assignment, attr-defined]


def loses_its_moments() -> None:
    """An optimiser that is restored begins anew."""

    def restore_optimizer(learner: Learner, snapshot: Snapshot, *, partly: bool = False) -> None:
        learner.opt = None

    learner_state.restore_optimizer = restore_optimizer


BUGS: dict[str, Callable[[], None]] = {bug.__name__: bug for bug in (writes_in_place, loses_its_moments)}


class Buggy(Callback):
    """Does nothing itself.

    Args:
        bug: by name, see BUGS.
    """

    def __init__(self, bug: str) -> None:
        BUGS[bug]()
