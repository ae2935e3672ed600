"""The committed generated code is that of the committed protos, and every part of them is documented."""

from __future__ import annotations

import itertools
import re
import sys
from pathlib import Path

import pytest

PROTOS = Path(__file__).resolve().parents[2] / "protos"
sys.path.insert(0, str(PROTOS))


def test_the_committed_code_equals_what_the_generator_makes(tmp_path: Path) -> None:
    from generate import generate

    generate(tmp_path)
    made = {str(path.relative_to(tmp_path)): path.read_text() for path in tmp_path.rglob("*_pb2*.py*")}
    committed = {str(path.relative_to(PROTOS)): path.read_text() for path in PROTOS.rglob("*_pb2*.py*")}
    assert made == committed, "run `make proto` and commit the result"


@pytest.mark.parametrize("path", sorted(PROTOS.rglob("*.proto")), ids=lambda path: path.name)
def test_every_message_field_and_rpc_has_a_comment(path: Path) -> None:
    lines = [line.strip() for line in path.read_text().splitlines()]
    declares = re.compile(r"^(message|enum|service|rpc|oneof)\b|^[\w.<>, ]+ \w+ = \d+;")
    bare = [
        line
        for before, line in itertools.pairwise(lines)
        if declares.match(line) and not line.startswith("syntax") and not before.startswith("//")
    ]
    assert bare == []
