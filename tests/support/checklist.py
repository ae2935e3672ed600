"""The feature table of docs/learner.md and the tests it links: `python -m support.checklist` (in tests/) rewrites it.

A test belongs to a feature when its name holds the feature's id, as `test_f010_training_drops_the_last_batch` does.
"""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from pathlib import Path

TESTS = Path(__file__).parents[1]
PAGE = TESTS.parent / "docs" / "learner.md"
_ROW = re.compile(r"^\| (F\d{3}) \| ([^|]*) \|.*\|$", re.MULTILINE)
_ID = re.compile(r"(?<=_)f(\d{3})(?=_)")


def of_each_feature() -> dict[str, list[tuple[Path, str]]]:
    """(file, test name) of every test function that names a feature, by the feature's id."""
    found = defaultdict(list)
    for path in sorted(TESTS.rglob("test_*.py")):
        for name in _test_names(ast.parse(path.read_text())):
            for number in _ID.findall(name):
                found[f"F{number}"].append((path.relative_to(TESTS.parent), name))
    return found


def _test_names(module: ast.Module) -> list[str]:
    functions = [node for node in ast.walk(module) if isinstance(node, ast.FunctionDef)]
    return [node.name for node in functions if node.name.startswith("test_")]


def features(page: str) -> list[str]:
    """The ids of the table's rows, in their order."""
    return [match[1] for match in _ROW.finditer(page)]


def with_links(page: str) -> str:
    """The page with each row's last column made anew: a link to each file that tests the feature."""
    tests = of_each_feature()
    return _ROW.sub(lambda row: f"| {row[1]} | {row[2]} | {_links(tests[row[1]])} |", page)


def _links(tests: list[tuple[Path, str]]) -> str:
    by_file: dict[Path, list[str]] = defaultdict(list)
    for path, name in tests:
        by_file[path].append(name)
    return "<br>".join(
        f"[{path.stem}](../{path}): " + ", ".join(f"`{n}`" for n in names) for path, names in by_file.items()
    )


if __name__ == "__main__":
    PAGE.write_text(with_links(PAGE.read_text()))
