"""W3C trace contexts: how a call says which trace it belongs to. Read and written here without OpenTelemetry."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

METADATA_KEY = "traceparent"
_FORM = re.compile(r"(?!ff)[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(?:-.*)?")
_LONGEST = 512
_SAMPLED = 1


@dataclass(frozen=True)
class TraceContext:
    """A span that others may be parts of."""

    trace_id: str  # 32 hexadecimal digits
    span_id: str  # 16
    is_sampled: bool

    def __str__(self) -> str:
        return f"00-{self.trace_id}-{self.span_id}-{int(self.is_sampled):02x}"


def parse(value: str) -> TraceContext | None:
    """None for what is no valid context: a trace is never worth an error."""
    match = _FORM.fullmatch(value) if len(value) <= _LONGEST else None
    if match is None or not int(match[1], 16) or not int(match[2], 16):
        return None
    return TraceContext(match[1], match[2], bool(int(match[3], 16) & _SAMPLED))


def of_metadata(metadata: Iterable[tuple[str, str | bytes]] | None) -> TraceContext | None:
    """That of a call; of several the last, which is of the interceptor that is nearest to the wire."""
    given = [value for key, value in metadata or () if key == METADATA_KEY]
    return parse(given[-1]) if given and isinstance(given[-1], str) else None
