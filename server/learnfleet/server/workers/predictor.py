"""Predictions: model references resolved to export folders, and asked of a warm process."""

from __future__ import annotations

import json
import logging
import time
from pathlib import Path
from threading import Lock

from learnfleet.server import names
from learnfleet.server.config import Config
from learnfleet.server.domain import Checkpoint
from learnfleet.server.errors import FailedPrecondition, Unavailable
from learnfleet.server.inference.ports import Answered, InferOptions, ModelInfo
from learnfleet.server.store.base import Store
from learnfleet.server.tracking.registry import ModelRegistry
from learnfleet.server.workers.cluster import RayCluster
from learnfleet.server.workers.predict_worker import Answer
from learnfleet.server.workers.protocol import WorkerDied
from learnfleet.trainer import manifest
from learnfleet.trainer.data_spec import LabelKind
from learnfleet.trainer.export import export_from_checkpoint, read_export

_log = logging.getLogger(__name__)


class PredictionPool:
    """Answers Predict. Methods block."""

    def __init__(self, config: Config, store: Store, cluster: RayCluster, registry: ModelRegistry) -> None:
        self._config, self._store, self._cluster, self._registry = config, store, cluster, registry
        self._lock = Lock()
        self._known: dict[str, ModelInfo] = {}

    def predict(self, model: str, image: bytes, options: InferOptions) -> Answered:
        """What a model says of a picture file."""
        began = time.perf_counter()
        export, _ = self.resolve(model)
        answer = self._ask(str(export), image, options)
        if answer.bad_image is not None:
            return Answered(error=answer.bad_image)
        total_s = time.perf_counter() - began
        probabilities = answer.probabilities
        is_one = answer.kind is LabelKind.CATEGORY
        return Answered(
            kind=answer.kind,
            index=max(range(len(probabilities)), key=probabilities.__getitem__) if is_one else -1,
            probabilities=probabilities,
            labels=answer.labels,
            values=answer.values,
            mask_png=answer.mask_png,
            picture_png=answer.picture_png,
            queue_s=max(0.0, total_s - answer.decode_s - answer.infer_s),
            decode_s=answer.decode_s,
            infer_s=answer.infer_s,
            batch_size=1,
        )

    def describe(self, model: str) -> ModelInfo:
        """What is known of a model without loading it."""
        export, used = self.resolve(model)
        if used not in self._known:
            self._known[used] = _info(export, used)
        return self._known[used]

    def resolve(self, model: str) -> tuple[Path, str]:
        """(export folder, name of the version or checkpoint). Raises NotFound, FailedPrecondition."""
        if model.startswith("learners/"):
            return self._export_of_learner(names.parse_learner(model, "model"))
        return self._registry.resolve(names.parse_model(model, "model"))

    def _export_of_learner(self, learner_id: str) -> tuple[Path, str]:
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
        return folder, names.checkpoint_name(learner_id, checkpoint.id)

    def _ask(self, export: str, image: bytes, options: InferOptions) -> Answer:
        host = self._cluster.wait()
        try:
            return host.predict(export, image, options.thresh, options.tta)
        except WorkerDied:
            _log.warning("the predicting process died; asking a new one")
        except TimeoutError as error:
            raise Unavailable(f"{error}; try again") from None
        try:
            return host.predict(export, image, options.thresh, options.tta)
        except (WorkerDied, TimeoutError) as error:
            raise Unavailable(f"{error} again; try later") from error


def _info(export: Path, used: str) -> ModelInfo:
    content = read_export(export)
    size = content.eval_transform.get("size") or ()
    kind = content.learner.data.labels
    return ModelInfo(used, kind, content.classes, (size[0], size[1]) if size else None, (len(content.classes),))


def make_export(checkpoint: Checkpoint, folder: Path, store: Store) -> Path:
    """An export of a checkpoint, with the metrics of the job that made it where that is known."""
    source = Path(checkpoint.path)
    state = json.loads((source / manifest.STATE_FILE).read_text())
    learner = store.get_learner(checkpoint.learner_id)
    metrics = (state.get("job") or {}).get("metrics") or {}
    known = {name: value for name, value in metrics.items() if value is not None}
    return export_from_checkpoint(source, folder, learner.spec, state["classes"], state["eval_transform"], known)
