"""Kubernetes objects as they are read from YAML, and what the checks find in them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

Obj = dict[str, Any]


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong."""

    rule: str
    where: str  # kind/name, and the path beneath it
    message: str

    def __str__(self) -> str:
        return f"{self.where}: {self.message} [{self.rule}]"


@dataclass(frozen=True)
class Manifests:
    """All objects of one install, and what they are checked against."""

    objects: tuple[Obj, ...]
    locked: Mapping[str, str] = field(default_factory=dict)  # package -> version, of the images' lock files
    secrets: frozenset[str] = frozenset()  # made by hand before the install

    def of(self, *kinds: str) -> Iterator[Obj]:
        return (each for each in self.objects if each.get("kind") in kinds)

    def names(self, kind: str) -> set[str]:
        return {name_of(each) for each in self.of(kind)}


def load(text: str) -> tuple[Obj, ...]:
    """The objects of a YAML stream."""
    return tuple(each for each in yaml.safe_load_all(text) if each)


def name_of(obj: Obj) -> str:
    return str(mapping(obj.get("metadata")).get("name", ""))


def title(obj: Obj) -> str:
    return f"{obj.get('kind', '?')}/{name_of(obj) or '?'}"


def mapping(value: object) -> Obj:
    """The value where it is a mapping, else an empty one: that it should be one is for the schemas to say."""
    return value if isinstance(value, dict) else {}


def items(value: object) -> list[Obj]:
    """The mappings of a list."""
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def dig(obj: object, *path: str) -> Any:
    """The value at a path of keys, None where there is none."""
    for key in path:
        obj = mapping(obj).get(key)
    return obj


def selects(selector: object, labels: object) -> bool:
    """Whether a label selector (`matchLabels`, `matchExpressions`) selects what has the labels."""
    have = mapping(labels)
    if any(have.get(key) != value for key, value in mapping(dig(selector, "matchLabels")).items()):
        return False
    return all(_holds(each, have) for each in items(dig(selector, "matchExpressions")))


def _holds(expression: Obj, labels: Obj) -> bool:
    value, values = labels.get(expression.get("key", "")), expression.get("values") or ()
    match expression.get("operator"):
        case "In":
            return value in values
        case "NotIn":
            return value not in values
        case "Exists":
            return value is not None
        case "DoesNotExist":
            return value is None
    return False


def collect(*findings: Iterable[Finding]) -> list[Finding]:
    return [each for some in findings for each in some]
