"""Who may call what, as docs/security.md tells it."""

from __future__ import annotations

from pathlib import Path

OPEN = "everybody"
_PAGE = Path(__file__).parents[2] / "docs" / "security.md"


def roles_in_the_docs() -> dict[str, str]:
    """The least role of each RPC (`/service/method`): everybody, viewer, user or admin."""
    table = _PAGE.read_text().partition("| least role | service | RPCs |\n|---|---|---|\n")[2].partition("\n\n")[0]
    found: dict[str, str] = {}
    for line in table.splitlines():
        role, service, methods = (cell.strip() for cell in line.strip("|").split("|"))
        for method in methods.split(", "):
            path = f"/{service.strip('`')}/{method}"
            assert path not in found, f"{path} is in the table twice"
            found[path] = role
    return found
