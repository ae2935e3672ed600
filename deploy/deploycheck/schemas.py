"""Objects against their schemas, strictly: fields that a schema does not know are errors."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
from kubernetes_validate.utils import schema_contents
from referencing import Registry, Resource

from deploycheck.objects import Finding, Obj, title

_FOLDER = Path(__file__).parents[1] / "schemas"
_RAY = {"RayCluster": "rayclusters", "RayJob": "rayjobs", "RayService": "rayservices"}
_KUBERNETES = "1.34"  # the oldest of those we claim to run on: fields newer than it are errors
_CORE = f"kubernetes-json-schema/v{_KUBERNETES}.0-local-strict"
# Custom resources of others, whose schemas are not here: said by name, so that a typo in a kind is found.
UNCHECKED = frozenset(("monitoring.coreos.com/v1", kind) for kind in ("PodMonitor", "ServiceMonitor", "PrometheusRule"))


def check_schema(obj: Obj) -> Iterator[Finding]:
    api, kind = str(obj.get("apiVersion")), str(obj.get("kind"))
    if (api, kind) in UNCHECKED:
        return
    if not (obj.get("apiVersion") and obj.get("kind")):
        yield Finding("schema", title(obj), "needs apiVersion and kind")
        return
    if kind in _RAY and api != "ray.io/v1":
        yield Finding("schema", title(obj), f"apiVersion must be ray.io/v1, not {api}")
        return
    validator = _ray(kind) if kind in _RAY else _core(kind, api)
    if validator is None:
        told = f"{api} {kind} is not of Kubernetes {_KUBERNETES}, and deploy/schemas has none of it"
        yield Finding("schema", title(obj), told)
        return
    for error in validator.iter_errors(obj):
        path = ".".join(str(part) for part in error.absolute_path)
        yield Finding("schema", f"{title(obj)}.{path}".rstrip("."), error.message[:300])


@cache
def _core(kind: str, api: str) -> jsonschema.Draft202012Validator | None:
    """None where Kubernetes has nothing of that kind."""
    group = re.sub(r"^([^./]*)[^/]*/", r"\1-", api)  # rbac.authorization.k8s.io/v1 -> rbac-v1
    try:
        schema = schema_contents(f"{_CORE}/{kind.lower()}-{group}.json", _KUBERNETES)
    except FileNotFoundError:
        return None
    resources = Resource.from_contents(schema) @ (Resource.from_contents(_definitions()) @ Registry())
    return jsonschema.Draft202012Validator(schema, registry=resources)


@cache
def _definitions() -> Any:
    return schema_contents(f"{_CORE}/_definitions.json", _KUBERNETES)


@cache
def _ray(kind: str) -> jsonschema.Draft202012Validator:
    schema = json.loads((_FOLDER / f"ray.io_{_RAY[kind]}.v1.schema.json").read_text())
    return jsonschema.Draft202012Validator(_strict(schema))


def _strict(schema: Any) -> Any:
    """OpenAPI's dialect as JSON Schema, with unknown fields refused."""
    if isinstance(schema, list):
        return [_strict(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    made = {
        key: {name: _strict(each) for name, each in value.items()} if key == "properties" else _strict(value)
        for key, value in schema.items()
    }
    if isinstance(schema.get("properties"), dict) and not schema.get("x-kubernetes-preserve-unknown-fields"):
        made.setdefault("additionalProperties", False)
    if schema.get("x-kubernetes-int-or-string") is True:
        made["type"] = ["integer", "string"]
    if schema.get("nullable") is True and isinstance(made.get("type"), str):
        made["type"] = [made["type"], "null"]
    return made
