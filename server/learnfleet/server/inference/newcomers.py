"""What is done about models that this server exports, and about aliases that it moves, before anybody asks for them."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass

from learnfleet.server.inference.engine import Engine
from learnfleet.server.inference.references import References
from learnfleet.server.names import ModelRef

_WARM_S = 10.0  # an export waits no longer for a model that is to take over; it does so when it is warm

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Newcomers:
    """The `ModelNews` (tracking/registry.py) of a control server. From any thread but the event loop's.

    Args:
        starts_replicas: have a replica come up while an export is being made. Not where it would take something from
            the jobs: of ten who export nine may never ask.
    """

    references: References
    engine: Engine
    starts_replicas: bool = True

    def expect(self) -> None:
        if self.starts_replicas:
            self.engine.from_thread(self.engine.prepare)

    def changed(self, model_id: str, made: Sequence[ModelRef] = ()) -> None:
        """Look names up anew, and where an alias is in use have its new version warm, which then answers at once."""
        self.references.changed(model_id, made)
        warming = self.engine.from_thread(lambda: self.engine.take_over(model_id))
        if warming is not None:
            _wait(warming, model_id)


def _wait(warming: Future[None], model_id: str) -> None:
    try:
        warming.result(_WARM_S)
    except TimeoutError:
        _log.info("models/%s: what answered before does so until the new version is warm", model_id)
    except Exception:  # also of an engine that was closed meanwhile
        _log.warning("models/%s: its new version is not warm", model_id, exc_info=True)
