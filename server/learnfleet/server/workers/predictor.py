"""Predictions: model references resolved to export folders, and asked of a warm process."""

from __future__ import annotations

import json
import logging
import time
from pathlib import Path
from threading import Lock
from typing import Any

from learnfleet.server import names
from learnfleet.server.config import Config
from learnfleet.server.domain import Checkpoint
from learnfleet.server.errors import FailedPrecondition, FieldViolation, InvalidArgument, Unavailable
from learnfleet.server.rpc.ports import PredictionResult
from learnfleet.server.store.base import Store
from learnfleet.server.tracking.registry import ModelRegistry
from learnfleet.server.workers.cluster import RayCluster
from learnfleet.server.workers.predict_worker import Answer, PredictWorker
from learnfleet.trainer import manifest
from learnfleet.trainer.export import export_from_checkpoint

_TIMEOUT_S = 120.0
_CONCURRENT_CALLS = 8

_log = logging.getLogger(__name__)


class PredictionPool:
    """Answers Predict. Methods block."""

    def __init__(self, config: Config, store: Store, cluster: RayCluster, registry: ModelRegistry) -> None:
        self._config, self._store, self._cluster, self._registry = config, store, cluster, registry
        self._lock = Lock()
        self._actor: Any = None

    def predict(self, model: str, image: bytes) -> PredictionResult:
        """As `Runtime.predict`."""
        began = time.perf_counter()
        export, used = self._resolve(model)
        self._cluster.wait()
        answer = self._ask(str(export), image)
        if answer.bad_image is not None:
            raise InvalidArgument([FieldViolation("image", f"is no picture that can be read: {answer.bad_image}")])
        total_s = time.perf_counter() - began
        queue_s = max(0.0, total_s - answer.decode_s - answer.infer_s)
        return PredictionResult(answer.classes, answer.probabilities, used, queue_s, answer.decode_s, answer.infer_s)

    def _resolve(self, model: str) -> tuple[Path, str]:
        """(export folder, name of the version or checkpoint)."""
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

    def _ask(self, export: str, image: bytes) -> Answer:
        import ray
        from ray.exceptions import GetTimeoutError, RayActorError

        for is_last_try in (False, True):
            actor = self._living_actor()
            try:
                return ray.get(actor.predict.remote(export, image), timeout=_TIMEOUT_S)  # type: ignore[no-any-return]
            except GetTimeoutError:
                raise Unavailable(f"the model did not answer within {_TIMEOUT_S:g} s; try again") from None
            except RayActorError as error:
                _log.warning("the predicting process died: %s", error)
                with self._lock:
                    self._actor = None if self._actor is actor else self._actor
                if is_last_try:
                    raise Unavailable("the predicting process died twice; try again") from error
        raise AssertionError("unreachable: the last try returns or raises")

    def _living_actor(self) -> Any:
        import ray

        with self._lock:
            if self._actor is None:
                actor_class = ray.remote(PredictWorker).options(num_cpus=0, max_concurrency=_CONCURRENT_CALLS)
                self._actor = actor_class.remote()
            return self._actor


def make_export(checkpoint: Checkpoint, folder: Path, store: Store) -> Path:
    """An export of a checkpoint, with the metrics of the job that made it where that is known."""
    source = Path(checkpoint.path)
    state = json.loads((source / manifest.STATE_FILE).read_text())
    learner = store.get_learner(checkpoint.learner_id)
    metrics = (state.get("job") or {}).get("metrics") or {}
    known = {name: value for name, value in metrics.items() if value is not None}
    return export_from_checkpoint(source, folder, learner.spec, state["classes"], state["eval_transform"], known)
