"""Sending to a run, where one thing that MLflow will never take does not keep the others back."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING

from learnfleet.server.redact import redacted
from learnfleet.server.tracking.retrying import final_answer

if TYPE_CHECKING:
    from mlflow.entities import Metric, Param
    from mlflow.tracking import MlflowClient

LEFT_BEHIND_TAG = "learnfleet.left_behind"
# MLflow takes no more in one batch.
_MAX_METRICS, _MAX_PARAMS = 1000, 100
_MAX_NOTE_CHARACTERS = 4000

_log = logging.getLogger(__name__)


def refusal(send: Callable[[], object]) -> str:
    """Why MLflow will never take it; "" if it has. Errors that may pass are raised."""
    try:
        send()
    except Exception as error:
        if why := final_answer(error):
            return why
        raise
    return ""


class RunWriter:
    """Writes to one run. What MLflow refuses is logged once, left behind, and named in a tag of the run.

    Methods raise only what may be otherwise at the next try, and may be repeated: points carry their own times.
    """

    def __init__(self, client: MlflowClient, run_id: str, job_name: str) -> None:
        self.client, self.run_id = client, run_id
        self._job_name = job_name
        self._refused: dict[str, str] = {}  # what -> why
        self._is_noted = True
        self._tags: dict[str, str] = {}  # as last sent
        self._status = ""  # likewise; "": nobody knows what it is
        self._once: set[str] = set()

    def metrics(self, metrics: Sequence[Metric]) -> None:
        fresh = [metric for metric in metrics if f"metric {metric.key}" not in self._refused]
        for start in range(0, len(fresh), _MAX_METRICS):
            some = fresh[start : start + _MAX_METRICS]
            if refusal(partial(self.client.log_batch, self.run_id, metrics=some)):
                self._metrics_by_name(some)

    def _metrics_by_name(self, metrics: Sequence[Metric]) -> None:
        for name in dict.fromkeys(metric.key for metric in metrics):
            same = [metric for metric in metrics if metric.key == name]
            self.attempt(f"metric {name}", partial(self.client.log_batch, self.run_id, metrics=same))

    def params(self, params: Sequence[Param]) -> None:
        for start in range(0, len(params), _MAX_PARAMS):
            some = params[start : start + _MAX_PARAMS]
            if refusal(partial(self.client.log_batch, self.run_id, params=some)):
                for param in some:
                    one = [param]
                    self.attempt(f"param {param.key}", partial(self.client.log_batch, self.run_id, params=one))

    def tag(self, key: str, value: str) -> None:
        """Set a tag, unless it is as it was last set here."""
        if self._tags.get(key) != value:
            self.attempt(f"tag {key}", partial(self.client.set_tag, self.run_id, key, value))
            self._tags[key] = value

    def status(self, status: str) -> None:
        """Say how an unfinished run stands, likewise."""
        if self._status != status:
            self.attempt(f"status {status}", partial(self.client.update_run, self.run_id, status=status))
            self._status = status

    def once(self, what: str, send: Callable[[], object]) -> None:
        """As `attempt`, unless it was sent here before."""
        if what not in self._once:
            self.attempt(what, send)
            self._once.add(what)

    def attempt(self, what: str, send: Callable[[], object]) -> None:
        """Send `what`, or leave it behind."""
        if why := refusal(send):
            self.leave(what, why)

    def leave(self, what: str, why: str) -> None:
        """Say that `what` is left behind."""
        if what not in self._refused:
            why = redacted(" ".join(why.split()))
            _log.warning("%s: MLflow does not get the %s: %s", self._job_name, what, why)
            self._refused[what] = why
            self._is_noted = False

    def note(self) -> None:
        """Tell the run what it lacks."""
        if not self._is_noted:
            refusal(self._write_note)  # a run that is deleted takes none
            self._is_noted = True

    def _write_note(self) -> None:
        before = self.client.get_run(self.run_id).data.tags.get(LEFT_BEHIND_TAG, "")
        lines = dict.fromkeys([*before.splitlines(), *(f"{what}: {why}" for what, why in self._refused.items())])
        self.client.set_tag(self.run_id, LEFT_BEHIND_TAG, "\n".join(lines)[:_MAX_NOTE_CHARACTERS])
