"""What can be wrong with data that come from outside. They know neither requests nor gRPC."""

from __future__ import annotations


class BadContent(ValueError):
    """Content that will never do as it is; the text says which file and why."""


class ContentChanged(RuntimeError):
    """Files of a version are no longer what they were when it was made; the text names them."""


class NoRoom(RuntimeError):
    """The disk is full: the same will do when there is room."""
