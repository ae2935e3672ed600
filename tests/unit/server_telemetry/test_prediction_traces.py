"""What a prediction's time went to, told to a real collector."""

from __future__ import annotations

from itertools import pairwise

import pytest
from support.otlp_collector import collector

from learnfleet.server.inference.ports import Answered
from learnfleet.server.telemetry.calls import Call, enter
from learnfleet.server.telemetry.prediction_traces import PredictionTraces
from learnfleet.server.telemetry.trace_context import TraceContext
from learnfleet.server.telemetry.tracing import TraceSettings, Tracing

NOW_S = 2_000_000_000.0
QUICK = Answered(queue_s=0.0, decode_s=0.01, infer_s=0.2, batch_size=3)
SLOW = Answered(queue_s=0.5, decode_s=0.04, infer_s=0.2, batch_size=3)


@pytest.mark.parametrize("is_sampled", [True, False])
def test_the_slowest_items_time_is_told_piece_by_piece(is_sampled: bool) -> None:
    caller = TraceContext("a" * 32, "b" * 16, is_sampled)
    enter(Call("learnfleet.v1.PredictionService/PredictBatch", "ipv4:127.0.0.1:1", caller))
    with collector() as collected:
        tracing = Tracing(TraceSettings(collected.endpoint), "learnfleet-server")
        PredictionTraces(tracing, lambda: NOW_S).answered("models/pets/versions/3", [QUICK, SLOW])
        tracing.close()
        found = {span.name: span for span in collected.spans(caller.trace_id)}
    if not is_sampled:
        assert found == {}
        return
    order = [found[name] for name in ("predict.queue", "predict.decode", "predict.compute")]
    took_s = [(span.end_ns - span.start_ns) / 1e9 for span in order]
    assert took_s == pytest.approx([0.5, 0.04, 0.2], abs=1e-6)
    for earlier, later in pairwise(order):
        assert earlier.end_ns == pytest.approx(later.start_ns, abs=1000)
    assert order[-1].end_ns == pytest.approx(NOW_S * 1e9, abs=1000)
    for span in order:
        assert span.parent_id == caller.span_id
        assert span.attributes["model"] == "models/pets/versions/3"
        assert int(span.attributes["items"]) == 2
        assert int(span.attributes["batch_size"]) == 3


def test_outside_of_calls_and_without_a_collector_nothing_is_told() -> None:
    with collector() as collected:
        tracing = Tracing(TraceSettings(collected.endpoint), "learnfleet-server")
        PredictionTraces(tracing).answered("models/pets/versions/3", [QUICK])
        enter(Call("any/thing", "ipv4:127.0.0.1:1", TraceContext("a" * 32, "b" * 16, True)))
        PredictionTraces(Tracing(TraceSettings(), "")).answered("models/pets/versions/3", [QUICK])
        tracing.close()
        assert collected.spans() == []
