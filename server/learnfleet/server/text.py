"""Text that can leave the process: as UTF-8, and no longer than there is room for."""

from __future__ import annotations

from typing import Any


def utf8(value: str) -> str:
    """`value` with escapes (`\\udcff`) for what has no UTF-8 form, as bytes of file names in another encoding, and for
    the NUL character, which PostgreSQL cannot hold.
    """
    return value.encode("utf-8", "backslashreplace").decode().replace("\0", "\\x00")


def utf8_json(value: Any) -> Any:
    """JSON-able data with `utf8` applied to every string in it."""
    if isinstance(value, str):
        return utf8(value)
    if isinstance(value, dict):
        return {utf8(name): utf8_json(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [utf8_json(item) for item in value]
    return value


def shortened(value: str, most_bytes: int) -> str:
    """`value` if its UTF-8 form has at most `most_bytes`, else its beginning and an ellipsis in as many."""
    content = utf8(value).encode()
    if len(content) <= most_bytes:
        return content.decode()
    return content[: most_bytes - len("…".encode())].decode(errors="ignore") + "…"
