"""Moments as Python has them."""

from __future__ import annotations

from datetime import UTC, datetime

from google.protobuf.timestamp_pb2 import Timestamp


def time_of(message: Timestamp) -> datetime:
    """With its time zone, UTC."""
    found: datetime = message.ToDatetime(tzinfo=UTC)
    return found
