"""The trace that a caller is in, taken along to the server.

OpenTelemetry is never imported here: whoever is in a trace has imported it already.
"""

from __future__ import annotations

import sys
from typing import TypeAlias

_API = "opentelemetry.trace"
_KEY = "traceparent"

Metadata: TypeAlias = tuple[tuple[str, str], ...]


def trace_metadata() -> Metadata:
    """The W3C context of the current span, as metadata of a call; empty where there is none."""
    api = sys.modules.get(_API)
    if api is None:
        return ()
    context = api.get_current_span().get_span_context()
    if not context.is_valid:
        return ()
    return ((_KEY, f"00-{context.trace_id:032x}-{context.span_id:016x}-{int(context.trace_flags):02x}"),)
