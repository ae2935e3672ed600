"""What the engine that answers predictions counts: items, batches, waits, and whether models were there."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Histogram

_ITEMS = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0)
_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


class InferenceMetrics:
    """Of one engine. Cheap enough for each batch: nothing here is looked up by name."""

    def __init__(self, registry: CollectorRegistry) -> None:
        asked = "Questions by whether a process held the model (hit) or it had to be loaded first (miss)."
        requests = Counter("learnfleet_model_cache_requests", asked, ("result",), registry=registry)
        self._hit, self._miss = requests.labels("hit"), requests.labels("miss")
        items = Counter("learnfleet_predict_items", "Items by what became of them.", ("outcome",), registry=registry)
        self._answered, self._failed = items.labels("answered"), items.labels("failed")
        self._refused = items.labels("refused")
        batch = "Items that were computed together."
        self._batch = Histogram("learnfleet_predict_batch_items", batch, buckets=_ITEMS, registry=registry)
        queue = "From an item's arrival until its batch began, the loading of the model with it."
        self._queue = Histogram("learnfleet_predict_queue_seconds", queue, buckets=_SECONDS, registry=registry)
        compute = "The forward pass of a batch."
        self._compute = Histogram("learnfleet_predict_compute_seconds", compute, buckets=_SECONDS, registry=registry)
        self._lost = Counter("learnfleet_replicas_lost", "Processes that predict and died or hung.", registry=registry)

    def asked(self, *, is_held: bool) -> None:
        (self._hit if is_held else self._miss).inc()

    def answered(self, queue_s: float, *, has_error: bool) -> None:
        (self._failed if has_error else self._answered).inc()
        self._queue.observe(queue_s)

    def computed(self, items: int, seconds: float) -> None:
        """A batch."""
        self._batch.observe(items)
        self._compute.observe(seconds)

    def refused(self, items: int) -> None:
        """There was no room in the line."""
        self._refused.inc(items)

    def lost_replica(self) -> None:
        self._lost.inc()
