"""The list of failpoints is the code's: no name without a place, no place without a name."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from learnfleet.server import failpoints

SERVER = Path(failpoints.__file__).parent
WRITERS = {"_writing", "writing"}  # transactions: `writing("create_job")`


def _literals(function: set[str]) -> Iterator[str]:
    """First arguments of the calls of a function, in all of the server."""
    for path in SERVER.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Call) or not node.args:
                continue
            called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if called in function and isinstance(node.args[0], ast.Constant):
                yield str(node.args[0].value)


def test_every_deed_in_the_list_is_in_the_code_and_every_one_in_the_code_is_in_the_list() -> None:
    assert set(_literals({"fp"})) == set(failpoints.DEEDS)


def test_every_transaction_in_the_list_is_in_the_code_and_every_one_in_the_code_is_in_the_list() -> None:
    writes = (*failpoints.STORE_WRITES, *failpoints.SHARED_STORE_WRITES, *failpoints.RARE_STORE_WRITES)
    listed = {write for write in writes if not write.startswith("transition.")}
    assert set(_literals(WRITERS)) == listed


def test_no_name_is_listed_twice() -> None:
    assert len(set(failpoints.names())) == len(failpoints.names()) >= 45
