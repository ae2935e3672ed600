"""Page sizes and tokens."""

from __future__ import annotations

from learnfleet.server.errors import FieldViolation, InvalidArgument
from learnfleet.server.store.base import Page

_DEFAULT, _MOST = 50, 1000


def read_page(page_size: int, page_token: str) -> Page:
    """Sizes beyond the greatest are cut to it, as API Improvement Proposal 158 asks. Raises InvalidArgument."""
    if page_size < 0:
        raise InvalidArgument([FieldViolation("page_size", f"is {page_size}; must be 0 (the default) to {_MOST}")])
    if not page_token.isascii():  # no token of ours or of MLflow's
        raise InvalidArgument([FieldViolation("page_token", "is no token that a page before this one gave")])
    return Page(min(page_size or _DEFAULT, _MOST), page_token)
