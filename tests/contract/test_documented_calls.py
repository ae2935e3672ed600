"""Calls in the Python of docs/serving.md, interpretation.md and exports.md take the arguments that are shown."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator
from operator import attrgetter
from pathlib import Path
from typing import Any

import pytest

from learnfleet.client import Client, Interpretation, Prediction, RemoteLearner
from learnfleet.client.explanation import Explanation
from learnfleet.client.model_values import ModelVersion
from learnfleet.client.registry import Models

DOCS = Path(__file__).parents[2] / "docs"
# What a name stands for on these pages.
_EVERYWHERE: dict[str, type] = {"client": Client, "client.models": Models, "learn": RemoteLearner}
OWNERS: dict[str, dict[str, type]] = {
    "serving.md": {**_EVERYWHERE, "found": Prediction},
    "interpretation.md": {**_EVERYWHERE, "found": Interpretation, "why": Explanation},
    "exports.md": {**_EVERYWHERE, "version": ModelVersion},
}
_BLOCKS = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_IN_TABLES = re.compile(r"`((?:found|client)\.[^`]+)`")
_OF_OTHERS = ("tritonclient", "mlflow", "onnxruntime", "load_learner")


def documented() -> Iterator[Any]:
    """(page, a call or an attribute of one of the owners)."""
    for page in OWNERS:
        text = (DOCS / page).read_text()
        blocks = [block for block in _BLOCKS.findall(text) if not any(word in block for word in _OF_OTHERS)]
        for code in [*blocks, *_IN_TABLES.findall(_BLOCKS.sub("", text))]:
            for node in ast.walk(ast.parse(code)):
                target = node.func if isinstance(node, ast.Call) else node
                if isinstance(target, ast.Attribute) and ast.unparse(target.value) in OWNERS[page]:
                    yield pytest.param(page, node, id=f"{page}-{ast.unparse(node)[:60]}")


@pytest.mark.parametrize(("page", "node"), documented())
def test_it_is_there_and_takes_these_arguments(page: str, node: ast.Call | ast.Attribute) -> None:
    target = node.func if isinstance(node, ast.Call) else node
    assert isinstance(target, ast.Attribute)
    owner = OWNERS[page][ast.unparse(target.value)]
    fields = {*dir(owner), *inspect.get_annotations(owner), *getattr(owner, "__dataclass_fields__", ())}
    assert target.attr in fields
    if isinstance(node, ast.Call) and hasattr(owner, target.attr):
        given = {word.arg: None for word in node.keywords if word.arg}
        inspect.signature(attrgetter(target.attr)(owner)).bind(None, *([None] * len(node.args)), **given)
