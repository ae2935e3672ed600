"""What the store knows of an exported checkpoint: how much it was trained on, and what an interpretation found."""

from __future__ import annotations

import json
import logging
from pathlib import Path

from learnfleet.server import names
from learnfleet.server.config import Config
from learnfleet.server.domain import Checkpoint, InterpretWork, Job, JobKind, JobState, Json
from learnfleet.server.errors import NotFound
from learnfleet.server.store.base import JobFilter, Page, Store
from learnfleet.server.workers.run import INTERPRETATION_DIR, INTERPRETATION_FILE
from learnfleet.trainer import manifest
from learnfleet.trainer.data_spec import LabelKind
from learnfleet.trainer.model_card import ConfusedPair, Confusion, DataFacts, Facts

_INTERPRETATIONS_LOOKED_AT = 50
_CLASSES = str(LabelKind.CATEGORY)
_MOST_CONFUSED = 10
_MATRIX_CLASSES = 100  # a larger matrix makes a card of megabytes

_log = logging.getLogger(__name__)


def facts_of(checkpoint: Checkpoint, config: Config, store: Store) -> Facts:
    """What the store knows of a checkpoint, for the card of its export."""
    spec = store.get_learner(checkpoint.learner_id).spec
    counts = _counts(manifest.read_manifest(Path(checkpoint.path)).job_id, store)
    dataset = spec.data.dataset.name if spec.data.dataset else ""
    data = DataFacts(dataset, counts.get("train"), counts.get("valid"))
    return Facts(data, _confusion(checkpoint, config, store), names.learner_name(checkpoint.learner_id))


def _counts(job_id: str, store: Store) -> Json:
    """How many items the job had read, as it told when it began. Empty for one that was deleted."""
    try:
        events = store.read_events(job_id, 0)
    except NotFound:
        return {}
    return next((stored.event.data["counts"] for stored in events if stored.event.kind == "data"), {})


def _confusion(checkpoint: Checkpoint, config: Config, store: Store) -> Confusion | None:
    """What the newest interpretation of this very state found, if there is one of classes."""
    wanted = JobFilter(checkpoint.learner_id, (JobState.SUCCEEDED,), (JobKind.INTERPRET,))
    jobs, _ = store.list_jobs(Page(_INTERPRETATIONS_LOOKED_AT, ""), wanted)
    for job in jobs:
        # A checkpoint's name may be used again for another state; and an interpretation may be of another model.
        is_later = job.start_checkpoint_id == checkpoint.id and job.created_at >= checkpoint.created_at
        if is_later and isinstance(job.work, InterpretWork) and job.work.subject is None:
            return _confusion_found(job, job.work, config)
    return None


def _confusion_found(job: Job, work: InterpretWork, config: Config) -> Confusion | None:
    file = config.job_dir(job.learner_id, job.id) / INTERPRETATION_DIR / INTERPRETATION_FILE
    try:
        found = json.loads(file.read_text())
        is_of_classes = found.get("kind", _CLASSES) == _CLASSES  # of masks pixels would be counted
        if not is_of_classes or not found["confusion_matrix"] or found["accuracy"] is None:
            return None
        pairs = tuple(
            ConfusedPair(pair["actual"], pair["predicted"], pair["count"])
            for pair in found["most_confused"][:_MOST_CONFUSED]
        )
        matrix = found["confusion_matrix"] if len(found["confusion_matrix"]) <= _MATRIX_CLASSES else ()
        return Confusion(
            names.interpretation_name(job.id),
            work.dataset,
            found["examples"],
            found["accuracy"],
            pairs,
            tuple(tuple(row) for row in matrix),
        )
    except (OSError, ValueError, KeyError, TypeError):  # a card without it is a card all the same
        _log.warning("the interpretation of jobs/%s is left out of a model card", job.id, exc_info=True)
        return None
