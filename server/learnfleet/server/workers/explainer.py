"""Explanations of predictions, and the exports that names of models mean."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

from learnfleet.server import names
from learnfleet.server.errors import FieldViolation, InvalidArgument, NotFound, Unavailable
from learnfleet.server.rpc.ports import ExplainOptions, Explanation, FoundModel
from learnfleet.server.store.base import Store
from learnfleet.server.workers.cluster import RayCluster
from learnfleet.server.workers.explain_worker import Explained
from learnfleet.server.workers.protocol import WorkerDied
from learnfleet.trainer import manifest

_FIELDS = ("image", "class_name", "method", "model")

_log = logging.getLogger(__name__)


class ExplanationPool:
    """Answers ExplainPrediction, in a process apart from those that predict. Methods block."""

    def __init__(self, store: Store, cluster: RayCluster, resolve: Callable[[str], tuple[Path, str]]) -> None:
        """`resolve`: the export folder that a name means, and the name of that version or checkpoint."""
        self._store, self._cluster, self._resolve = store, cluster, resolve

    def find(self, model: str) -> FoundModel:
        """As `Runtime.find_model`."""
        folder, name = self._resolve(model)
        if name.startswith("learners/"):
            return FoundModel(name, folder, names.parse_checkpoint(name)[0])
        return FoundModel(name, folder, self._learner_of(folder))

    def _learner_of(self, folder: Path) -> str | None:
        """The learner whose job made the weights, as long as the job is known."""
        try:
            return self._store.get_job(manifest.verify(folder).job_id).learner_id
        except NotFound:
            return None

    def explain(self, model: str, image: bytes, options: ExplainOptions) -> Explanation:
        """As `Runtime.explain`."""
        export, used = self._resolve(model)
        answer = self._ask(str(export), image, options)
        if answer.bad_field:
            field = answer.bad_field if answer.bad_field in _FIELDS else "model"
            raise InvalidArgument([FieldViolation(field, answer.why)])
        return Explanation(
            answer.overlay_png,
            answer.map,
            answer.shape,
            answer.class_name,
            answer.probability,
            answer.predicted,
            used,
        )

    def _ask(self, export: str, image: bytes, options: ExplainOptions) -> Explained:
        host = self._cluster.wait()
        for is_last in (False, True):
            try:
                return host.explain(export, image, options.method, options.class_name)
            except TimeoutError as error:
                raise Unavailable(f"{error}; try again") from None
            except WorkerDied as error:
                if is_last:
                    raise Unavailable(f"{error} again; try later") from error
                _log.warning("the explaining process died; asking a new one")
        raise AssertionError("unreachable: the last try decides")
