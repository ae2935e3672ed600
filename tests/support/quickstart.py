"""The quickstart, taken apart: its code blocks in their order, each with the machine that it is for."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

QUICKSTART = Path(__file__).parents[2] / "docs" / "quickstart.md"
_BLOCK = re.compile(r"^```(\w+)[^\n]*\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_HEADING = re.compile(r"^## (.*)$", re.MULTILINE)
SERVER, LAPTOP = "big machine", "laptop"


@dataclass(frozen=True)
class Block:
    """Code that a reader is told to run."""

    machine: str  # SERVER or LAPTOP: the last one that a heading before it names
    language: str  # sh or python
    code: str

    @property
    def stays(self) -> bool:
        """Whether it runs until the reader ends it."""
        return self.language == "sh" and any(word in self.code for word in ("learnfleet serve", "ssh "))


def blocks(text: str) -> list[Block]:
    """Raises AssertionError for one whose machine no heading tells."""
    found = []
    for match in _BLOCK.finditer(text):
        if match[1] in ("sh", "python"):
            found.append(Block(_machine(text[: match.start()]), match[1], match[2]))
    return found


def _machine(before: str) -> str:
    for heading in reversed(_HEADING.findall(before)):
        for machine in (SERVER, LAPTOP):
            if machine in heading.lower():
                return machine
    raise AssertionError(f"no heading says where this is run: ...{before[-200:]}")
