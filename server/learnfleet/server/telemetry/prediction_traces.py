"""What a prediction's time went to, as spans of the call's trace. Made of the durations that come with the answer: the
processes that predict need no OpenTelemetry."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from learnfleet.server.inference.ports import Answered
from learnfleet.server.telemetry.calls import current_call
from learnfleet.server.telemetry.tracing import Tracing


class PredictionTraces:
    """Spans of the item of a call that took longest: with many in one call the others would tell the same."""

    def __init__(self, tracing: Tracing, clock: Callable[[], float] = time.time) -> None:
        self._tracing, self._clock = tracing, clock

    def answered(self, model: str, answers: Sequence[Answered]) -> None:
        """The call that is being handled has its answers, just now."""
        call = current_call()
        if not self._tracing.is_on or call is None or call.trace is None or not call.trace.is_sampled or not answers:
            return
        slowest = max(answers, key=lambda one: one.queue_s + one.decode_s + one.infer_s)
        attributes: dict[str, str | int] = {"model": model, "items": len(answers), "batch_size": slowest.batch_size}
        end_s = self._clock()
        for name, seconds in (
            ("predict.compute", slowest.infer_s),
            ("predict.decode", slowest.decode_s),
            ("predict.queue", slowest.queue_s),
        ):
            if seconds > 0:
                self._tracing.past(name, call.trace, end_s - seconds, end_s, attributes)
                end_s -= seconds
