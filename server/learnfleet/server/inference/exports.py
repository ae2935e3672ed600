"""Exports of learners as they are: what answers for `learners/{l}`, and what EXPORT jobs register."""

from __future__ import annotations

import json
from pathlib import Path
from threading import Lock

from learnfleet.server import names
from learnfleet.server.config import Config
from learnfleet.server.domain import Checkpoint
from learnfleet.server.errors import FailedPrecondition
from learnfleet.server.store.base import Store
from learnfleet.trainer import manifest
from learnfleet.trainer.export import export_from_checkpoint
from learnfleet.trainer.model_card import Facts


class LearnerExports:
    """Made when they are first asked for. Methods block."""

    def __init__(self, config: Config, store: Store) -> None:
        self._config, self._store = config, store
        self._lock = Lock()

    def newest(self, learner_id: str) -> tuple[str, Path]:
        """(name of the learner's newest checkpoint, export of it). Raises NotFound, FailedPrecondition."""
        learner = self._store.get_learner(learner_id)
        name = names.learner_name(learner_id)
        if learner.checkpoint_id is None:
            raise FailedPrecondition(name, f"{name} has not been trained yet; train it, then ask again")
        checkpoint = self._store.get_checkpoint(learner_id, learner.checkpoint_id)
        # By the content: a checkpoint's name may be used again for another state.
        folder = self._config.learner_dir(learner_id) / "serving" / checkpoint.model_sha256
        with self._lock:
            if not (folder / manifest.MANIFEST_FILE).exists():
                folder.parent.mkdir(parents=True, exist_ok=True)
                make_export(checkpoint, folder, self._store)
        return names.checkpoint_name(learner_id, checkpoint.id), folder


def make_export(checkpoint: Checkpoint, folder: Path, store: Store, facts: Facts = Facts()) -> Path:  # noqa: B008
    """An export of a checkpoint, with the metrics of the job that made it where that is known."""
    source = Path(checkpoint.path)
    state = json.loads((source / manifest.STATE_FILE).read_text())
    learner = store.get_learner(checkpoint.learner_id)
    metrics = (state.get("job") or {}).get("metrics") or {}
    known = {name: value for name, value in metrics.items() if value is not None}
    return export_from_checkpoint(source, folder, learner.spec, state["classes"], state["eval_transform"], known, facts)
