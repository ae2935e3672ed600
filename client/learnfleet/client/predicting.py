"""Predictions of many pictures, with the plain client."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import grpc

from learnfleet.client.asking import Answer, Ask, halves, items_of
from learnfleet.client.connection import Connection
from learnfleet.client.errors import ResourceExhaustedError
from learnfleet.client.patience import Patience
from learnfleet.client.sending import Sending
from learnfleet.v1 import prediction_service_pb2 as pb

IN_FLIGHT = 64


def predict_batch(connection: Connection, ask: Ask, items: Iterable[object] | str | Path) -> list[Answer]:
    """One answer a picture, in their order, by as many calls as it takes."""
    found: list[Answer] = []
    for batch in ask.batches(items_of(items), connection.most_bytes // 2):
        found += batch.answers(_results(connection, batch.request) if batch.request.inputs else ())
    return found


def _results(connection: Connection, request: pb.PredictBatchRequest) -> list[pb.ItemResult]:
    try:
        return list(connection.call(connection.prediction.PredictBatch, request).results)
    except ResourceExhaustedError:  # the answers are too large for a message, or the pictures too many for the queue
        if len(request.inputs) == 1:
            raise
    return [result for half in halves(request) for result in _results(connection, half)]


def predict_stream(
    connection: Connection, ask: Ask, items: Iterable[object] | str | Path, in_flight: int = IN_FLIGHT
) -> Iterator[tuple[object, Answer]]:
    """(picture, answer) as they are ready. What a lost connection leaves unanswered is sent again."""
    sending = Sending(iter(items_of(items)), in_flight)
    settings = ask.settings()
    patience = Patience(connection.retry_s)
    while True:
        with sending.call() as call:
            try:
                for response in connection.stream(connection.prediction.PredictStream, call.requests(settings)):
                    patience = Patience(connection.retry_s)
                    yield from sending.take(response)
                yield from sending.refused()
                return
            except grpc.RpcError as error:
                if sending.fault is not None:  # of whoever gives the pictures: the call ended for it
                    raise sending.fault from None
                pause_s = patience.pause_after(error)
        time.sleep(pause_s)
