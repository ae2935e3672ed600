"""docs/operations.md says what is exported and what to do about each alert."""

from __future__ import annotations

import re
from pathlib import Path

import yaml
from support.exported_metrics import exported_families

from learnfleet.server.scheduling.situation import Hold

ROOT = Path(__file__).resolve().parents[3]
PAGE = (ROOT / "docs" / "operations.md").read_text()
RULES = ROOT / "deploy" / "kubernetes" / "components" / "monitoring" / "rules.yaml"


def test_the_table_of_metrics_is_what_is_exported() -> None:
    told = re.findall(r"^\| `((?:learnfleet|grpc)_\w+)` \| (\w+) \|([^|]*)\| ([^|]+) \|$", PAGE, re.MULTILINE)
    exported = [each for each in exported_families() if each.name.startswith(("learnfleet_", "grpc_"))]

    found = [(name, kind, tuple(re.findall(r"`(\w+)`", labels)), text) for name, kind, labels, text in told]
    assert found == [(each.name, each.kind, each.labels, each.help) for each in exported]


def test_every_name_on_the_page_is_exported() -> None:
    known = {each.name for each in exported_families()}

    assert set(re.findall(r"`(learnfleet_\w+|grpc_server_\w+)`", PAGE)) <= known


def test_every_alert_has_its_entry_and_every_entry_its_alert() -> None:
    groups = yaml.safe_load(RULES.read_text())["spec"]["groups"]
    alerts = [(rule["alert"], rule["labels"]["severity"]) for group in groups for rule in group["rules"]]
    entries = re.findall(r"^### (Learnfleet\w+)\n\n\*(\w+)\.\*", PAGE, re.MULTILINE)

    assert sorted(entries) == sorted(alerts)


def test_an_entry_says_what_it_means_what_to_look_at_and_what_to_do() -> None:
    for entry in re.split(r"^### ", PAGE, flags=re.MULTILINE)[1:]:
        text = entry.split("\n## ")[0]
        assert "**Look:**" in text, text
        assert "**Do:**" in text, text


def test_every_reason_to_hold_a_job_is_explained() -> None:
    for hold in Hold:
        assert f"`{hold}`" in PAGE
