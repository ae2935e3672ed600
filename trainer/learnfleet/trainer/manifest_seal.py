"""A manifest as bytes, with a checksum of itself: changed files are found by theirs, changed counters by this one."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping
from typing import Any

_SEAL = "manifest_sha256"


def sealed(values: Mapping[str, object]) -> bytes:
    """JSON of the values and of their checksum."""
    return json.dumps({**values, _SEAL: _digest(values)}, indent=1, sort_keys=True).encode()


def unsealed(content: bytes, known: Collection[str]) -> dict[str, Any]:
    """The values that `sealed` was given.

    One without a checksum was written before there were any. Raises ValueError for a checksum that is not that of the
    values, for names that are not among the `known` ones, and for what is no JSON object.
    """
    values = json.loads(content)
    if not isinstance(values, dict):
        raise ValueError("it is no JSON object")
    seal = values.pop(_SEAL, None)
    if unknown := sorted(set(values) - set(known)):
        raise ValueError(f"nothing is known of {', '.join(unknown)}")
    if seal is not None and seal != _digest(values):
        raise ValueError("it was changed after it was written")
    return values


def _digest(values: Mapping[str, object]) -> str:
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()
