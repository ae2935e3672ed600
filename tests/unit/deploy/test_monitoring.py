"""Dashboard and alerts ask only for what the server exports, in queries that Prometheus can read."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from support.exported_metrics import exported_samples

promql_parser = pytest.importorskip("promql_parser")

ROOT = Path(__file__).resolve().parents[3]
MONITORING = ROOT / "deploy" / "kubernetes" / "components" / "monitoring"
FROM_PROMETHEUS = frozenset({"up"})
_VARIABLES = {"$__rate_interval": "5m", "$instance": ".*"}


def rules() -> list[dict[str, Any]]:
    spec = yaml.safe_load((MONITORING / "rules.yaml").read_text())["spec"]
    return [rule for group in spec["groups"] for rule in group["rules"]]


def dashboard() -> dict[str, Any]:
    made: dict[str, Any] = json.loads((MONITORING / "dashboard.json").read_text())
    return made


def dashboard_queries() -> Iterator[tuple[str, str]]:
    """(panel, query), Grafana's variables filled in."""
    board = dashboard()
    for panel in board["panels"]:
        for target in panel.get("targets", ()):
            yield panel["title"], _filled(target["expr"])
    for annotation in board["annotations"]["list"]:
        yield annotation["name"], annotation["expr"]


def _filled(query: str) -> str:
    for name, value in _VARIABLES.items():
        query = query.replace(name, value)
    return query


QUERIES = [*dashboard_queries(), *((rule["alert"], rule["expr"]) for rule in rules())]


def names_in(query: str) -> set[str]:
    """The metrics that a query selects."""
    found: set[str] = set()

    def walk(node: Any) -> None:
        if isinstance(node, promql_parser.VectorSelector):
            found.add(node.name)
        for part in ("expr", "lhs", "rhs", "vector_selector", "param"):
            inner = getattr(node, part, None)
            if inner is not None and not isinstance(inner, str):
                walk(inner)
        for inner in getattr(node, "args", ()) or ():
            walk(inner)

    walk(promql_parser.parse(query))
    return found


@pytest.mark.parametrize(("title", "query"), QUERIES, ids=[title for title, _ in QUERIES])
def test_a_query_is_promql_and_asks_for_what_is_exported(title: str, query: str) -> None:
    asked = names_in(query)

    assert asked, "a query selects something"
    assert asked - exported_samples() - FROM_PROMETHEUS == set()


def test_a_name_that_is_not_exported_would_be_found() -> None:
    query = 'sum(rate(learnfleet_no_such_total{a="b"}[5m])) / histogram_quantile(0.5, max(learnfleet_nor_this)) > 1'

    assert names_in(query) - exported_samples() == {"learnfleet_no_such_total", "learnfleet_nor_this"}


def test_every_metric_of_ours_is_on_the_dashboard_or_in_an_alert() -> None:
    asked = set().union(*(names_in(query) for _, query in QUERIES))
    families = {re.sub(r"_(total|created|bucket|sum|count)$", "", name) for name in exported_samples()}
    shown = {re.sub(r"_(total|bucket|sum|count)$", "", name) for name in asked}

    assert {name for name in families if name.startswith(("learnfleet_", "grpc_"))} - shown == set()


def test_an_alert_says_how_bad_it_is_and_has_a_summary() -> None:
    for rule in rules():
        assert rule["labels"]["severity"] in ("page", "ticket"), rule["alert"]
        assert rule["annotations"]["summary"].endswith("."), rule["alert"]


def test_alerts_and_panels_have_names_of_their_own() -> None:
    alerts = [rule["alert"] for rule in rules()]
    panels = [panel["title"] for panel in dashboard()["panels"] if panel["type"] != "row"]

    assert len(set(alerts)) == len(alerts)
    assert len({panel["id"] for panel in dashboard()["panels"]}) == len(dashboard()["panels"])
    assert len(set(panels)) >= len(panels) - 1  # pictures a second are told twice


def test_panels_do_not_lie_on_each_other() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in dashboard()["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert place["x"] + place["w"] <= 24
        assert not cells & taken, panel["title"]
        taken |= cells
