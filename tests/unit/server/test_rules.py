"""Every RPC has one rule, which is the one that docs/security.md tells."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from google.protobuf import descriptor_pool
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection_pb2
from support.role_table import OPEN, roles_in_the_docs

from learnfleet.oip import inference_pb2
from learnfleet.server.access.limits import Kind
from learnfleet.server.rpc.oip.unsupported import UNSUPPORTED
from learnfleet.server.rpc.rules import RULES, require_rules

ROOT = Path(__file__).parents[3]
PROTOS = ROOT / "protos"


def published() -> set[str]:
    """Every RPC of every service that there is a .proto for, and of those that come with gRPC."""
    files = [str(path.relative_to(PROTOS)) for path in PROTOS.rglob("*.proto")]
    pool = descriptor_pool.Default()
    for path in files:
        __import__(path.removesuffix(".proto").replace("/", ".") + "_pb2")
    descriptors = [pool.FindFileByName(path) for path in files]
    descriptors += [health_pb2.DESCRIPTOR, reflection_pb2.DESCRIPTOR]
    return {
        f"/{service.full_name}/{method.name}"
        for descriptor in descriptors
        for service in descriptor.services_by_name.values()
        for method in service.methods
    }


def test_every_rpc_that_is_published_or_refused_has_exactly_one_rule() -> None:
    protocol = inference_pb2.DESCRIPTOR.services_by_name["GRPCInferenceService"].full_name
    assert set(RULES) == published() | {f"/{protocol}/{name}" for name in UNSUPPORTED}


def test_the_rules_are_those_of_the_page() -> None:
    rules = {method: OPEN if rule.role is None else rule.role.name.lower() for method, rule in RULES.items()}
    assert rules == roles_in_the_docs()


def test_what_only_looks_counts_as_reading_and_only_users_change_something() -> None:
    for method, rule in RULES.items():
        name = method.rpartition("/")[2]
        if name.startswith(("Get", "List", "Watch", "Read")) and name != "GetPreds":
            assert rule.kind is Kind.READ, method
        if rule.kind is Kind.WRITE:
            assert rule.role is not None, method
            assert rule.role.name in ("USER", "ADMIN"), method


def test_an_rpc_that_nobody_has_said_who_may_call_is_refused_by_name() -> None:
    with pytest.raises(TypeError, match=r"/a\.B/Steal, /a\.B/Wipe"):
        require_rules(["/a.B/Wipe", "/grpc.health.v1.Health/Check", "/a.B/Steal"])


def test_the_tests_that_the_page_names_are_there() -> None:
    named = set(re.findall(r"`(test_\w+\.py)`", (ROOT / "docs" / "security.md").read_text()))
    assert len(named) > 10
    assert named - {path.name for path in (ROOT / "tests").rglob("test_*.py")} == set()
